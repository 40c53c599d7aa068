"""A bundle in the intake: its checklist, volumes and artifacts; its report, approve, release, reject."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from appliance.api.intake import IntakeDetail
from bundles.io.display import safe
from tui.screens.asking import Place
from tui.screens.intake.one_entry import OneEntryScreen
from tui.widgets.line_rows import LineRows
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span
from tui.widgets.volumes import grid
from tui.wording.checklists import next_step, of_entry
from tui.wording.report import origin, papers


class IntakeEntryScreen(OneEntryScreen):
    name_of: ClassVar[str] = "intake_entry"

    def body(self) -> ComposeResult:
        look = self.look
        yield Panel(look, f"Bundle {safe(self.bundle)}", ident="facts")
        yield Panel(look, ident="next")
        yield LineRows(look, "Checks, volumes, artifacts", ident="all")

    def load(self) -> None:
        places: list[Place] = [self.query_one("#facts", Panel), self.query_one("#all", LineRows)]
        self.ask(lambda station: station.intake_entry(self.bundle), self.show_entry, places=places,
                 needs="quarantine")  # fmt: skip

    def show_entry(self, entry: IntakeDetail) -> None:
        if entry == self.entry:
            return
        self.entry = entry
        look = self.look
        self.query_one("#facts", Panel).show(_facts(entry))
        checks: list[list[Span]] = [
            [(f"{look.mark(one.role)} {one.name:<11} ", one.role), (one.detail, "plain")] for one in of_entry(entry)
        ]
        volumes: list[list[Span]] = [[], [("Volumes", "title")], *grid(look, entry.volumes)]
        artifacts: list[list[Span]] = [[], [("Artifacts", "title")], *_artifact_lines(entry)]
        self.query_one("#all", LineRows).show([*checks, *volumes, *artifacts])
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


def _artifact_lines(entry: IntakeDetail) -> list[list[Span]]:
    """A line an artifact: kind, name with tags. The manifest was verified, and is still another site's text."""
    lines: list[list[Span]] = []
    for one in entry.manifest.get("artifacts", ()):
        tags = ", ".join(str(tag) for tag in one.get("tags") or ())
        name = f"{one.get('repository', '')}:{tags}" if tags else f"{one.get('repository', '')}@{one.get('digest', '')}"
        lines.append([(f"{safe(str(one.get('kind', ''))):<9} ", "plain"), (safe(name), "plain")])
    return lines or [[("it carries no artifact", "plain")]]
