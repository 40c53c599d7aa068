"""Starting a worker: one task of a group at a time, never a coroutine that nobody awaits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode


def begin(node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
    """Run `work` as a task of `node`'s; one of the same group that still runs is cancelled. The function, not its
    coroutine, is handed over: what is cancelled before it began was then never created."""
    node.run_worker(cast("Any", work), group=group, exclusive=True)
