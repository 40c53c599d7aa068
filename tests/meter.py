"""Measures a station's jobs from outside: peak memory and bytes written, read from /proc while they run."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


@dataclass
class JobMeter:
    """Watches every job process of the station in `folder` while the `with` block runs.

    Afterwards `peak_memory` is the largest VmHWM seen (bytes) and `written` the sum of each process's write_bytes
    (proc(5): bytes this process caused to be sent to the storage layer).
    """

    folder: Path
    peak_memory: int = 0

    def __post_init__(self) -> None:
        self._written: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def written(self) -> int:
        return sum(self._written.values())

    def __enter__(self) -> JobMeter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        needle = str(self.folder).encode()
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    command = (process / "cmdline").read_bytes()
                    if b"job_runner" in command and needle in command:
                        self._look_at(process)
            time.sleep(0.05)

    def _look_at(self, process: Path) -> None:
        status = (process / "status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
        self.peak_memory = max(self.peak_memory, peak)
        counters = dict(line.split(": ") for line in (process / "io").read_text().splitlines())
        self._written[int(process.name)] = int(counters["write_bytes"])
