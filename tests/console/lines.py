"""`lockgate console --plain` at the end of a pseudo-terminal, as a person at a printer uses it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PATIENCE = 60.0
STEERING = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\x9b")
"""Bytes that do anything on a terminal but print, end a line or move to a tab stop."""


class Lines:
    """The console of the station in `root`; what it writes is read as it comes."""

    def __init__(self, root: Path, *, environment: Mapping[str, str] | None = None, columns: int = 80) -> None:
        self._root, self._columns = root, columns
        self._environment = {"LANG": "C.UTF-8", "TERM": "dumb", **(environment or {})}
        self.raw = b""
        self._read = 0

    def __enter__(self) -> Lines:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self._columns, 0, 0))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance.cli.main", "console", "--plain", "-C", str(self._root)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=kept | self._environment,
            preexec_fn=own_terminal,  # noqa: PLW1509  nothing else runs in the tests' process
            cwd=self._root.parent,
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        os.close(self._master)

    def shows(self, *texts: str) -> str:
        """Wait until these were written since the last wait, in this order; what was written up to there."""
        deadline, start = time.monotonic() + PATIENCE, self._read
        while True:
            written = " ".join(self.raw[start:].decode(errors="replace").split())
            place = 0
            for text in texts:
                place = written.find(text, place) + len(text) if text in written[place:] else -1
                if place < 0:
                    break
            if place >= 0 and written.endswith(texts[-1].rstrip()):
                self._read = len(self.raw)
                return written
            assert time.monotonic() < deadline, f"{texts} did not come:\n{written}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.raw += os.read(self._master, 65536)
                except OSError:
                    assert place >= 0, f"it ended before {texts}:\n{written}"
                    self._read = len(self.raw)
                    return written

    def types(self, text: str) -> None:
        """A line."""
        os.write(self._master, text.encode() + b"\n")

    def does(self, text: str, *shows: str) -> str:
        """Type a line, and wait for what follows it; the last text is the prompt."""
        self.types(text)
        return self.shows(*shows) if shows else ""

    def stops(self) -> None:
        os.write(self._master, b"\x03")

    def leaves(self) -> None:
        os.write(self._master, b"\x04")

    def ended(self) -> int:
        """The exit status, and everything read."""
        while True:
            try:
                more = os.read(self._master, 65536)
            except OSError:
                break
            if not more:
                break
            self.raw += more
        return self.process.wait(PATIENCE)
