"""A flag that a process shares with the children that it forks: set by one, seen by all of them at once."""

from __future__ import annotations

import mmap


class SharedFlag:
    """A byte of anonymous shared memory (mmap(2), MAP_SHARED and MAP_ANONYMOUS), kept over fork(2). Clear at first."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Set it, for every process that shares it."""
        self._memory[0] = 1

    def clear(self) -> None:
        """Clear it, for every process that shares it."""
        self._memory[0] = 0

    def is_set(self) -> bool:
        """Whether any of them has set it since it was last cleared."""
        return self._memory[0] == 1
