"""A bundle in the intake: its checklist, volumes, report and artifacts; approve, release, reject."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult

from appliance.api.intake import IntakeDetail
from appliance.api.people import AccountChange
from bundles.io.display import safe
from tui.screens.intake.deciding import DecidingScreen
from tui.terminal.texts import count, moment, size, words
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.text_rows import TextRows
from tui.widgets.volumes import grid
from tui.wording.account_changes import marked
from tui.wording.checklists import next_step, of_entry
from tui.wording.report import report_text


class IntakeEntryScreen(DecidingScreen):
    name_of: ClassVar[str] = "intake_entry"

    def __init__(self, bundle: str, part: str = "") -> None:
        """`part` is `report` where the report is to be seen first."""
        super().__init__()
        self._part = part
        self.bundle = bundle
        self.entry: IntakeDetail | None = None

    def body(self) -> ComposeResult:
        look = self.look
        yield Panel(look, f"Bundle {safe(self.bundle)}", ident="facts")
        yield Panel(look, ident="next")
        yield Panel(look, "Checks", ident="checks")
        yield Panel(look, "Volumes", ident="volumes")
        yield TextRows(look, "Artifacts", ident="artifacts", empty="it carries no artifact")
        report = TextRows(look, "Inspection report", ident="report", empty="no report yet")
        report.display = False
        yield report

    def opened(self) -> None:
        if self._part == "report":
            self._show_report(shown=True)

    def load(self) -> None:
        places = [self.query_one(name, Panel) for name in ("#facts", "#checks", "#volumes")]
        rows = [self.query_one(name, TextRows) for name in ("#artifacts", "#report")]
        self.ask(lambda station: station.intake_entry(self.bundle), self.show_entry, places=[*places, *rows],
                 needs="quarantine")  # fmt: skip

    def show_entry(self, entry: IntakeDetail) -> None:
        if entry == self.entry:
            return
        self.entry = entry
        look = self.look
        self.query_one("#facts", Panel).show(_facts(entry))
        self.query_one("#checks", Panel).show(
            [[(f"{look.mark(one.role)} {one.name:<11} ", one.role), (one.detail, "plain")] for one in of_entry(entry)]
        )
        self.query_one("#volumes", Panel).show(grid(look, entry.volumes))
        self.query_one("#artifacts", TextRows).show("\n".join(_artifact_lines(entry)))
        changes = [f"{look.mark(one.role)} {one.text}" for one in marked(entry.account_changes)]
        self.query_one("#report", TextRows).show("\n".join([*changes, *([""] if changes else []), report_text(entry)]))
        role, text = next_step(entry)
        self.query_one("#next", Panel).show([[(f"{look.mark(role)} Next: {text}", role)]])

    def _show_report(self, *, shown: bool) -> None:
        for name in ("#facts", "#checks", "#volumes", "#artifacts"):
            self.query_one(name).display = not shown
        report = self.query_one("#report", TextRows)
        report.display = shown
        (report if shown else self.query_one("#artifacts", TextRows)).focus()

    def do_report(self) -> None:
        self._show_report(shown=not self.query_one("#report").display)

    def do_next_pane(self) -> None:
        self.do_report()

    def go_back(self) -> bool:
        if self.query_one("#report").display:
            self._show_report(shown=False)
            return True
        return super().go_back()

    def item(self) -> object | None:
        return self.entry

    def bundle_now(self) -> IntakeDetail | None:
        return self.entry

    def changes_now(self) -> tuple[AccountChange, ...] | None:
        return self.entry.account_changes if self.entry else None

    def bundle_decided(self, entry: IntakeDetail) -> None:
        self.show_entry(entry)
        super().bundle_decided(entry)

    def copied(self) -> str:
        return self.entry.digest if self.entry else ""

    def as_text(self) -> str:
        panels = [panel.as_text() for panel in self.query(Panel)]
        return "\n".join([*panels, *(rows.as_text() for rows in self.query(RowList))])


def _facts(entry: IntakeDetail) -> list[list[Span]]:
    manifest: dict[str, Any] = entry.manifest
    paper = [str(manifest[name]) for name in ("purpose", "authorisation", "classification") if manifest.get(name)]
    sender, _, here = entry.stream.partition(".")
    carried = f"{count(entry.artifacts, 'artifact')}, {size(entry.bytes)}"
    made = manifest.get("created")
    when = moment(made if isinstance(made, str) else None)
    return [
        fact("from", f"{safe(sender)} to {safe(here)}, made {when}; {carried}", name_width=7),
        fact("paper", words(paper) if paper else "none", name_width=7),
        fact("digest", safe(entry.digest), name_width=7),
    ]


def _artifact_lines(entry: IntakeDetail) -> list[str]:
    """A line an artifact: kind, name with tags. The manifest was verified, and is still another site's text."""
    lines = []
    for one in entry.manifest.get("artifacts", ()):
        tags = ", ".join(str(tag) for tag in one.get("tags") or ())
        name = f"{one.get('repository', '')}:{tags}" if tags else f"{one.get('repository', '')}@{one.get('digest', '')}"
        lines.append(f"{one.get('kind', '')!s:<9} {name}")
    return lines
