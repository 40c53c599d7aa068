"""The rows at the edges of every screen: header with clock, screens, banner, message, footer.

Each repaints only when its text changes, so that an idle console sends a few cells a second: the clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widget import Widget

from tui.terminal.look import Look
from tui.terminal.texts import fit
from tui.widgets.rows import Span


class Line(Widget):
    """One line of text that fills its row."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, look: Look, role: str = "plain", *, ident: str | None = None) -> None:
        super().__init__(id=ident)
        self.look = look
        self.role = role
        self._spans: tuple[Span, ...] = ()

    def show(self, spans: Sequence[Span]) -> None:
        """Paint other spans; nothing happens where they are the same."""
        if tuple(spans) != self._spans:
            self._spans = tuple(spans)
            self.refresh()

    @property
    def plain(self) -> str:
        """The text as it stands."""
        return "".join(text for text, _ in self._spans)

    def render(self) -> Text:
        base = self.look.style(self.role)
        text = Text(end="", no_wrap=True)
        for part, role in self._spans:
            text.append(part, base + self.look.style(role))
        width = self.size.width
        if text.cell_len > width:
            text = Text(fit(text.plain, width, self.look.ellipsis), base, end="", no_wrap=True)
        text.append(" " * (width - text.cell_len), base)
        return text


class Clock(Line):
    """UTC, to the second, in a widget of its own: a tick repaints nine cells."""

    DEFAULT_CSS = "Clock { width: 10; }"

    def tick(self, now: str) -> None:
        self.show([(now[11:20], "plain")])


class Message(Line):
    """What happened last, or why something is not allowed. Long refusals take as many rows as they need, up to four."""

    DEFAULT_CSS = "Message { height: auto; min-height: 1; max-height: 4; padding: 0 1; }"

    def say(self, role: str, text: str) -> None:
        """`text` must be fit for display; it is never cut short of four rows."""
        before = len(self.plain)
        self._spans = ((f"{self.look.mark(role)} {text}", role),) if text else ()
        self.refresh(layout=max(before, len(self.plain)) >= self.size.width)

    def render(self) -> Text:
        text = Text(end="")
        for part, role in self._spans:
            text.append(part, self.look.style(role))
        return text
