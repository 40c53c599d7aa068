"""A shell at a terminal of its own, as a person types in it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

SECRET: Final = b"correct horse battery\n"
"""What is typed wherever a passphrase or a password is asked for."""

PATIENCE: Final = 120.0
_ASKED: Final = re.compile(r"(?i)(?:passphrase|password|repeat for confirmation|repeat it)[^\n:]*: ?(?=\r?\n|$)")


class Terminal:
    """A shell in a folder, which is answered wherever it asks for a secret."""

    def __init__(self, folder: Path) -> None:
        commands = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": commands, "HOME": str(folder), "TMPDIR": str(folder), "PS1": "", "TERM": "dumb"}
        self._child, self._screen = pty.fork()
        if self._child == 0:
            os.chdir(folder)
            os.execvpe("/bin/bash", ["bash", "--norc", "--noediting", "+m"], environment)
        self._count = 0

    def type(self, line: str) -> str:
        """What the line printed; it must end with 0. A line that ends with `&` has begun to serve when this returns."""
        self._count += 1
        mark = f"ended-{self._count}:"
        self._write(
            line.encode() + b"\n" if line.endswith("&") else f"{line}; echo ended-''{self._count}:$?\n".encode()
        )
        shown, until, answered = "", time.monotonic() + PATIENCE, 0
        while time.monotonic() < until:
            if not select.select([self._screen], [], [], 1.0)[0]:
                continue
            shown += os.read(self._screen, 65_536).decode("utf-8", "replace")
            if line.endswith("&") and re.search(r"serving \S+", shown):
                return shown
            asked = len(_ASKED.findall(shown))
            while answered < asked:
                self._write(SECRET)
                answered += 1
            if ended := re.search(mark + r"(\d+)", shown):
                assert ended.group(1) == "0", f"{line}\n{shown}"
                return shown
        raise AssertionError(f"it did not end: {line}\n{shown}")

    def _write(self, typed: bytes) -> None:
        os.write(self._screen, typed)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            subprocess.run(["pkill", "-TERM", "-P", str(self._child)], check=False)
            os.kill(self._child, signal.SIGHUP)
        os.close(self._screen)
        os.waitpid(self._child, 0)
