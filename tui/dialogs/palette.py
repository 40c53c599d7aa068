"""The command palette: every action of the console by name: what is not allowed with its reason, and what belongs to
another screen with the way there."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tui.actions.registry import ACTIONS, TITLES, Action, Context, place_of
from tui.dialogs.choose import Option, OptionRows
from tui.dialogs.dialog import Dialog
from tui.terminal.fuzzy import rank
from tui.widgets.rows import RowList


class Palette(Dialog[Action]):
    """Answers with the action to carry out; one of another screen is to be led to."""

    hint = "type a part of the name   up/down   enter: do it   esc: back"

    def __init__(self, context: Context) -> None:
        super().__init__("What do you want to do?")
        self._asked_from = context
        self._found: list[Action] = []
        self._narrowed = ""

    def body(self) -> ComposeResult:
        yield Input(placeholder="action", id="query")
        yield OptionRows(self.console_app.look, ())
        yield Static("", markup=False, id="about-action")

    def opened(self) -> None:
        self._narrow("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, query: str) -> None:
        self._narrowed = query
        context = self._asked_from
        every = [action for action in ACTIONS if action.offered(context)]
        every.sort(key=lambda one: (not one.on(context.screen), not one.screens, bool(self._why(one))))
        self._found = rank(query, every, lambda action: f"{action.label} {action.help}")
        rows = self.query_one(OptionRows)
        keymap = self.console_app.keymap
        rows.options = [
            Option(action.name, f"{keymap.shown(action):>6}  {action.label}", self._about(action), self._why(action))
            for action in self._found
        ]
        rows.cursor = 0
        rows.changed()
        rows.refresh(layout=True)
        self._tell()

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._tell()

    def _tell(self) -> None:
        """What is said of the action under the cursor, whole: a row may be too short for it."""
        rows = self.query_one(OptionRows)
        option = rows.options[rows.cursor] if rows.cursor < len(rows.options) else None
        self.query_one("#about-action", Static).update("" if option is None else option.reason or option.detail)

    def _about(self, action: Action) -> str:
        if action.on(self._asked_from.screen):
            return action.help
        return f"leads to {TITLES[place_of(action)]}: {action.help}"

    def _why(self, action: Action) -> str:
        if action.on(self._asked_from.screen):
            reason = action.allowed(self._asked_from)
            return f"not now: {reason}" if reason else ""
        reason = action.elsewhere(self._asked_from)
        return f"not for you: {reason}" if reason else ""

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
