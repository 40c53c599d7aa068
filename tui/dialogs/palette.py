"""The command palette: every action by name, what is not allowed with its reason."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input

from tui.actions.registry import ACTIONS, Action, Context
from tui.dialogs.choose import Option, OptionRows
from tui.dialogs.dialog import Dialog
from tui.terminal.fuzzy import rank


class Palette(Dialog[Action]):
    """Answers with the action to carry out."""

    hint = "type a part of the name   up/down   enter: do it   esc: back"

    def __init__(self, context: Context) -> None:
        super().__init__("What do you want to do?")
        self._asked_from = context
        self._found: list[Action] = []
        self._narrowed = ""

    def body(self) -> ComposeResult:
        yield Input(placeholder="action", id="query")
        yield OptionRows(self.console_app.look, ())

    def opened(self) -> None:
        self._narrow("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, query: str) -> None:
        self._narrowed = query
        here = [action for action in ACTIONS if action.on(self._asked_from.screen) and action.offered(self._asked_from)]
        here.sort(key=lambda action: (not action.screens, bool(action.allowed(self._asked_from))))
        self._found = rank(query, here, lambda action: f"{action.label} {action.help}")
        rows = self.query_one(OptionRows)
        keymap = self.console_app.keymap
        rows.options = [
            Option(action.name, f"{keymap.shown(action):>6}  {action.label}", action.help, self._why(action))
            for action in self._found
        ]
        rows.cursor = 0
        rows.changed()
        rows.refresh(layout=True)

    def _why(self, action: Action) -> str:
        reason = action.allowed(self._asked_from)
        return f"not now: {reason}" if reason else ""

    def pressed(self, key: str) -> bool:
        return self.query_one(OptionRows).moved_by(key)

    def accept(self) -> None:
        query = self.query_one("#query", Input).value
        # Enter right behind the letters: what they find counts, not what stood there before them.
        if query != self._narrowed:
            self._narrow(query)
        rows = self.query_one(OptionRows)
        if self._found:
            self.dismiss(self._found[rows.cursor])
