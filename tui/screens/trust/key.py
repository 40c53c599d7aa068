"""A pinned key: whose it is, what it counts for, its fingerprint to compare, and what stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.trust import TrustedKey, TrustRule
from bundles.io.display import safe
from tui.screens.trust.acts import TrustActs
from tui.terminal.texts import moment, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import Span
from tui.widgets.text_rows import TextRows
from tui.wording.fingerprints import fingerprint_facts
from tui.wording.keys import key_state, rule_text, validity
from tui.wording.recall import Recalled, asked, recall_text

_NAME = 10


class KeyScreen(TrustActs):
    name_of: ClassVar[str] = "key"

    def __init__(self, keyid: str) -> None:
        super().__init__()
        self.keyid = keyid
        self.key: TrustedKey | None = None
        self.rules: Sequence[TrustRule] = ()
        self.answered = False

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Key {safe(self.keyid)}", ident="facts")
        yield Panel(self.look, ident="state")
        yield TextRows(self.look, "What stands on it", ident="recall", empty="nothing stands on it")

    def load(self) -> None:
        self.ask(lambda station: station.trust(), self.show_trust, group="trust",
                 places=[self.query_one("#facts", Panel)])  # fmt: skip
        self.ask(lambda station: station.rules(), self.show_rules, group="rules")
        self.ask(
            asked(self.keyid), self.show_recall, group="recall", places=[self.query_one("#recall", TextRows)],
            otherwise=lambda error: self.show_recall(Recalled(thing=self.keyid, unknown=error.diagnostics())),
        )  # fmt: skip

    def show_trust(self, keys: Sequence[TrustedKey]) -> None:
        self.key = next((key for key in keys if key.keyid == self.keyid), None)
        self.answered = True
        self._show()

    def show_rules(self, rules: Sequence[TrustRule]) -> None:
        self.rules = rules
        if self.answered:
            self._show()

    def show_recall(self, found: Recalled) -> None:
        self.query_one("#recall", TextRows).show(recall_text(found))

    def _show(self) -> None:
        key = self.key
        if key is None:
            self.query_one("#facts", Panel).show([[("this key is not pinned here", "plain")]])
            return
        site = self.console_app.status.site if self.console_app.status else ""
        streams = [f"{one}.{site}" for one in key.sites]
        wanted = [rule for rule in self.rules if rule.purpose in key.purposes and rule.site in ("", *key.sites)]
        demands = "; ".join(rule_text(rule) for rule in wanted) or "its signature alone suffices"
        lines: list[list[Span]] = [
            fact("owner", safe(key.owner), name_width=_NAME),
            fact("purposes", words(key.purposes), name_width=_NAME),
            fact("streams", words(streams) if streams else "bound to none", name_width=_NAME),
            fact("kind", safe(key.algorithm), name_width=_NAME),
            fact("valid", validity(key), name_width=_NAME),
            fact("demanded", demands, name_width=_NAME),
            *fingerprint_facts(key.fingerprint, _NAME),
        ]
        self.query_one("#facts", Panel).show(lines)
        text, role = key_state(key, self.console_app.now())
        if key.revoked is not None:
            text += f" {moment(key.revoked.at)}: {safe(key.revoked.why)}"
        self.query_one("#state", Panel).show([[(text, role)]])

    def revoked(self, keyid: str) -> None:
        self.say("ok", f"{keyid} is believed no longer; below is what stood on it")

    def item(self) -> object | None:
        return self.key

    def copied(self) -> str:
        return self.key.fingerprint if self.key else ""

    def as_text(self) -> str:
        panels = [panel.as_text() for panel in self.query(Panel)]
        return "\n".join([*panels, self.query_one("#recall", TextRows).as_text()])
