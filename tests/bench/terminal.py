"""A program on a terminal of its own, whose every byte is timed: what a serial line would carry."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

DEADLINE = 60.0


class TimedTerminal:
    """Runs `command` on a pseudo-terminal; leaving the block ends it."""

    def __init__(self, command: Sequence[str], size: tuple[int, int], environment: Mapping[str, str]) -> None:
        self._command, self._size = command, size
        self._environment = dict(environment)
        self.chunks: list[tuple[float, bytes]] = []
        """What it wrote, with the time (monotonic) at which it arrived."""

    def __enter__(self) -> TimedTerminal:
        self.started = time.monotonic()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(self._command[0], list(self._command), self._environment)
        columns, lines = self._size
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                return
            if not data:
                return
            self.chunks.append((time.monotonic(), data))

    def send(self, keys: str) -> float:
        """Type; when it was typed."""
        moment = time.monotonic()
        os.write(self._master, keys.encode())
        return moment

    def written(self, since: int = 0) -> str:
        """Everything it wrote from chunk number `since` on."""
        return b"".join(data for _, data in self.chunks[since:]).decode("utf-8", "replace")

    def wait(self, text: str, since: int = 0) -> float:
        """When a text had arrived whole, in a chunk after `since`. The text must be painted in one stroke."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if text in self.written(since):
                return self.chunks[-1][0]
            time.sleep(0.001)
        raise TimeoutError(f"never painted: {text!r}; last: {self.written(since)[-400:]!r}")

    def quiet(self, seconds: float) -> int:
        """Wait until nothing came for so long; the number of chunks by then."""
        while not self.chunks or time.monotonic() - self.chunks[-1][0] < seconds:
            time.sleep(0.005)
        return len(self.chunks)

    def answer(self, keys: str, least: int) -> tuple[float, int]:
        """Type, and wait for what is painted for it: seconds until its last byte, and its bytes.

        A burst of fewer than `least` bytes is the clock's, and is not counted.
        """
        since, typed = len(self.chunks), self.send(keys)
        while time.monotonic() - typed < DEADLINE:
            found = [chunk for chunk in self.chunks[since:] if len(chunk[1]) >= least]
            if found and time.monotonic() - found[-1][0] > 0.02:
                return found[-1][0] - typed, sum(len(data) for _, data in found)
            time.sleep(0.001)
        raise TimeoutError(f"nothing was painted for {keys!r}")
