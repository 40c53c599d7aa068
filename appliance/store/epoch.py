"""The epoch where every process of the station sees it without asking the engine: bytes that they share.

The writer moves it between a commit and the first that hears of it, so that what somebody was told is revoked is
revoked on every worker from then on. Asking SQLite takes two locks and about 10 µs of a worker's time, this 0.2 µs.

What is shown is a count of its own, which goes up alone: with each commit that moved the number in the database, with
each that found it changed by hand, and with each start, since a control process may have been killed between a commit
and the telling. Whoever sets the number in the database back brings back nothing that was decided under it.

Behind it stand eight bytes that acts on the station's folder change, which need no running station: on pinned keys and
the policy for images. The truth of these are the files. The last eight count commits to a database elsewhere, which
others may write to as well: what they do is heard (appliance.store.heard).
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import secrets
import struct
from pathlib import Path
from typing import Final, Protocol

from appliance.store.heard import heard
from appliance.store.ports import Connection
from appliance.store.whereabouts import is_elsewhere
from bundles.io.files import own_as_folder

_log: Final = logging.getLogger(__name__)
_NUMBER: Final = struct.Struct("<Q")
_SEEN: Final = 2 * _NUMBER.size
_SIZE: Final = 3 * _NUMBER.size
_MOST: Final = 2**62
"""Beyond this nothing has counted: SQLite's integers end at 2**63."""


def epoch_file(database: Path) -> Path:
    """The file beside a database."""
    return database.with_name(f"{database.name}-epoch")


def tell_of_files(database: Path) -> None:
    """Say that files of the station's folder were changed, to processes that look at them. Where that cannot be said,
    or no process ever asked, nothing happens: who rests on such files looks at them every so often, too."""
    if epoch_file(database).exists():
        with contextlib.suppress(OSError):
            SharedEpoch(database).change_files()


class Epoch(Protocol):
    """The epoch as a process sees it."""

    def seen(self) -> bytes:
        """As it is now: to be compared with what was seen before, and nothing else. Half a number is a change, too.
        Raises appliance.store.heard.StaleError where nobody knows."""
        ...


def epoch_of(database: Path) -> Epoch:
    """The epoch of a station, wherever its metadata is. Raises OSError, FailedError."""
    return HeardEpoch(database) if is_elsewhere(database) else SharedEpoch(database)


class SharedEpoch:
    """The bytes beside a database; made where they are not there yet."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        descriptor = os.open(epoch_file(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            own_as_folder(descriptor, database.parent)
            os.posix_fallocate(descriptor, 0, _SIZE)  # a page that the disk has no room for would be a SIGBUS
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    def move(self) -> None:
        """Another number than any before; the writer's alone."""
        (before,) = _NUMBER.unpack_from(self._map)
        _NUMBER.pack_into(self._map, 0, (before + 1) % 2**64)

    def change_files(self) -> None:
        """Say that files of the folder were changed: another number than any before."""
        self._map[_NUMBER.size : _SEEN] = secrets.token_bytes(_NUMBER.size)

    def seen(self) -> bytes:
        """As Epoch.seen."""
        return self._map[:_SEEN]

    def count_commit(self) -> None:
        """Count a commit to a database elsewhere; the writer's alone."""
        _NUMBER.pack_into(self._map, _SEEN, (self.commits() + 1) % 2**64)

    def commits(self) -> int:
        """How many this machine's writer has counted."""
        return int(_NUMBER.unpack_from(self._map, _SEEN)[0])


class HeardEpoch:
    """The epoch of a database that others may write to, too: what this machine's writer shares, at once, and what the
    process heard of all of them."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        self._database, self._shared = database, SharedEpoch(database)

    def seen(self) -> bytes:
        """As Epoch.seen. About 2 µs."""
        return self._shared.seen() + _NUMBER.pack(heard(self._database).epochs())


class CommitCount:
    """Says whether anything was committed to a database elsewhere, as `PRAGMA data_version` does of a file."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        self._database, self._shared = database, SharedEpoch(database)

    def now(self) -> int:
        """Another number once anybody has committed anything: this machine's writer at once, others as soon as the
        process heard of it. Raises StaleError."""
        return (self._shared.commits() << 64) + heard(self._database).commits()


class EpochKeeper:
    """Compares the number in the database with what the writer left there, and moves the shared one; the writer's."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        self._shared, self._is_elsewhere = SharedEpoch(database), is_elsewhere(database)
        self._shared.move()
        self._left: int | None = None
        self._in_group: int | None = None

    def begin(self, db: Connection) -> None:
        """At the beginning of a transaction: put the number right where it is not what was left there. A number that
        cannot be counted up would refuse every revocation, and no row would let each of them pass unseen."""
        row = db.execute("SELECT value FROM epoch").fetchone()
        found = None if row is None else int(row[0])
        if found is not None and found == self._left:
            return
        if self._left is not None:
            _log.error("the epoch in the metadata was changed by hand: what was decided under it counts no more")
        elif found is not None and 0 < found < _MOST:
            self._left = found
            return
        db.execute(
            "INSERT INTO epoch (id, value) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            ((self._left or 0) + 1,),
        )

    def end(self, db: Connection) -> None:
        """At the end of that transaction, before its commit."""
        self._in_group = int(db.execute("SELECT value FROM epoch").fetchone()[0])

    def tell(self) -> None:
        """Behind the commit, before anybody hears of it."""
        if self._is_elsewhere:
            self._shared.count_commit()
        if self._in_group != self._left:
            self._left = self._in_group
            self._shared.move()
