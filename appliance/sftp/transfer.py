"""Many files by several connections: again after a cut, within the windows of time, and no faster than the limit."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from appliance.limits import transfer as limits
from appliance.settings.transfer_hosts import TransferHostSettings
from appliance.sftp.carry import Moved
from appliance.sftp.connection import CutError, Hosts, errors_named
from appliance.sftp.pace import Pace, opens
from bundles.io.work_threads import at_once
from bundles.ports import Progress

_LOOK: Final = 1.0
"""Seconds between two looks whether a window has closed, or opened."""

_PAUSE: Final = 0.25
_PAUSE_MOST: Final = 30.0
"""Seconds between two attempts: twice as long each time, from half a second on."""

Item = TypeVar("Item")


class _OutOfHoursError(Exception):
    """A window closed while bytes were on their way."""


class Transfer:
    """Work on the transfer host `name`. `progress` is told of `total` bytes in the phase `phase`."""

    def __init__(
        self, hosts: Hosts, name: str, settings: TransferHostSettings, progress: Progress, log: Callable[[str], object]
    ) -> None:
        self.name, self._hosts, self._settings = name, hosts, settings
        self._progress, self._log = progress, log
        self._phase, self._done, self._total = "", 0, 0
        self._pace = Pace(settings.rate)
        self._turn = threading.Lock()
        self._idle: list[tuple[contextlib.ExitStack, Any]] = []
        self._looked = 0.0

    def begin(self, phase: str, total: int) -> None:
        """Count from the beginning, in another phase."""
        self._phase, self._done, self._total = phase, 0, total
        self._progress(phase, 0, total)

    def close(self) -> None:
        """End the connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def run(self, work: Callable[[Any, Moved], Any]) -> Any:
        """Do `work` with a client of the host; from the beginning again where the connection is cut."""
        return self._again(work, self._mover(0))

    def each(self, work: Callable[[Any, Item, Moved], object], items: Sequence[tuple[Item, int]]) -> None:
        """As `run`, for each of `items`, several at once; beside it stand the bytes that it counts for."""

        def one(entry: tuple[Item, int]) -> None:
            item, share = entry
            moved = self._mover(share)
            self._again(lambda client, told: work(client, item, told), moved)
            moved.finish()

        at_once(one, items, self._settings.parallel)

    def _mover(self, share: int) -> _Share:
        return _Share(share, self._count, self._before)

    def _before(self, count: int) -> None:
        """Wait for the limit. Raises _OutOfHoursError, CancelledError."""
        moment = time.monotonic()
        if moment - self._looked > _LOOK:
            self._looked = moment
            if opens(self._settings.hours, datetime.now(UTC)) is not None:
                raise _OutOfHoursError
        self._pace.take(count)

    def _count(self, count: int) -> None:
        with self._turn:
            self._done = min(self._done + count, self._total)
            done = self._done
        self._progress(self._phase, done, self._total)

    def _again(self, work: Callable[[Any, Moved], Any], moved: _Share) -> Any:
        attempts, before = 0, moved.seen
        while True:
            self._wait_for_hours()
            try:
                with self._borrowed() as client:
                    return work(client, moved)
            except _OutOfHoursError:
                self.close()
            except CutError as error:
                attempts = 1 if moved.seen > before else attempts + 1
                before = moved.seen
                if attempts >= limits.SFTP_ATTEMPTS:
                    raise
                self._log(f"{error.what}: {error.thing}; trying again")
                self._pause(min(_PAUSE * 2.0**attempts, _PAUSE_MOST))

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Any]:
        """A client that no other thread has; one whose work failed is not used again."""
        with self._turn:
            found = self._idle.pop() if self._idle else None
        if found is None:
            stack = contextlib.ExitStack()
            found = stack, stack.enter_context(self._hosts.sftp(self.name))
        try:
            with errors_named(self.name):
                yield found[1]
        except BaseException:
            with contextlib.suppress(Exception):  # what closing says of a connection that was cut
                found[0].close()
            raise
        with self._turn:
            self._idle.append(found)

    def _wait_for_hours(self) -> None:
        while (opening := opens(self._settings.hours, datetime.now(UTC))) is not None:
            self._progress(f"wait for its hours, from {opening:%H:%M} UTC", self._done, self._total)
            time.sleep(_LOOK)

    def _pause(self, seconds: float) -> None:
        """Wait, and end at once where the job is cancelled."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._progress(self._phase, self._done, self._total)
            time.sleep(min(left, 0.2))


class _Share:
    """The bytes of one item: never more than its share is told, and all of it in the end."""

    def __init__(self, share: int, told: Callable[[int], object], before: Callable[[int], object]) -> None:
        self._left, self._told, self._before = share, told, before
        self.seen = 0

    def __call__(self, count: int) -> None:
        self._before(count)
        self.seen += count
        step = min(count, self._left)
        self._left -= step
        self._told(step)

    def finish(self) -> None:
        self._told(self._left)
        self._left = 0
