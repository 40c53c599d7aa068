"""A list of rows with a cursor: the one widget that tables, trees and forms are made of.

It paints itself line by line, so that ten thousand rows cost what the visible ones cost, and a cursor move repaints two
rows. The view jumps by half a page at the edge: over a serial line that is fewer bytes than scrolling by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.terminal.look import Look
from tui.terminal.texts import fit, number, wrap
from tui.widgets.nothing import Known, nothing

Span = tuple[str, str]
"""A piece of a row: text already fit for display, and a role of `tui.terminal.look`."""


_WHEEL: Final = 3
"""Rows that a step of the mouse's wheel moves the cursor by."""
HOLDING: Final = "holding "
"""How the note of a list begins that a filter makes shorter."""


class RowList(Widget, can_focus=True):
    """Base of everything that is a list. Subclasses say how many rows there are and how one looks."""

    DEFAULT_CSS = "RowList { height: 1fr; width: 1fr; }"
    inherit_bindings: ClassVar[bool] = False

    @dataclass
    class Moved(Message):
        """The cursor stands on another row."""

        rows: RowList

    def __init__(self, look: Look, title: str = "", *, ident: str | None = None, empty: str = "nothing here") -> None:
        super().__init__(id=ident)
        self.look = look
        self.title = title
        self.empty = empty
        """What is said of the list where the station answered that it holds nothing."""
        self.known = Known.SHOWN
        """Whether the rows are what the station said last; see `tui.widgets.nothing`."""
        self.why = ""
        """Why they are not, fit for display."""
        self.answered = False
        """Whether the station said at least once what belongs here."""
        self.note = ""
        self.followed = False
        self.cursor = 0
        self.top = 0

    @property
    def nothing(self) -> str:
        """What stands in the place of rows where there is none."""
        if self.known is not Known.SHOWN:
            return nothing(self.known, self.why)
        if self.note.startswith(HOLDING):
            return nothing(Known.NO_MATCH, f"no row is {self.note}; / changes the filter, esc ends it")
        return nothing(Known.EMPTY, self.empty)

    def stands(self, known: Known, why: str = "") -> None:
        """Say what is known of the rows; `why` is fit for display. Rows that were shown stay while they are asked for
        anew or the station does not answer; what an account may not see any more goes."""
        if known is Known.LOADING and (self.row_count or (self.answered and self.known is Known.SHOWN)):
            return
        if known is Known.FORBIDDEN:
            self.forget()
        self.answered = self.answered or known is Known.SHOWN
        if (known, why) != (self.known, self.why):
            self.known, self.why = known, why
            self.refresh()

    def forget(self) -> None:
        """Drop the rows: they are not for this account."""

    @property
    def row_count(self) -> int:
        """Rows that can be painted now."""
        raise NotImplementedError

    @property
    def row_total(self) -> str:
        """The count shown beside the cursor's position; `+` where more is still to come."""
        return number(self.row_count)

    def heading(self, width: int) -> str:
        """The line under the title: column names; none by default."""
        return ""

    def row(self, index: int, width: int) -> Sequence[Span]:
        """The spans of a row, in at most `width` cells."""
        raise NotImplementedError

    def as_text(self) -> str:
        """Title, heading and rows as plain text, for a file."""
        width = max(self.size.width, 100)
        rows = ["".join(text for text, _ in self.row(index, width)).rstrip() for index in range(self.row_count)]
        heads = [line.strip() for line in (self.title, self.heading(width)) if line.strip()]
        return "\n".join([*heads, *(rows or [self.nothing])]) + "\n"

    def near_end(self) -> None:
        """Called when the cursor or the view comes near the last row: time to ask for more."""

    @property
    def _heads(self) -> int:
        return (1 if self.title else 0) + (1 if self.heading(self.size.width) else 0)

    @property
    def page(self) -> int:
        """Rows that fit."""
        return max(self.size.height - self._heads, 1)

    def changed(self) -> None:
        """Call after the rows changed: keeps the cursor within them and paints."""
        self.cursor = max(min(self.cursor, self.row_count - 1), 0)
        self._follow()
        self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; paints the two rows that changed, or the page where the view moved."""
        target = max(min(index, self.row_count - 1), 0)
        if target >= self.row_count - self.page:
            self.near_end()
        if target == self.cursor:
            return
        before, self.cursor = self.cursor, target
        if self._follow():
            self.refresh()
        else:
            self.refresh(*(self._line_of(row) for row in (before, target)), self._counter)
        self.post_message(self.Moved(self))

    @property
    def _counter(self) -> Region:
        return Region(0, 0, min(len(self.title) + 26, self.size.width), 1)

    def _line_of(self, row: int) -> Region:
        return Region(0, row - self.top + self._heads, self.size.width, 1)

    def _follow(self) -> bool:
        """Move the view so that the cursor is in it; whether it moved."""
        page, top = self.page, self.top
        if self.cursor < self.top or self.cursor >= self.top + page:
            self.top = self.cursor - page // 2
        self.top = max(min(self.top, self.row_count - page), 0)
        return self.top != top

    def on_resize(self) -> None:
        self.resized()
        self._follow()
        self.refresh()

    def resized(self) -> None:
        """The width may be another one."""

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        # Without the focus it was typed ahead, and is meant for what has it now.
        if self.has_focus and self.pressed(event.key):
            event.stop()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move_to(self.cursor + _WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move_to(self.cursor - _WHEEL)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the row; what a second click does is the screen's to say."""
        row = event.y - self._heads + self.top
        if self._heads <= event.y and row < self.row_count:
            self.move_to(row)

    def pressed(self, key: str) -> bool:
        """Whether the list has a use for a key: by itself, for moving the cursor."""
        target = self._target(key)
        if target is not None:
            self.move_to(target)
        return target is not None

    def moved_by(self, key: str) -> bool:
        """For dialogs in which someone types while the list is looked at: move by the keys that type nothing."""
        return len(key) > 1 and key not in ("home", "end") and self.pressed(key)

    def _target(self, key: str) -> int | None:
        targets = {
            "up": self.cursor - 1,
            "k": self.cursor - 1,
            "down": self.cursor + 1,
            "j": self.cursor + 1,
            "pageup": self.cursor - self.page,
            "pagedown": self.cursor + self.page,
            "home": 0,
            "end": self.row_count - 1,
        }
        return targets.get(key)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self.title and y == 0:
            return self._title_line(width)
        if y < self._heads:
            return _strip([(fit(self.heading(width), width), "title")], width, self.look)
        index = y - self._heads + self.top
        if not self.row_count:
            said = wrap(self.nothing, max(width - 2, 8))
            text = f"  {said[y - self._heads]}" if y - self._heads < len(said) else ""
            return _strip([(text, "plain")], width, self.look)
        if index >= self.row_count:
            return Strip.blank(width, self.look.style("plain"))
        spans = list(self.row(index, width - 2))
        if index != self.cursor or not (self.has_focus or self.followed):
            return _strip([("  ", "plain"), *spans], width, self.look)
        role = "cursor"
        return _strip([("> " + "".join(text for text, _ in spans), role)], width, self.look, fill=role)

    def _counted(self) -> tuple[str, str]:
        """What stands behind the title: the cursor's place, and a note."""
        return f"{number(self.cursor + 1)} of {self.row_total}" if self.row_count else "", self.note

    def _title_line(self, width: int) -> Strip:
        place, note = (f"  {text}" if text else "" for text in self._counted())
        title = fit(self.title, min(width, cell_len(self.title)), self.look.ellipsis)
        rest = f"{place}{note} "
        rest = fit(rest, min(width - cell_len(title), cell_len(rest)), self.look.ellipsis)
        return _strip([(title, "title"), (rest, "plain"), (self.look.line * width, "frame")], width, self.look)


def _strip(spans: Sequence[Span], width: int, look: Look, fill: str = "plain") -> Strip:
    strip = Strip([Segment(text, look.style(role)) for text, role in spans if text])
    return strip.adjust_cell_length(width, look.style(fill))
