"""A question with yes or no; the safe answer is the easy one."""

from __future__ import annotations

from textual.app import ComposeResult

from tui.dialogs.dialog import Dialog


class Confirm(Dialog[bool]):
    """`y` is yes; anything that closes the dialog is no."""

    hint = "y: yes   n or esc: no"
    answers_by = frozenset({"enter", "y"})

    def body(self) -> ComposeResult:
        yield from ()

    def pressed(self, key: str) -> bool:
        if key in ("y", "n", "q"):
            self.dismiss(key == "y")
            return True
        return False

    def accept(self) -> None:
        """Enter alone is neither yes nor no."""
