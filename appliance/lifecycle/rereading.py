"""The station's own rereading: every blob from the disk once in an interval, slowly, whether or not anybody pulls it.

Beside `lockgate scrub`, which reads as fast as it can and has a place of its own. What it finds is treated alike
(appliance.lifecycle.damage). A thread of the control process: reading and hashing release the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from appliance import clock
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings
from appliance.lifecycle.described import Described
from appliance.lifecycle.upkeep import said
from appliance.limits import lifecycle as limits
from appliance.program_log import say
from appliance.station import Station
from appliance.store.reads.upkeep import blobs_after, last_reread
from appliance.store.writes.lifecycle import SaveReread
from bundles.errors import MalformedError
from bundles.oci.digest import Digest

_ACTOR = "station"


class _StoppedError(Exception):
    """The station stops."""


class Rereading:
    """One pass after another over `station`, a new one at most every `interval` seconds.

    `pause` waits so many seconds, and says whether to stop.
    """

    def __init__(
        self,
        station: Station,
        interval: float,
        pause: Callable[[float], bool],
        log: Callable[[str], object],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._station, self._interval, self._pause, self._now = station, interval, pause, now
        self._looker = BlobExaminer(station.blobs, self._rest)
        self._findings = Findings(station, _ACTOR, log)
        self._described = Described(station, _ACTOR, log)
        self._rate = float(limits.REREAD_RATE)
        self._free = now()
        self._saved = now()

    def run(self) -> None:
        """Until `pause` says stop. Raises LockgateError, EngineError: begin again later, it goes on where it was."""
        with contextlib.suppress(_StoppedError):
            while True:
                due = self._due()
                if due > 0:
                    self._rest(min(due, limits.REREAD_LOOK))
                else:
                    self._pass()

    def _rest(self, seconds: float) -> None:
        if self._pause(seconds):
            raise _StoppedError

    def _row(self) -> tuple[str, str, str | None]:
        """Position, begin and end of the pass that was last at work."""
        found = last_reread(self._station.reader)
        return ("", "", None) if found is None else (found.position, found.started, found.finished)

    def _due(self) -> float:
        """Seconds until a pass is due; one that did not end is. A clock that was set back delays none for longer than
        the interval."""
        _, started, finished = self._row()
        if finished is None:
            return 0.0
        since = clock.seconds(clock.now()) - clock.seconds(started)
        return self._interval - max(since, 0)

    def _pass(self) -> None:
        position, started, finished = self._row()
        if finished is not None or not started:
            position, started = "", clock.now()
        total = self._station.metadata.totals()[1]
        self._rate = max(float(limits.REREAD_RATE), total / (self._interval * limits.REREAD_SHARE))
        self._free = self._now()
        try:
            self._findings.heal_all(self._looker, self._attend)
            self._findings.read_all_again(self._looker, self._attend)
            for digest, size in self._blobs_after(position):
                looked = self._looker.look(digest, size, self._attend)
                self._findings.take(digest, looked, size)
                if looked.whole:
                    self._described.check(digest)
                position = str(digest)
                if self._now() - self._saved > limits.REREAD_LOOK:
                    self._save(position, started)
                    self._findings.read_all_again(self._looker, self._attend)
        except _StoppedError:
            self._save(position, started)
            raise
        self._save(position, started, clock.now())

    def _blobs_after(self, position: str) -> Iterator[tuple[Digest, int]]:
        while rows := blobs_after(self._station.reader, position, limits.SCRUB_BATCH):
            for text, size in rows:
                with contextlib.suppress(MalformedError):  # the check of the metadata names such a row
                    yield Digest.parse(text), size
            position = rows[-1][0]

    def _save(self, position: str, started: str, finished: str = "") -> None:
        self._station.writer.submit(SaveReread(position=position, started=started, finished=finished))
        self._saved = self._now()

    def _attend(self, count: int) -> None:
        """Keep to the rate: after `count` bytes the next may be read so much later."""
        moment = self._now()
        self._free = max(self._free, moment) + count / self._rate
        self._rest(self._free - moment)


@contextlib.contextmanager
def rereading(open_own: Callable[[], Station], interval: float) -> Iterator[None]:
    """Reread in a thread while the block runs, first after `limits.REREAD_AFTER`. `open_own` opens the station for it.

    A disk that hangs holds the thread, not the station: nobody waits for it for longer than a second.
    """
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(limits.REREAD_AFTER):
            try:
                station = open_own()
                try:
                    Rereading(station, interval, over.wait, say).run()
                finally:
                    station.metadata.close()
                    station.reader.close()
            except Exception as error:  # a damaged row gives any; the thread must not end by one
                if not over.is_set():
                    say(f"the rereading of the store is interrupted: {said(error)}")

    thread = threading.Thread(target=go_on, name="rereading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)
