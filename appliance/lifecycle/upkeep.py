"""What the station does by itself for its store, beside the rereading: it empties the graveyard, and gives back what
clients were refused although it lies there.

A thread of the control process: a disk that hangs holds the thread, not the station.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator

from appliance import limits
from appliance.lifecycle.damage import Findings
from appliance.lifecycle.graves import Graves
from appliance.station import Station
from bundles.errors import CancelledError, LockgateError

_ACTOR = "station"


def look_after(station: Station, attend: Callable[[], object] = lambda: None) -> None:
    """Give back what clients were refused, then empty the graves whose time is over, and more where the disk needs the
    space. Raises LockgateError."""
    Findings(station, _ACTOR, _say).give_back_unread()
    graves = Graves(station, _ACTOR, attend)
    graves.empty(station.config.gc_grace_hours * 3600.0)
    graves.make_room()


@contextlib.contextmanager
def upkeep(open_own: Callable[[], Station]) -> Iterator[None]:
    """Look after the store in a thread while the block runs, once in `limits.GRAVEYARD_LOOK`. `open_own` opens the
    station for it."""
    over = threading.Event()

    def attend() -> None:
        if over.is_set():
            raise CancelledError("the station stops")

    def go_on() -> None:
        while not over.wait(limits.GRAVEYARD_LOOK):
            try:
                station = open_own()
                try:
                    look_after(station, attend)
                finally:
                    station.metadata.close()
                    station.reader.close()
            except (LockgateError, sqlite3.Error, OSError) as error:
                if not over.is_set():
                    _say(f"the store was not looked after: {error}")

    thread = threading.Thread(target=go_on, name="upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)


def _say(text: str) -> None:
    print(f"lockgate: {text}", file=sys.stderr, flush=True)
