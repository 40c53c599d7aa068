"""A question answered in a line of text: a path, a name, a reason, a passphrase."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.widgets import Input, Static

from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.dialogs.dialog import Dialog


class Prompt(Dialog[str]):
    """`check` says what is wrong with a text, or nothing; a masked text is a `Secret`, never shown nor kept."""

    def __init__(
        self,
        title: str,
        explain: str = "",
        *,
        value: str = "",
        masked: bool = False,
        check: Callable[[str], str] = lambda text: "",
    ) -> None:
        super().__init__(title, explain)
        self._value = value
        self._masked = masked
        self._check = check

    def body(self) -> ComposeResult:
        yield Input(self._value, password=self._masked, id="answer")

    def answer(self, typed: str) -> str:
        """The answer that was typed."""
        return typed

    def accept(self) -> None:
        text = self.answer(self.query_one("#answer", Input).value)
        wrong = self._check(text)
        if wrong:
            self.query_one("#hint", Static).update(f"[!!] {safe(wrong)}")
            return
        self.dismiss(Secret(text) if self._masked else text)


def needed(text: str) -> str:
    """The check of a text that must not be empty."""
    return "" if text.strip() else "this is needed"
