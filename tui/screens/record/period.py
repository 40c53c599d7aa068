"""Period report: what a week, a month or a quarter came to, by the audit log and by what stands now."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult

from appliance.api.report import Report
from tui.dialogs.choose import Choose, Option
from tui.screens.station_screen import StationScreen
from tui.widgets.line_rows import LineRows
from tui.wording.period_report import period_lines, period_title

_PATIENCE: Final = 1_800.0
"""Seconds that reading the log of a quarter may take, as at the command line."""
_PERIODS: Final = (("week", "the last 7 days"), ("month", "the last 30 days"), ("quarter", "the last 91 days"))


class PeriodScreen(StationScreen):
    name_of: ClassVar[str] = "period"

    def __init__(self) -> None:
        super().__init__()
        self.period = "week"

    def body(self) -> ComposeResult:
        yield LineRows(self.look, "Period report", ident="report")

    @property
    def rows(self) -> LineRows:
        return self.query_one("#report", LineRows)

    def load(self) -> None:
        period = self.period
        self.ask(lambda station: station.fetch(Report, "/v1/report", period=period), self._show, places=[self.rows],
                 needs="audit", patience=_PATIENCE)  # fmt: skip

    def state_changed(self) -> None:
        """The log is not read anew at each change of the station: `r` does that."""

    def _show(self, found: Report) -> None:
        self.rows.show(period_lines(self.look, found), period_title(found))

    def do_period(self) -> None:
        """Choose of which time the report is."""
        options = [Option(name, name, about) for name, about in _PERIODS]
        self.console_app.push_screen(Choose("The report of which time?", options), self._chosen)

    def _chosen(self, chosen: tuple[str, ...] | None) -> None:
        if chosen:
            self.period = chosen[0]
            self.rows.forget()
            self.load()
