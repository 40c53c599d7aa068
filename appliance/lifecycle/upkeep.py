"""What the station does by itself for its store, beside the rereading: it checks the metadata after a start, empties
the graveyard, and gives back what clients were refused although it lies there.

A thread of the control process: a disk that hangs holds the thread, not the station.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from appliance import clock
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings
from appliance.lifecycle.graves import Graves
from appliance.lifecycle.metadata_check import check
from appliance.limits import lifecycle as limits
from appliance.program_log import say
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.integrity import WrongRow, last_check
from appliance.store.presence import StoreAwayError
from appliance.store.reads import garbage
from appliance.store.reads.row_repair import is_right_now
from appliance.store.writes.lifecycle import NoteUnread
from appliance.store.writes.tombstones import PruneTombstones
from bundles.errors import CancelledError, LockgateError

_ACTOR = "station"


def look_after(station: Station, attend: Callable[[], object] = lambda: None) -> None:
    """Give back what clients were refused, make damaged rows of whole blobs anew, then empty the graves whose time is
    over, and more where the disk needs the space. Raises LockgateError."""
    findings = Findings(station, _ACTOR, say)
    findings.give_back_unread()
    findings.put_noted_rows_right(BlobExaminer(station.blobs), lambda _: attend())
    graves = Graves(station, _ACTOR, attend)
    graves.empty(station.config.gc_grace_hours * 3600.0)
    graves.make_room()


def prune_tombstones(station: Station, attend: Callable[[], object] = lambda: None) -> None:
    """Forget links that went long ago, and the oldest of too many. Raises LockgateError."""
    before = clock.after(-limits.TOMBSTONE_LIFE)
    while station.writer.submit(PruneTombstones(before=before)):
        attend()


def find_missing(station: Station, attend: Callable[[], object] = lambda: None) -> None:
    """Give back every blob that the metadata names, whose file is missing and which lies in the graveyard; note others
    that are missing, so that the rereading looks at them first. A stat for each blob. Raises LockgateError."""
    findings, noted = Findings(station, _ACTOR, say), 0
    for number, digest in enumerate(garbage.digests(station.reader)):
        if number % limits.GC_PAGE == 0:
            attend()
        if not station.blobs.has_blob(digest) and not findings.give_back(digest) and noted < limits.DAMAGE_NAMED:
            noted += 1
            station.writer.submit(NoteUnread(digest=str(digest), why="its file is missing", at=clock.now()))


class RowsLooked:
    """Says when the metadata is to be checked again beside its turn: where readers met damaged rows since, and where
    somebody put right what the last check had named."""

    def __init__(self) -> None:
        self._known: frozenset[WrongRow] = frozenset()

    def looked(self, station: Station) -> None:
        """A check has ended."""
        self._known = frozenset(last_check(station.reader).rows)

    def is_due(self, station: Station) -> bool:
        """Some point reads for each row that is named."""
        rows = frozenset(last_check(station.reader).rows)
        return not rows <= self._known or (bool(rows) and all(is_right_now(station.metadata, row) for row in rows))


@contextlib.contextmanager
def upkeep(open_own: Callable[[], Station]) -> Iterator[threading.Event]:
    """Look after the store in a thread while the block runs, once in `limits.GRAVEYARD_LOOK`. `open_own` opens the
    station for it. Gives an event that says when the metadata was checked; `BeginCheck` was submitted before."""
    over, checked, pruning, missing = threading.Event(), threading.Event(), [0.0], [True]
    rows = RowsLooked()

    def attend() -> None:
        if over.is_set():
            raise CancelledError("the station stops")

    def look(station: Station) -> None:
        if not checked.is_set():
            check(station, _ACTOR, attend, say)
            checked.set()
            rows.looked(station)
        if missing[0]:
            missing[0] = False
            try:
                find_missing(station, attend)
            except StoreAwayError:
                missing[0] = True  # once it is back
                raise
        else:
            look_after(station, attend)
            if rows.is_due(station):
                check(station, _ACTOR, attend, say)
                rows.looked(station)
        if time.monotonic() >= pruning[0]:
            pruning[0] = time.monotonic() + limits.TOMBSTONES_LOOK
            prune_tombstones(station, attend)

    def go_on() -> None:
        while True:
            try:
                station = open_own()
                try:
                    look(station)
                finally:
                    station.metadata.close()
                    station.reader.close()
            except Exception as error:  # a damaged row gives any; the thread must not end by one
                if not over.is_set():
                    say(f"the store was not looked after: {said(error)}")
            if over.wait(limits.GRAVEYARD_LOOK):
                return

    thread = threading.Thread(target=go_on, name="upkeep", daemon=True)
    thread.start()
    try:
        yield checked
    finally:
        over.set()
        thread.join(1.0)


def said(error: Exception) -> str:
    """An error in a line, by its type where it is none that the program raises by itself."""
    expected = isinstance(error, LockgateError | EngineError | OSError)
    return str(error) if expected else f"{type(error).__name__}: {error}"
