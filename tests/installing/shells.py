"""A shell on a terminal of its own, typed at as a person does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

BIN = Path(sys.executable).parent
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>()][0-9A-Z]?)|[\x07\x08\r]")
_PATIENCE = 60.0


def environment(home: Path) -> dict[str, str]:
    """Where `lockgate` is this checkout's, and nothing of the machine's own settings counts."""
    kept = {name: value for name, value in os.environ.items() if name not in ("LOCKGATE_DIR", "BASH_ENV", "ENV")}
    return kept | {
        "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(home), "ZDOTDIR": str(home),
        "XDG_CONFIG_HOME": str(home / "config"), "LC_ALL": "C.UTF-8",
    }  # fmt: skip


class Shell:
    """What is typed, and what stands on the screen since the last look."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.screen = descriptor, ""

    def type(self, text: str) -> None:
        """Keys; a look begins here."""
        self.screen = ""
        os.write(self._descriptor, text.encode())

    def until(self, *texts: str) -> str:
        """What came on the screen, once all of `texts` stand there."""
        deadline = time.monotonic() + _PATIENCE
        while not all(text in self.screen for text in texts):
            left = deadline - time.monotonic()
            assert left > 0, f"{texts} is not in {self.screen!r}"
            if select.select([self._descriptor], [], [], left)[0]:
                read = os.read(self._descriptor, 65_536).decode("utf-8", "replace")
                self.screen += _ESCAPES.sub("", read)
        return self.screen


@contextlib.contextmanager
def shell(home: Path, *command: str) -> Iterator[Shell]:
    """The program on a new terminal, in the folder `home`; ended with it."""
    child, descriptor = pty.fork()
    if child == 0:
        # A terminal without a size is one of its own kind to each shell.
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        os.chdir(home)
        os.execvpe(command[0], command, environment(home))
    try:
        yield Shell(descriptor)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(descriptor)
