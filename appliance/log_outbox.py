"""Lines of the program's log that wait for the site's collector: files in a folder of the station, `log-outbox/`.

Each process appends to files of its own, named `<nanoseconds>-<process>-<pid>.jsonl`, so that no two write to one. A
file that is full is followed by the next. Where the folder holds more than `limits.LOG_OUTBOX` bytes the oldest file
goes, and the next line says how many lines went with it. The control process sends them and removes what was sent
(appliance.control.program_log_sending).
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final, TextIO

from appliance.limits import forwarding as limits

SUFFIX: Final = ".jsonl"


class Outbox:
    """Where a process writes its lines, for `appliance.log_lines.QueuedHandler`; each line in one piece."""

    def __init__(self, folder: Path, process: str) -> None:
        self._folder, self._process = folder, process
        self._file: TextIO | None = None
        self._pid = self._size = 0

    def write(self, line: str) -> object:
        """Append a line of JSON with its newline. Raises OSError."""
        lost = 0
        if self._file is None or self._pid != os.getpid() or self._size >= limits.LOG_OUTBOX_FILE:
            lost = self._next()
        if lost:
            line = f'{line.rstrip()[:-1]},"lost":{lost}}}\n'
        self._size += len(line)
        assert self._file is not None  # noqa: S101  it was opened above
        return self._file.write(line)

    def flush(self) -> object:
        """Hand what was written to the system. Raises OSError."""
        return None if self._file is None else self._file.flush()

    def _next(self) -> int:
        """Begin a file; how many lines had to go for it."""
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        lost = _make_room(self._folder)
        self._pid, self._size = os.getpid(), 0
        path = self._folder / f"{time.time_ns():020}-{self._process}-{self._pid}{SUFFIX}"
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        return lost


def files_of(folder: Path) -> list[Path]:
    """The files of an outbox, the oldest first; what has another name is none. Raises OSError."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []


def is_over(path: Path, files: list[Path]) -> bool:
    """Whether nothing more is written to a file: its process has begun another one, or is gone."""
    _, _, writer = path.name.partition("-")
    if any(other.name.partition("-")[2] == writer and other.name > path.name for other in files):
        return True
    pid = path.stem.rpartition("-")[2]
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _make_room(folder: Path) -> int:
    files = files_of(folder)
    sizes = {path: _size(path) for path in files}
    lost, total = 0, sum(sizes.values())
    for path in files:
        if total <= limits.LOG_OUTBOX - limits.LOG_OUTBOX_FILE:
            break
        with contextlib.suppress(OSError):
            lines = path.read_bytes().count(b"\n")
            path.unlink()
            lost += lines
        total -= sizes[path]
    return lost


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
