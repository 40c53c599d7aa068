"""The page after a defect of the console: what failed, where its report is, and whether to go on.

It asks nothing of the station, so that nothing that failed there can fail here again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from bundles.errors import EXIT_FAILED
from tui.terminal.early_keys import EarlyKeys

if TYPE_CHECKING:
    from tui.console_port import ConsolePort


class FailurePage(EarlyKeys[None], inherit_bindings=False):
    """`what` is the error in a line, fit for display; `report` the path of its report, "" where none could be saved."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = None

    def __init__(self, what: str, report: str) -> None:
        super().__init__()
        self.what, self.report = what, report

    def compose(self) -> ComposeResult:
        kept = f"A report was saved, without secrets:\n{self.report}" if self.report else "No report could be saved."
        with Vertical(id="failure"):
            yield Static("[!!] Something in the console failed.", classes="question", markup=False)
            yield Static(self.what, markup=False)
            yield Static(kept, markup=False)
            yield Static(
                "The station is not affected, and its jobs go on. An act that was just begun may have been done: look "
                "before it is done again.",
                markup=False,
            )
            yield Static("enter: go on   q: leave the console", markup=False)

    def on_mount(self) -> None:
        self.now_ready()

    def on_key(self, event: events.Key) -> None:
        if self.too_early(event):
            return
        event.stop()
        if event.key == "enter":
            cast("ConsolePort", self.app).go_on()
        elif event.key in ("q", "ctrl+c"):
            self.app.exit(EXIT_FAILED, EXIT_FAILED)
