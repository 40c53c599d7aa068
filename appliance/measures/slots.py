"""The cells of all processes of a station: a mapped file for each slot, named by the slot and not by the process.

A worker that is started again goes on in its predecessor's file. So counters never fall while the station runs, and
there are as many files as slots, however many processes died.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import shutil
from array import array
from pathlib import Path
from typing import Final

from appliance.limits import store as limits
from appliance.measures.series import CELL, Counts, Layout
from appliance.program_log import say
from appliance.settings.slo import SloSettings
from bundles.io.files import failures_named

CONTROL: Final = "control"
"""The slot of the control process; workers have `worker-N`."""


class Slots:
    """The slots of a station whose files are in `folder`; None: in memory, for one process alone."""

    def __init__(self, layout: Layout, folder: Path | None = None, slo: SloSettings | None = None) -> None:
        """`slo`: the settings that the layout counts for, as they were when the station started; None: the defaults."""
        self.layout, self._folder = layout, folder
        self.slo = slo or SloSettings()
        self._unfiled: list[Counts] = []
        self._filed: dict[Path, Counts] = {}

    def prepare(self) -> None:
        """Begin at zero; before any process is started, and while no other station runs here. Raises FailedError."""
        if self._folder is None:
            return
        with failures_named(self._folder, "the station cannot be started"):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._folder)
            self._folder.parent.mkdir(mode=0o710, exist_ok=True)  # somebody emptied the station's folder of sockets
            self._folder.mkdir(mode=0o700)

    def open(self, slot: str) -> Counts:
        """The cells of a slot that no other process has. Where the disk has no room for them they are in memory, and
        nobody else sees them: a page that the disk has no room for would kill the process (SIGBUS)."""
        size = self.layout.cells * CELL
        if self._folder is not None:
            try:
                counts = Counts(self.layout, _mapped(self._folder / slot, size))
            except OSError as error:
                with contextlib.suppress(OSError):  # the error output may be a file on the same disk
                    say(f"requests are not counted: {error}")
            else:
                self._filed[self._folder / slot] = counts
                return counts
        counts = Counts(self.layout, memoryview(bytearray(size)).cast("d"))
        self._unfiled.append(counts)
        return counts

    async def keep_filed(self) -> None:
        """Make the files of this process's slots again where somebody removed them: they go on with what was counted.
        Until cancelled."""
        while True:
            await asyncio.sleep(limits.RESERVE_LOOK)
            for path, counts in self._filed.items():
                with contextlib.suppress(OSError):  # a disk without room: the next look tries again
                    if not path.exists():
                        path.parent.parent.mkdir(mode=0o710, exist_ok=True)
                        path.parent.mkdir(mode=0o700, exist_ok=True)
                        counts.move_to(_mapped(path, self.layout.cells * CELL))

    def totals(self) -> list[float]:
        """The sum of each cell over all slots. Blocking: it reads small files."""
        sums = [0.0] * self.layout.cells
        found = [counts.read(0, self.layout.cells) for counts in self._unfiled]
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):  # somebody removed it: it is made again in a moment
                found += map(_read, sorted(self._folder.iterdir()))
        for cells in found:
            if len(cells) == len(sums):  # a slot that is being opened has none yet
                sums = [before + more for before, more in zip(sums, cells, strict=True)]
        return sums


def _mapped(path: Path, size: int) -> memoryview[float]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        return memoryview(mmap.mmap(fd, size)).cast("d")
    finally:
        os.close(fd)


def _read(path: Path) -> list[float]:
    cells = array("d")
    with contextlib.suppress(OSError, ValueError):
        cells.frombytes(path.read_bytes())
    return cells.tolist()
