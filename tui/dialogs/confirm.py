"""A question with yes or no; the safe answer is the easy one."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from tui.dialogs.dialog import Dialog


class Confirm(Dialog[bool]):
    """`y` is yes; anything that closes the dialog is no."""

    hint = "y: yes   n or esc: no"

    def body(self) -> ComposeResult:
        yield from ()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("y", "n", "q"):
            event.stop()
            self.dismiss(event.key == "y")
            return
        super().on_key(event)

    def accept(self) -> None:
        """Enter alone is neither yes nor no."""
