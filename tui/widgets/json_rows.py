"""A JSON document laid out: a value a line, in colour where there is colour. Every other text is shown as it is.

The layout goes by the document's own tokens and reads no value: a name that stands twice is seen twice, and numbers are
the digits that were written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import wrap
from tui.widgets.panel import wrapped
from tui.widgets.rows import Span
from tui.widgets.text_rows import TextRows

_TOKEN: Final = re.compile(r'\s*("(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++)')
_MOST: Final = 300_000
"""Characters of a document that is laid out; a larger one is shown as it is."""
_DEEPEST: Final = 100
_CLOSES: Final = {"{": "}", "[": "]"}

Line = tuple[Span, ...]


def laid_out(text: str) -> list[Line] | None:
    """The lines of a JSON document, fit for display; None for what is none, and for one that is too large or deep."""
    parts = _tokens(text)
    if not parts or parts[0] not in _CLOSES or not _is_json(text):
        return None
    lines: list[Line] = []
    now: list[Span] = []
    opened: list[str] = []

    def end_line() -> None:
        if now:
            lines.append((("  " * len(opened), "plain"), *now))
            now.clear()

    for place, part in enumerate(parts):
        following = parts[place + 1] if place + 1 < len(parts) else ""
        if part in _CLOSES:
            now.append((part, "plain"))
            if following != _CLOSES[part]:  # an empty one is closed on its line
                end_line()
            opened.append(part)
            if len(opened) > _DEEPEST:
                return None
        elif part in _CLOSES.values():
            if not opened or _CLOSES[opened[-1]] != part:
                return None
            if parts[place - 1] != opened[-1]:
                end_line()
            opened.pop()
            now.append((part, "plain"))
            if following != ",":
                end_line()
        elif part == ",":
            text, role = now.pop()
            now.append((f"{text},", role))
            end_line()
        else:
            now.append((": " if part == ":" else safe(part), _role(part, names=following == ":")))
    end_line()
    return lines if not opened else None


def _folded(line: Line, width: int) -> list[Line]:
    """A line in at most `width` cells: a value that has no room behind its name stands whole below it, and one that is
    longer than a line goes on there."""
    *heads, (value, role) = line
    if sum(cell_len(text) for text, _ in line) <= width or len(heads) < 2:
        return wrapped([line], width)
    below = " " * min(cell_len(heads[0][0]) + 2, width // 2)
    parts = wrap(value, width - len(below))
    return [tuple(heads), *(((below, "plain"), (part, role)) for part in parts)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _role(part: str, *, names: bool) -> str:
    if part == ":":
        return "plain"
    if names:
        return "name"
    return "text" if part.startswith('"') else "number"


def _tokens(text: str) -> list[str]:
    """The tokens; none where something is between them that is none."""
    if len(text) > _MOST:
        return []
    found, at = [], 0
    while match := _TOKEN.match(text, at):
        found.append(match[1])
        at = match.end()
    return found if not text[at:].strip() else []


class JsonRows(TextRows):
    """Untrusted text, laid out where it is JSON."""

    def __init__(self, look: Look, title: str, *, ident: str | None = None, empty: str = "empty") -> None:
        super().__init__(look, title, ident=ident, empty=empty)
        self._laid: list[Line] | None = None
        self._shown: list[Line] = []

    @property
    def row_count(self) -> int:
        return len(self._shown) if self._laid is not None else super().row_count

    def show(self, text: str) -> None:
        laid = laid_out(text)
        if laid is None or laid != self._laid:
            self._laid, self._shown = laid, []
        super().show(text)

    def _wrap(self) -> None:
        width = self.size.width - 2
        if self._laid is not None and width > 8 and (width != self._wrapped_at or not self._shown):
            self._shown = [part for line in self._laid for part in _folded(line, width)]
        super()._wrap()

    def row(self, index: int, width: int) -> Sequence[Span]:
        return self._shown[index] if self._laid is not None else super().row(index, width)

    def as_text(self) -> str:
        if self._laid is None:
            return super().as_text()
        return "\n".join("".join(text for text, _ in line) for line in self._laid) + "\n"
