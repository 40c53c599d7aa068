"""A tree of things, painted as rows: `right` opens a branch, `left` closes it or goes to its parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from textual.message import Message

from tui.terminal.look import Look
from tui.terminal.texts import fit
from tui.widgets.nothing import Known
from tui.widgets.rows import RowList, Span

WIDEST: Final = 118
"""Cells of a row: beyond that the eye loses it on the way to its fact."""


@dataclass
class Node:
    """`label` and `fact` are fit for display; `digest` is what copy copies; `wanted` says that its children are still
    to be asked for."""

    label: str
    fact: str = ""
    digest: str = ""
    note: str = ""
    role: str = "plain"
    children: list[Node] = field(default_factory=list)
    open: bool = False
    wanted: bool = False

    @property
    def branch(self) -> bool:
        return bool(self.children) or self.wanted


class TreeRows(RowList):
    """Rows of a tree; the fact stands at the right edge, or where rows are long enough to be read across."""

    class Opened(Message):
        """A branch was opened whose children are still to be asked for."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    def __init__(self, look: Look, title: str, *, ident: str | None = None) -> None:
        super().__init__(look, title, ident=ident, empty="it has no parts")
        self.roots: list[Node] = []
        self._flat: list[tuple[int, Node]] = []

    @property
    def row_count(self) -> int:
        return len(self._flat)

    @property
    def current(self) -> Node | None:
        return self._flat[self.cursor][1] if self.cursor < len(self._flat) else None

    def show(self, roots: Sequence[Node]) -> None:
        """Another tree."""
        self.stands(Known.SHOWN)
        self.roots = list(roots)
        self.rebuilt()

    def forget(self) -> None:
        self.roots = []
        self.rebuilt()

    def rebuilt(self) -> None:
        """Call after nodes changed."""
        self._flat = list(_walk(self.roots, 0))
        self.changed()
        self.post_message(self.Moved(self))

    def row(self, index: int, width: int) -> Sequence[Span]:
        depth, node = self._flat[index]
        sign = f"{self.look.open if node.open else self.look.closed} " if node.branch else "  "
        fact = f"  {node.fact}" if node.fact else ""
        room = max(min(width, WIDEST) - len(fact), 4)
        return [(fit("  " * depth + sign + node.label, room, self.look.ellipsis), node.role), (fact, "plain")]

    def pressed(self, key: str) -> bool:
        if key in ("right", "l"):
            self.open_branch()
        elif key in ("left", "h"):
            self._close_branch()
        else:
            return super().pressed(key)
        return True

    def open_branch(self) -> None:
        node = self.current
        if node is None or not node.branch or node.open:
            return
        node.open = True
        if node.wanted:
            self.post_message(self.Opened(node))
        self.rebuilt()

    def toggle(self) -> None:
        """Open or close the branch under the cursor."""
        node = self.current
        if node is not None and node.open:
            node.open = False
            self.rebuilt()
        else:
            self.open_branch()

    def _close_branch(self) -> None:
        node = self.current
        if node is None:
            return
        if node.open:
            node.open = False
            self.rebuilt()
            return
        depth = self._flat[self.cursor][0]
        for index in range(self.cursor, -1, -1):
            if self._flat[index][0] < depth:
                self.move_to(index)
                return


def _walk(nodes: Sequence[Node], depth: int) -> Iterator[tuple[int, Node]]:
    for node in nodes:
        yield depth, node
        if node.open:
            yield from _walk(node.children, depth + 1)
