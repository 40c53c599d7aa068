"""Measures a station's jobs from outside: peak memory and bytes written, read from /proc."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytest

from tests.job_processes import job_processes


@dataclass
class JobMeter:
    """Watches the processes of the running station in `folder`, and those of its jobs, while the `with` block runs.

    Afterwards `peak_memory` is the largest VmHWM seen of a job (bytes), and `written` what the station and the jobs
    that ended caused to be sent to the storage layer (write_bytes of proc(5), bytes). The kernel adds a child's
    counters to its parent's when the child is waited for, so nothing a job wrote just before it ended is missed.
    """

    folder: Path
    peak_memory: int = 0
    written: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> JobMeter:
        self._station = list(self._processes(b"serve"))
        self._before = sum(map(_write_bytes, self._station))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.written = sum(map(_write_bytes, self._station)) - self._before

    def _watch(self) -> None:
        while not self._stop.is_set():
            for process in job_processes(self.folder):
                with contextlib.suppress(OSError, IndexError):
                    peak = int((process / "status").read_text().split("VmHWM:")[1].split()[0]) * 1024
                    self.peak_memory = max(self.peak_memory, peak)
            time.sleep(0.05)

    def _processes(self, word: bytes) -> Iterator[Path]:
        """The /proc folders of the processes with this word, and the station's folder, among their arguments."""
        folder = str(self.folder).encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                if word in arguments and folder in arguments:
                    yield process


def _write_bytes(process: Path) -> int:
    counters = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
    return int(counters["write_bytes"])


def require_disk(folder: Path) -> None:
    """Skip the test where nothing written in `folder` reaches a storage layer: files in memory count no bytes."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(len(point), kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    if above and max(above)[1] in ("tmpfs", "ramfs"):  # in a chroot the mount of its root is not listed
        pytest.skip(f"{folder} is in memory: set TMPDIR to a folder on a disk")


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that the work goes through."""
    count = 0

    def trace(_frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
