"""Something that is told once and never again: a secret."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.dialogs.dialog import Dialog
from tui.terminal import clipboard


class SecretDialog(Dialog[None]):
    """`text` is a secret of the station's own making. It is on the screen until the dialog closes, and nowhere else."""

    hint = "y: copy   esc: close"

    def __init__(self, title: str, explain: str, text: Secret) -> None:
        super().__init__(title, explain)
        self._text = text

    def body(self) -> ComposeResult:
        yield Static(safe(self._text.reveal()), markup=False, id="told")

    def pressed(self, key: str) -> bool:
        if key == "y":
            clipboard.copy(self.app, self._text.reveal())
            self.query_one("#hint", Static).update("[ok] copied   esc: close")
        return key == "y"

    def accept(self) -> None:
        """Enter alone does not take it away."""
