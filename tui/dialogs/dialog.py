"""The base of every dialog: a box over the screen, closed by esc, answered by the keyboard.

Nothing is answered by a key that was typed before the dialog was painted, nor by one that is held down since then:
whoever pressed it answered something else. What is typed into a field before that is kept, since it does nothing yet.

The title and the explanation scroll where the terminal is too low for them; the dialog's own widgets and the line that
names its keys always stand below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeVar, cast

from textual import _time, events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.terminal.early_keys import EarlyKeys

if TYPE_CHECKING:
    from tui.console_port import ConsolePort

R = TypeVar("R")

HELD: Final = 0.7
"""Seconds in which a key that is held down comes again for the first time: the longest delay of keyboards (X, 0.66)."""

REPEATS: Final = 0.06
"""Seconds within which it comes again from then on: 25 a second and more."""

_EDGES: Final = 4
"""Rows of the box's border and of the screen's first and last row."""


class Said(VerticalScroll, can_focus=False, inherit_bindings=False):
    """The title and the explanation, as high as they are, and no higher than there is room."""

    DEFAULT_CSS = "Said { height: auto; width: 1fr; }"

    def on_resize(self) -> None:
        if isinstance(self.screen, Dialog):
            self.call_after_refresh(self.screen.say_more)


class Dialog(EarlyKeys[R | None], ModalScreen[R | None], inherit_bindings=False):
    """`title` is the question in a line, with the name of what it is about; `explain` says what follows from the
    answer."""

    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = "Input, RowList"
    hint = "enter: go on   esc: back"
    more = "pgup/pgdn"
    scrolls_by: ClassVar[dict[str, int]] = {"pageup": -1, "pagedown": 1}
    """Keys that scroll the text, and which way; `more` is how they are printed."""
    answers_by: ClassVar[frozenset[str]] = frozenset({"enter"})
    """Keys that answer the dialog."""

    def __init__(self, title: str, explain: str = "") -> None:
        super().__init__()
        self.question = title
        self.explain = explain
        self._painted: float | None = None
        self._last: tuple[str, float] = ("", 0.0)
        """The key that may be held down since before the dialog was painted, and when it came last."""
        self._waits = self._held = False

    @property
    def console_app(self) -> ConsolePort:
        return cast("ConsolePort", self.app)

    def body(self) -> ComposeResult:
        """The dialog's own widgets."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical():
            with Said(id="said"):
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
        self.call_after_refresh(self.fit)

    def on_resize(self) -> None:
        self.call_after_refresh(self.fit)

    def fit(self) -> None:
        """Give the title and the explanation the rows that the dialog's own widgets and its keys leave."""
        if not self.is_whole():
            return
        others = [child for child in self.query_one(Vertical).children if child.id != "said" and child.display]
        used = sum(child.outer_size.height + child.styles.margin.bottom for child in others)
        room = max(self.size.height - _EDGES - used, 2)
        said = self.query_one("#said", Said)
        if said.styles.max_height is None or said.styles.max_height.value != room:
            said.styles.max_height = room

    def is_whole(self) -> bool:
        """Whether its widgets are all there: one that is closed may be asked for its size when they are gone."""
        return self.is_mounted and bool(self.query("#said")) and bool(self.query("#hint"))

    def say_more(self) -> None:
        """Say by which keys text that is not seen is read."""
        if not self.is_whole() or self.query_one("#said", Said).max_scroll_y <= 0:
            return
        hint = self.query_one("#hint", Static)
        shown = str(hint.content)
        if shown == self.hint:
            hint.update(f"{self.more}: more text   {shown}")
            self.call_after_refresh(self.fit)

    def opened(self) -> None:
        """The dialog's widgets are there."""

    def was_painted(self) -> None:
        """The terminal was sent the dialog: whoever presses a key from now on may have read it."""
        if self._painted is None and self.query("#hint"):
            self._painted = _time.get_time()
            self._last = self.console_app.last_key

    def pressed(self, key: str) -> bool:
        """Whether the dialog has a use of its own for a key."""
        return False

    def _unread(self, event: events.Key) -> bool:
        """Whether a key that answers was typed before the dialog could be read, or is held down since then. One that
        may be held down is waited for: it counts where it was let go, and does not come a second time at once."""
        if self._painted is None or event.time < self._painted:
            return True
        key, last = self._last
        if key != event.key or event.time - last >= (2 * REPEATS if self._held else HELD):
            self._last, self._held = ("", 0.0), False
            return False
        self._last = (key, event.time)
        if self._held or self._waits:
            self._held = True
        else:
            self._waits = True
            self.set_timer(REPEATS, lambda: self._let_go(key))
        return True

    def _let_go(self, key: str) -> None:
        self._waits = False
        if not self._held:
            self._last = ("", 0.0)
            self._answer(key)

    def _answer(self, key: str) -> None:
        if not self.pressed(key) and key == "enter":
            self.accept()

    def on_key(self, event: events.Key) -> None:
        if self.too_early(event):
            return
        if event.key in self.answers_by:
            event.stop()
            if not self._unread(event):
                self._answer(event.key)
            return
        self._last = ("", 0.0)
        if self.pressed(event.key):
            event.stop()
        elif event.key in self.scrolls_by:
            event.stop()
            self._scroll(self.scrolls_by[event.key])
        elif event.key in ("escape", "ctrl+c"):
            event.stop()
            self.dismiss(None)
        elif event.key == "ctrl+l":
            event.stop()
            self.app.refresh(layout=True)
        elif event.key in ("tab", "shift+tab"):
            event.stop()
            (self.focus_next if event.key == "tab" else self.focus_previous)("Input, RowList")

    def _scroll(self, way: int) -> None:
        said = self.query_one("#said", Said)
        said.scroll_to(y=said.scroll_y + way * max(said.size.height - 1, 1), animate=False)

    def accept(self) -> None:
        """The person pressed enter."""
        raise NotImplementedError
