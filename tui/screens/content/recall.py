"""Recall: where a digest or key went: the bundles, the tags they became, and who pulled them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from bundles.errors import LockgateError, NotFoundError
from bundles.io.display import safe
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import moment
from tui.widgets.panel import Panel
from tui.widgets.text_rows import TextRows
from tui.wording.recall import Recalled, recall_text


class RecallScreen(StationScreen):
    name_of: ClassVar[str] = "recall"

    def __init__(self, thing: str) -> None:
        super().__init__()
        self.thing = thing

    def body(self) -> ComposeResult:
        yield Panel(self.look, "Recall", ident="facts")
        yield TextRows(self.look, "Where it went, and who has it", ident="where", empty="nothing stands on it")

    def load(self) -> None:
        self.query_one("#facts", Panel).show([[(safe(self.thing), "plain")]])
        self.ask(lambda station: station.fetch(Recalled, "/v1/recall", thing=self.thing), self._show,
                 otherwise=self._none, places=[self.query_one("#where", TextRows)])  # fmt: skip

    def _none(self, error: LockgateError) -> None:
        """No bundle has to do with it. A client may have pushed and pulled it all the same: that is not looked for."""
        if isinstance(error, NotFoundError):
            text = (
                f"{error.what}\nwho pulled it without one says the audit log:\nlockgate audit show --thing {self.thing}"
            )
            self.query_one("#where", TextRows).show(text)
        else:
            self.say("bad", error.diagnostics())

    def _show(self, found: Recalled) -> None:
        since = f"pulls are known since {moment(found.pulls_since)}" if found.pulls_since else "no pull is on record"
        self.query_one("#facts", Panel).show([[(safe(self.thing), "plain")], [(since, "plain")]])
        self.query_one("#where", TextRows).show(recall_text(found))

    def copied(self) -> str:
        return self.thing
