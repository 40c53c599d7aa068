"""A guide: its steps, the next one under the cursor; enter goes to it. Leaving and coming back loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from tui.actions.registry import BY_NAME
from tui.guides.guide_facts import gather
from tui.guides.steps import ABOUT, TITLES, GuideFacts, Step, next_index, steps_of
from tui.screens.intake.importing import ImportingScreen
from tui.terminal.look import Look
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import RowList, Span


class StepRows(RowList):
    """The steps with their marks."""

    def __init__(self, look: Look, title: str) -> None:
        super().__init__(look, title, ident="steps", empty="looking for the station")
        self.steps: list[Step] = []

    @property
    def row_count(self) -> int:
        return len(self.steps)

    def row(self, index: int, width: int) -> Sequence[Span]:
        step = self.steps[index]
        return [(f"{self.look.mark(step.role)} ", step.role), (f"{index + 1}  {step.name}", "plain")]


class GuideScreen(ImportingScreen):
    name_of: ClassVar[str] = "guide"

    def __init__(self, guide: str) -> None:
        super().__init__()
        self.guide = guide
        self._seen: list[Step] = []

    def body(self) -> ComposeResult:
        yield Panel(self.look, TITLES[self.guide], ident="about")
        yield StepRows(self.look, "Steps")
        yield Panel(self.look, "This step", ident="step")

    def resumed(self) -> None:
        self.load()

    def load(self) -> None:
        self.query_one("#about", Panel).show([[(ABOUT[self.guide], "plain")]])
        draft = self.console_app.draft
        self.ask(lambda station: gather(station, draft, self.guide), self.show_facts)

    def state_changed(self) -> None:
        self.load()

    def show_facts(self, facts: GuideFacts) -> None:
        self.console_app.guide_facts = facts
        steps = steps_of(self.guide, facts)
        rows = self.query_one(StepRows)
        moved = [(step.role, step.name) for step in steps] != [(step.role, step.name) for step in self._seen]
        self._seen = rows.steps = steps
        if moved:
            rows.cursor = next_index(steps)
        rows.changed()
        self._show_step()

    def moved(self, rows: RowList | None) -> None:
        self._show_step()

    def _show_step(self) -> None:
        step = self.item()
        if isinstance(step, Step):
            role = step.role
            lines = [fact(self.look.mark(role), step.text, name_width=5)]
            if step.act:
                lines.append([("", "plain")])
                lines.append([("     enter: go to this step", "key")])
            self.query_one("#step", Panel).show(lines, step.name)

    def item(self) -> object | None:
        rows = self.query_one(StepRows)
        return rows.steps[rows.cursor] if rows.cursor < len(rows.steps) else None

    def do_step(self) -> None:
        step = self.item()
        if not isinstance(step, Step) or not step.act:
            self.say("note", "nothing to do here yet: do the steps before it")
            return
        kind, _, reference = step.act.partition(":")
        if reference:
            self.console_app.open_thing(kind, reference)
        elif kind in BY_NAME:
            self.console_app.perform(BY_NAME[kind])

    def go_back(self) -> bool:
        self.console_app.guide = ""
        return False

    def as_text(self) -> str:
        lines = [f"{TITLES[self.guide]}: {ABOUT[self.guide]}", ""]
        for number, step in enumerate(self._seen, 1):
            lines.append(f"{self.look.mark(step.role)} {number}  {step.name}: {step.text}")
        return "\n".join(lines) + "\n"
