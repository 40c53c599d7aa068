"""An act in a process of its own that is killed just before the n-th change that it makes to files."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

_CHANGES: Final = frozenset({
    "os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink", "os.rmdir", "os.chmod", "os.chown", "os.truncate",
    "sqlite3.connect",
})  # fmt: skip
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Do `act` in a forked process, which SIGKILL ends before its `step`-th change to files. Whether it was killed:
    not where it made fewer. What it raises is an AssertionError here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        status = 1
        try:
            sys.addaudithook(_Killer(step))
            act()
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        words = said.read().decode(errors="replace")
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended in (0, -signal.SIGKILL), words
    return ended != 0


class _Killer:
    """An audit hook (PEP 578)."""

    def __init__(self, step: int) -> None:
        self._left = step

    def __call__(self, event: str, words: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and isinstance(words[2], int) and words[2] & _WRITES):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
