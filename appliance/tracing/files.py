"""The files of spans: each process of the station has its own, of a size that is bounded, written by a thread.

`SLOT.jsonl` is written; once it is full it becomes `SLOT.1.jsonl`, and that one `SLOT.2.jsonl` and so on; the oldest
goes. What follows files by their beginnings, as a collector does, reads on in the one that was renamed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from appliance.limits import station as limits
from appliance.store.reserve import Reserve
from appliance.tracing.spans import Resource, Span

_log: Final = logging.getLogger(__name__)
_NAME: Final = re.compile(r"(?P<slot>control|worker-[0-9]+)(?:\.[0-9]+)?\.jsonl\Z")


class SpanFiles:
    """One process's files of spans."""

    def __init__(
        self, folder: Path, resource: Resource, most: int, reserve: Reserve, lost: Callable[[int], object]
    ) -> None:
        """`most`: bytes that all files of this process have together. `lost` is told, in the writing thread, how many
        spans were not written: the disk took them not, or has no room but its reserve."""
        self._folder, self._slot, self._resource = folder, resource.process, resource
        self._most, self._reserve, self._lost = most // limits.TRACE_FILES, reserve, lost
        self._waiting: queue.Queue[Sequence[Span] | None] = queue.Queue(limits.TRACES_WAITING)
        self._thread: threading.Thread | None = None
        self._fails = False

    def take(self, spans: Sequence[Span]) -> bool:
        """Have spans written, soon; False where too many wait, and these are dropped. Never blocks."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="spans", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(spans)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Write what waits, for two seconds at most. Blocking."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=1)
            self._thread.join(1)
            self._thread = None

    def _write(self) -> None:
        goes_on = True
        while goes_on:
            spans: list[Span] = []
            found = self._waiting.get()
            while found is not None:
                spans += found
                if len(spans) >= limits.TRACE_LINE:
                    break
                try:
                    found = self._waiting.get(timeout=limits.TRACE_GATHER)
                except queue.Empty:
                    break
            goes_on = found is not None
            if spans:
                self._append(spans)

    def _append(self, spans: list[Span]) -> None:
        why = ""
        try:
            why = self._reserve.read_only()
            if not why:
                self._append_line(self._resource.line_of(spans))
        except OSError as error:
            why = str(error)
        if why:
            self._lost(len(spans))
            if not self._fails:
                _log.warning("spans are not written: %s", why)
        self._fails = bool(why)

    def _append_line(self, line: bytes) -> None:
        """Raises OSError: no part of the line is in the file then, where the disk still lets it be cut."""
        path = self._folder / f"{self._slot}.jsonl"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            before = os.fstat(descriptor).st_size
            if before and before + len(line) > self._most:
                os.close(descriptor)
                descriptor = -1
                self._turn(path)
                self._append_line(line)
                return
            left = memoryview(line)
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _turn(self, path: Path) -> None:
        """Begin a new file; the oldest one goes."""
        names = [path, *(self._folder / f"{self._slot}.{number}.jsonl" for number in range(1, limits.TRACE_FILES))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)


def clear(folder: Path, slots: Collection[str]) -> None:
    """Remove files of processes that the station has no more, so that all of them stay within their bound. A file of
    another name is left."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            found = _NAME.match(path.name)
            if found is not None and found["slot"] not in slots:
                path.unlink()
