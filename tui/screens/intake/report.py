"""A bundle's inspection report: the page that officers sign for. Every approval goes through it."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.intake import IntakeDetail
from bundles.documents.report_page import page
from bundles.io.display import safe
from tui.decisions.deciding import Signed, entry_with_report
from tui.screens.asking import Place
from tui.screens.intake.one_entry import OneEntryScreen
from tui.widgets.fold_rows import FoldRows
from tui.widgets.panel import Panel, fact
from tui.wording.report import account_lines, next_here, origin, papers

_NAMES: Final = 7
"""Cells of the names of facts."""


class ReportScreen(OneEntryScreen):
    name_of: ClassVar[str] = "report"

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Inspection report of {safe(self.bundle)}", ident="facts")
        yield FoldRows(self.look, "What this station found", ident="report",
                       empty="no report yet: it is made when all volumes are verified")  # fmt: skip

    @property
    def rows(self) -> FoldRows:
        return self.query_one("#report", FoldRows)

    def load(self) -> None:
        places: list[Place] = [self.query_one("#facts", Panel), self.rows]
        self.ask(partial(entry_with_report, self.bundle), self.show_entry, places=places, needs="quarantine")

    def show_entry(self, entry: IntakeDetail) -> None:
        """Show an entry with its report."""
        if entry == self.entry:
            return
        self.entry = entry
        role, text = next_here(entry)
        self.query_one("#facts", Panel).show(
            [
                fact("from", origin(entry), name_width=_NAMES),
                fact("papers", papers(entry.manifest), name_width=_NAMES),
                fact("digest", safe(entry.report_digest or "none"), name_width=_NAMES),
                [(f"{self.look.mark(role)} Next: {text}", role)],
            ]
        )
        found = () if entry.report is None else page(entry.report)
        self.rows.show((*account_lines(entry.account_changes), *found))
        self.frame_changed()

    def filter_changed(self, text: str) -> None:
        self.rows.narrow(text)

    def do_open(self) -> None:
        self.rows.toggle()

    def do_unfold(self) -> None:
        self.rows.open_all(opened=not self.rows.is_open_everywhere)

    def do_approve(self) -> None:
        entry = self.entry
        if entry is None or entry.report is None:
            self.say("bad", "Approve: there is no report here to sign for; r asks the station again")
        else:
            self.decide("approve", "", self._signed)

    @property
    def _signed(self) -> Signed | None:
        """What a signature made here is for: the bundle, and the report that is shown."""
        entry = self.entry
        return None if entry is None else Signed(entry.digest, entry.report_digest)

    def copied(self) -> str:
        return (self.entry.report_digest or "") if self.entry else ""

    def as_text(self) -> str:
        return "\n".join([self.query_one("#facts", Panel).as_text(), self.rows.as_text()])
