"""A station in a session of its own, whose power can be cut, and its jobs caught in the middle of their work."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from appliance.local_socket import connect_to
from appliance.paths import StationPaths
from tests import forked
from tests.job_processes import job_processes

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class Powered:
    """`lockgate serve`; leaving the block cuts the power, as does `cut`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = StationPaths(root)
        self._errors = root.with_name(f"{root.name}.stderr")

    def __enter__(self) -> Powered:
        # Nicely, so that whoever wants to catch it in the middle is quicker.
        serve = ["serve", "-C", self.root, "--listen", "127.0.0.1:0"]
        with self._errors.open("ab") as errors:
            self._process = forked.start(serve, err=errors.fileno(), cwd=REPOSITORY_ROOT, session=True, nice=10)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the station did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        if error is not None:
            print(f"the error output of {self.root}:\n{self._errors.read_text(errors='replace')}")

    def cut(self) -> None:
        """SIGKILL to every process of the station at once: what is not durable now never will be. Harmless twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._gone()

    def kill(self) -> None:
        """SIGKILL to the one process that `lockgate serve` is."""
        self._process.kill()
        self._gone()

    def stop(self) -> None:
        """Let it stand still: it takes connections, and answers nothing."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After `stop`."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def _gone(self) -> None:
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        wait_for(lambda: not self._processes(), "every process of it ended with the station", every=0.02)

    def _processes(self) -> list[int]:
        """The processes of its session that are left."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid and fields[0] not in "ZX":
                    found.append(int(entry.name))
        return found

    def control_process(self) -> int:
        """The process that listens at the control socket (unix(7), SO_PEERCRED)."""
        with connect_to(self.paths.control_socket) as connection:
            found: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return found

    def job_processes(self) -> list[int]:
        """The processes of this station's jobs."""
        return [int(process.name) for process in job_processes(self.root)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the metadata says, read beside the station."""
        with contextlib.closing(sqlite3.connect(f"file:{self.paths.database}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()


def wait_for(condition: Callable[[], object], what: str, *, every: float = 0.002) -> None:
    """Wait until something is so, looking each `every` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not come: {what}"
        time.sleep(every)


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written again: inode, size, time of the last write (ns)."""
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
