"""A document as a tree of lines: branches fold, long texts wrap and are never cut, a filter narrows it.

Only what is open is made fit for display and wrapped: a report with ten thousand entries costs what is shown of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bundles.documents.report_page import lines
from bundles.documents.report_parts import Line
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import number, wrap
from tui.widgets.nothing import Known
from tui.widgets.rows import HOLDING, RowList, Span

ROLES: Final = {"ok": "ok", "note": "note", "fail": "bad"}
"""The look of a line's outcome."""
_MOST: Final = 500
"""Entries of one branch that are shown; a filter finds the others, and a saved text has them all."""
Place = tuple[int, ...]
"""Where a line stands: its number among its brothers, from the root down."""


@dataclass(frozen=True)
class _Row:
    """A row: a part of a line. `first` where the line begins."""

    place: Place
    text: str
    role: str
    first: bool


class FoldRows(RowList):
    """`right` opens a branch, `left` closes it or goes to its parent. Lines are untrusted, and escaped here."""

    def __init__(self, look: Look, title: str = "", *, ident: str | None = None, empty: str = "nothing here") -> None:
        super().__init__(look, title, ident=ident, empty=empty)
        self.lines: tuple[Line, ...] = ()
        self.wanted = ""
        """What the filter looks for, without regard to case."""
        self._turned: set[Place] = set()
        """Branches that stand otherwise than their line says: opened ones that are folded, closed ones that are not."""
        self._rows: list[_Row] = []
        self._wrapped_at = 0

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def show(self, shown: Sequence[Line]) -> None:
        """Another document; nothing happens where it is the same, so that the reader's place is kept."""
        self.stands(Known.SHOWN)
        if tuple(shown) == self.lines:
            return
        self.lines, self._turned = tuple(shown), set()
        self.cursor = self.top = 0
        self._flatten()

    def forget(self) -> None:
        self.lines = ()
        self._flatten()

    def narrow(self, wanted: str) -> None:
        """Show only lines that hold a text, with what they stand under and what stands below them."""
        self.wanted = wanted.casefold()
        self.note = f'{HOLDING}"{safe(wanted)}"' if wanted else ""
        self.cursor = self.top = 0
        self._flatten()

    @property
    def is_open_everywhere(self) -> bool:
        return all(self._open(place, line) for place, line in _branches(self.lines, ()))

    def open_all(self, *, opened: bool) -> None:
        """Open every branch, or leave open only what was open at first."""
        branches = _branches(self.lines, ()) if opened else ()
        self._turned = {place for place, line in branches if line.folded}
        self._flatten()

    def toggle(self) -> None:
        """Open or close the branch under the cursor; below a branch, its nearest one."""
        place = self._branch_here()
        if place is not None:
            self._turn(place)

    def resized(self) -> None:
        if self.size.width != self._wrapped_at:
            self._flatten()

    def row(self, index: int, width: int) -> Sequence[Span]:
        row = self._rows[index]
        return [(row.text, row.role)]

    def as_text(self) -> str:
        """Everything, whatever is folded or filtered."""
        heads = [self.title] if self.title else []
        return "\n".join([*heads, *(safe(line) for line in lines(self.lines, most=0, folded=True))]) + "\n"

    def pressed(self, key: str) -> bool:
        if key in ("right", "l"):
            place = self._here()
            if place is not None and self._line(place).below and not self._open(place, self._line(place)):
                self._turn(place)
        elif key in ("left", "h"):
            self._close()
        else:
            return super().pressed(key)
        return True

    def _close(self) -> None:
        place = self._here()
        if place is None:
            return
        if self._line(place).below and self._open(place, self._line(place)):
            self._turn(place)
        elif place[:-1]:
            self.move_to(self._first_row(place[:-1]))

    def _turn(self, place: Place) -> None:
        self._turned ^= {place}
        self._flatten(stay=place)

    def _here(self) -> Place | None:
        return self._rows[self.cursor].place if self.cursor < len(self._rows) else None

    def _branch_here(self) -> Place | None:
        place = self._here()
        while place and not self._line(place).below:
            place = place[:-1]
        return place or None

    def _line(self, place: Place) -> Line:
        line = self.lines[place[0]]
        for at in place[1:]:
            line = line.below[at]
        return line

    def _open(self, place: Place, line: Line) -> bool:
        return (place in self._turned) == line.folded

    def _first_row(self, place: Place) -> int:
        return next((at for at, row in enumerate(self._rows) if row.place == place), 0)

    def _flatten(self, stay: Place | None = None) -> None:
        self._wrapped_at = self.size.width
        width = max(self.size.width - 2, 16)
        self._rows = [
            row for line in self._shown(self.lines, (), kept=not self.wanted) for row in self._wrap(*line, width)
        ]
        if stay is not None:
            self.cursor = self._first_row(stay)
        self.changed()
        self.post_message(self.Moved(self))

    def _shown(self, found: Sequence[Line], above: Place, *, kept: bool) -> Iterator[tuple[Place, Line]]:
        """Each line that is to be shown, with its place. `kept`: something above it was looked for."""
        told = 0
        for at, line in enumerate(found):
            place = (*above, at)
            here = kept or self.wanted in line.text.casefold()
            if not here and not self._holds(line.below):
                continue
            if told == _MOST and above:
                yield place, Line(f"and {number(len(found) - at)} more: / finds them, s saves them all")
                return
            told += 1
            yield place, line
            if line.below and (self._open(place, line) or self.wanted):
                yield from self._shown(line.below, place, kept=here)

    def _holds(self, found: Sequence[Line]) -> bool:
        return any(self.wanted in line.text.casefold() or self._holds(line.below) for line in found)

    def _wrap(self, place: Place, line: Line, width: int) -> Iterator[_Row]:
        opened = self._open(place, line) or bool(self.wanted)
        sign = (self.look.open if opened else self.look.closed) if line.below else " "
        role = ROLES.get(line.outcome, "bad") if line.outcome else "title" if len(place) == 1 else "plain"
        mark = f"{self.look.mark(role)} " if line.outcome else ""
        head = f"{'  ' * (len(place) - 1)}{sign} {mark}"
        if len(head) > width // 2:
            head = head[: width // 2]
        for number_of, part in enumerate(wrap(safe(line.text), width - len(head))):
            yield _Row(place, (" " * len(head) if number_of else head) + part, role, not number_of)


def _branches(found: Sequence[Line], above: Place) -> Iterator[tuple[Place, Line]]:
    for at, line in enumerate(found):
        if line.below:
            yield (*above, at), line
            yield from _branches(line.below, (*above, at))
