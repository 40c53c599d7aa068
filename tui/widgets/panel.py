"""A titled block of lines: facts beside each other, bars, checks. It wraps long values and never cuts a digest."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.text import Text
from textual.widget import Widget

from tui.terminal.look import Look
from tui.terminal.texts import wrap
from tui.widgets.nothing import Known, nothing
from tui.widgets.rows import Span


def fact(name: str, value: str, role: str = "plain", *, name_width: int = 13) -> list[Span]:
    """A line `name  value`."""
    return [(f"{name:<{name_width}}", "plain"), (value, role)]


def wrapped(shown: Sequence[Sequence[Span]], width: int) -> list[tuple[Span, ...]]:
    """Lines of at most `width` cells: those that are too long go on below the beginning of their last span."""
    lines: list[tuple[Span, ...]] = []
    for line in shown:
        if not line or sum(Segment(text).cell_length for text, _ in line) <= width:
            lines.append(tuple(line))
            continue
        *heads, (last, role) = line
        indent = sum(Segment(text).cell_length for text, _ in heads)
        if indent > width // 2:
            indent = 2
            last, heads = "".join(text for text, _ in line), []
        parts = wrap(last, max(width - indent, 8))
        lines.append((*heads, (parts[0], role)))
        lines.extend(((" " * indent, "plain"), (part, role)) for part in parts[1:])
    return lines


class Panel(Widget):
    """Lines of spans under a title; as high as its lines unless the stylesheet says otherwise."""

    DEFAULT_CSS = "Panel { height: auto; width: 1fr; }"

    def __init__(self, look: Look, title: str = "", *, ident: str | None = None) -> None:
        super().__init__(id=ident)
        self.look = look
        self.title = title
        self.known = Known.SHOWN
        """Whether the lines are what the station said last; see `tui.widgets.nothing`."""
        self._lines: tuple[tuple[Span, ...], ...] = ()
        self._above: tuple[tuple[Span, ...], ...] = ()

    @property
    def lines(self) -> tuple[tuple[Span, ...], ...]:
        """What is painted."""
        return (*self._above, *(((("", "plain"),),) if self._above else ()), *self._lines)

    def put_above(self, lines: Sequence[Sequence[Span]]) -> None:
        """Lines that stand above those that are shown, until others are given."""
        fresh = tuple(tuple(line) for line in lines)
        if fresh != self._above:
            self._above = fresh
            self.refresh(layout=True)

    def show(self, lines: Sequence[Sequence[Span]], title: str | None = None) -> None:
        """Paint other lines; the layout is only done anew where their number changed."""
        self.known = Known.SHOWN
        fresh = tuple(tuple(line) for line in lines)
        if title is not None and title != self.title:
            self.title = title
        elif fresh == self._lines:
            return
        self._lines = fresh
        self.refresh(layout=True)

    def stands(self, known: Known, why: str = "") -> None:
        """Say what is known of the facts; `why` is fit for display. Facts that were shown stay while they are asked for
        anew or the station does not answer; what an account may not see any more goes."""
        if known is Known.SHOWN or (self.known is Known.SHOWN and self._lines and known is not Known.FORBIDDEN):
            return
        self.show([[(nothing(known, why), "plain")]])
        self.known = known

    def as_text(self) -> str:
        """Title and lines as plain text, for a file."""
        lines = ["".join(text for text, _ in line) for line in self.lines]
        return "\n".join(([self.title] if self.title else []) + lines) + "\n"

    def render(self) -> Text:
        width = max(self.size.width, 1)
        shown = Text(end="", no_wrap=True)
        if self.title:
            rule = self.look.line * max(width - len(self.title) - 1, 0)
            shown.append(self.title, self.look.style("title"))
            shown.append(f" {rule}\n", self.look.style("frame"))
        for number, line in enumerate(wrapped(self.lines, width)):
            if number:
                shown.append("\n")
            for text, role in line:
                shown.append(text, self.look.style(role))
        return shown

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(wrapped(self.lines, max(width, 1))) + (1 if self.title else 0)
