"""The base of every dialog: a box over the screen, closed by esc, answered by the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.terminal.early_keys import EarlyKeys

if TYPE_CHECKING:
    from tui.console_port import ConsolePort

R = TypeVar("R")


class Dialog(EarlyKeys[R | None], ModalScreen[R | None], inherit_bindings=False):
    """`title` is the question in a line; `explain` says what follows from the answer."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "Input, RowList"
    hint = "enter: go on   esc: back"

    def __init__(self, title: str, explain: str = "") -> None:
        super().__init__()
        self.question = title
        self.explain = explain

    @property
    def console_app(self) -> ConsolePort:
        return cast("ConsolePort", self.app)

    def body(self) -> ComposeResult:
        """The dialog's own widgets."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, classes="question", markup=False)
            if self.explain:
                yield Static(self.explain, markup=False, id="explain")
            yield from self.body()
            yield Static(self.hint, markup=False, id="hint")

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False
        self.opened()
        self.now_ready()

    def opened(self) -> None:
        """The dialog's widgets are there."""

    def pressed(self, key: str) -> bool:
        """Whether the dialog has a use of its own for a key."""
        return False

    def on_key(self, event: events.Key) -> None:
        if self.too_early(event):
            return
        if self.pressed(event.key):
            event.stop()
        elif event.key in ("escape", "ctrl+c"):
            event.stop()
            self.dismiss(None)
        elif event.key == "ctrl+l":
            event.stop()
            self.app.refresh(layout=True)
        elif event.key == "enter":
            event.stop()
            self.accept()
        elif event.key in ("tab", "shift+tab"):
            event.stop()
            (self.focus_next if event.key == "tab" else self.focus_previous)("Input, RowList")

    def accept(self) -> None:
        """The person pressed enter."""
        raise NotImplementedError
