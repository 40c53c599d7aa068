"""Whether this process hears of a database elsewhere just now: asked by who waits for an answer of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Listener(Protocol):
    """What a process hears (appliance.store.heard)."""

    @property
    def is_current(self) -> bool:
        """Whether what was heard last counts still."""
        ...


_listeners: dict[tuple[int, Path], Listener] = {}


def enter(database: Path, listener: Listener) -> None:
    """Say that this process listens. One that was forked from it does not."""
    _listeners[os.getpid(), database] = listener


def is_heard(database: Path) -> bool:
    """Whether the server is heard; True where this process does not listen."""
    found = _listeners.get((os.getpid(), database))
    return found is None or found.is_current
