"""A bundle in the intake: its checklist, volumes and artifacts; its report, approve, release, reject."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.intake import IntakeDetail
from bundles.io.display import safe
from tui.screens.intake.one_entry import OneEntryScreen
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.text_rows import TextRows
from tui.widgets.volumes import grid
from tui.wording.checklists import next_step, of_entry
from tui.wording.report import origin, papers


class IntakeEntryScreen(OneEntryScreen):
    name_of: ClassVar[str] = "intake_entry"

    def body(self) -> ComposeResult:
        look = self.look
        yield Panel(look, f"Bundle {safe(self.bundle)}", ident="facts")
        yield Panel(look, ident="next")
        yield Panel(look, "Checks", ident="checks")
        yield Panel(look, "Volumes", ident="volumes")
        yield TextRows(look, "Artifacts", ident="artifacts", empty="it carries no artifact")

    def load(self) -> None:
        places = [self.query_one(name, Panel) for name in ("#facts", "#checks", "#volumes")]
        rows = self.query_one("#artifacts", TextRows)
        self.ask(lambda station: station.intake_entry(self.bundle), self.show_entry, places=[*places, rows],
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
        role, text = next_step(entry)
        self.query_one("#next", Panel).show([[(f"{look.mark(role)} Next: {text}", role)]])

    def copied(self) -> str:
        return self.entry.digest if self.entry else ""

    def as_text(self) -> str:
        panels = [panel.as_text() for panel in self.query(Panel)]
        return "\n".join([*panels, *(rows.as_text() for rows in self.query(RowList))])


def _facts(entry: IntakeDetail) -> list[list[Span]]:
    return [
        fact("from", origin(entry), name_width=7),
        fact("papers", papers(entry.manifest), name_width=7),
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
