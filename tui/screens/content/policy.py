"""Policy: what the policy for images says of an artifact, rule by rule and gate by gate, as it is now."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.policy import PolicySaid
from bundles.io.display import safe
from tui.screens.content.looking_again import LooksAgain
from tui.widgets.line_rows import LineRows
from tui.widgets.panel import Panel, fact
from tui.wording.policy import lines, verdict


class PolicyScreen(LooksAgain):
    name_of: ClassVar[str] = "policy"

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference
        self.found: PolicySaid | None = None

    def body(self) -> ComposeResult:
        yield Panel(self.look, "Policy", ident="facts")
        yield LineRows(self.look, "By the policy for images", ident="lines", empty="nothing is asked of it")

    def load(self) -> None:
        if self.found is None:
            self.query_one("#facts", Panel).show([fact("name", safe(self.reference), "title", name_width=7)])
        self.ask(
            lambda station: station.fetch(PolicySaid, "/v1/policy", ref=self.reference),
            self._show,
            places=[self.query_one("#lines", LineRows)],
        )

    def _show(self, found: PolicySaid) -> None:
        self.found = found
        text, role = verdict(found)
        stage = f", stage {safe(found.stage)}" if found.stage else ""
        number = f"policy {found.policy}{stage}" if found.policy else "none"
        self.query_one("#facts", Panel).show([
            fact("name", safe(found.reference), "title", name_width=7),
            fact("digest", safe(found.digest), name_width=7),
            fact("policy", number, name_width=7),
            fact("state", text, role, name_width=7),
        ])  # fmt: skip
        self.query_one("#lines", LineRows).show(lines(found))

    def copied(self) -> str:
        return self.found.digest if self.found is not None else self.reference
