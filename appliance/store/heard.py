"""What a process hears of commits in a database that other machines may write to, too.

A thread of the process listens (`Ear`): it wakes with each commit that says so, and asks the server four times a second
all the same. What was heard counts for a second from the moment it was asked for. After that nothing that was decided
before may be relied on: who asks gets a `StaleError`, and the answer 503 with Retry-After, until the server is heard
again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol

from appliance.limits import store as limits
from appliance.store.elsewhere import source_of
from appliance.store.errors import EngineError
from appliance.store.listening import enter
from bundles.errors import FailedError, LockgateError

_log: Final = logging.getLogger(__name__)
_ASKED: Final = 0.25
"""Seconds between two questions to a server that says nothing by itself."""
_RETRY: Final = 0.1


class StaleError(FailedError):
    """The server was not heard for a second: what is known of the metadata may not be so any more."""

    def __init__(self) -> None:
        super().__init__(
            "the metadata's server is not heard, and nothing is served that may have changed",
            remedy="see that it runs and is reached; the station goes on by itself",
        )


class Ear(Protocol):
    """A connection that listens. Every method raises EngineError."""

    def ask(self) -> tuple[int, int]:
        """The epoch, and a number that is another one after each commit."""
        ...

    def wait(self, seconds: float) -> None:
        """Until a commit is told, or the time is over."""
        ...

    def close(self) -> None: ...


class Heard:
    """One process's. `commits` and `epochs` go up with each change that was heard, and with each new connection."""

    def __init__(self, open_ear: Callable[[], Ear]) -> None:
        self._open = open_ear
        self._commits = self._epochs = 0
        self._state: tuple[int, int] | None = None
        self._until = 0.0
        self._first = threading.Event()
        threading.Thread(target=self._listen, name="commits", daemon=True).start()
        self._first.wait(limits.POSTGRES_CONNECT)

    def commits(self) -> int:
        """Another number once anybody has committed anything. Raises StaleError."""
        if time.monotonic() > self._until:
            raise StaleError
        return self._commits

    def epochs(self) -> int:
        """Another number once the epoch was moved. Raises StaleError."""
        if time.monotonic() > self._until:
            raise StaleError
        return self._epochs

    @property
    def is_current(self) -> bool:
        """Whether what was heard last counts still."""
        return time.monotonic() <= self._until

    def _listen(self) -> None:
        said = False
        while True:
            try:
                with closing(self._open()) as ear:
                    self._state = None
                    said = False
                    self._follow(ear)
            except (EngineError, LockgateError, OSError) as error:
                if not said:
                    _log.warning("the metadata's server is not heard: %s", error)
                said = True
                time.sleep(_RETRY)

    def _follow(self, ear: Ear) -> None:
        while True:
            asked = time.monotonic()
            found = ear.ask()
            if self._state is None or found[1] != self._state[1]:
                self._commits += 1
            if self._state is None or found[0] != self._state[0]:
                self._epochs += 1
            self._state = found
            self._until = asked + limits.POSTGRES_HEARD
            self._first.set()
            ear.wait(_ASKED)


_processes: dict[tuple[int, Path], Heard] = {}
_turn = threading.Lock()


def heard(database: Path) -> Heard:
    """What this process hears of a station's database elsewhere; it begins to listen with the first call, which waits
    for the server some seconds at most. A process that was forked listens for itself."""
    key = os.getpid(), database
    found = _processes.get(key)
    if found is None:
        with _turn:
            found = _processes.get(key)
            if found is None:
                found = _processes[key] = Heard(lambda: _ear(database))
                enter(database, found)
    return found


def _ear(database: Path) -> Ear:
    source = source_of(database)
    if source is None:
        raise FailedError("the note of where the metadata is has gone", thing=str(database), remedy="put it back")
    return source.open_ear()
