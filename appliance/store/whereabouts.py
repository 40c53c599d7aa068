"""Where a station's metadata is: in the file of its folder, or in a database that the note beside it names.

The note (`metadata.json`) is made with the station, and decides alone: every process and command of the folder finds
the same database by it, whatever somebody writes into config.toml meanwhile. `serve` holds the two against each other
before anything starts. A station whose metadata is in its folder has no note, and asks nothing further.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.limits import store as limits
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.files import read_small, sync_folder, write_atomic

T = TypeVar("T")


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The note: the URL of the database without a password; the station's id, 32 hex digits at random, and its site,
    which stand in the database too."""

    url: str
    station: str
    site: str


def note_file(database: Path) -> Path:
    """The note beside where the station's database would be."""
    return database.with_suffix(".json")


def note_identity(database: Path) -> tuple[int, int] | None:
    """Another value once the note is another one; None where there is none. Raises OSError."""
    try:
        found = note_file(database).lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def noted(database: Path) -> Whereabouts | None:
    """The note; None where the metadata is in the folder. Raises FailedError for what is no note."""
    return read_note(note_file(database), Whereabouts, "metadata is")


def note(database: Path, where: Whereabouts) -> None:
    """Write the note, or another one in its place. Raises FailedError."""
    write_atomic(note_file(database), msgspec.json.encode(where), 0o600, owned=True)


def unnote(database: Path) -> None:
    """Take the note away: the metadata is in the file of the folder, which is in its place. Raises OSError."""
    note_file(database).unlink(missing_ok=True)
    sync_folder(database.parent)


def is_made(database: Path) -> bool:
    """Whether a station has metadata yet: its file is there, or it is in a database elsewhere. Raises FailedError."""
    return database.is_file() or noted(database) is not None


def is_elsewhere(database: Path) -> bool:
    """Whether the metadata is in no file of the folder. Raises FailedError."""
    return noted(database) is not None


def place_of(database: Path) -> str:
    """Where the metadata is, in words: the file, or the URL. Raises FailedError."""
    found = noted(database)
    return str(database) if found is None else found.url


def refuse_elsewhere(database: Path, what: str) -> None:
    """Go on only with metadata in a file of the folder. Raises RefusedError naming what cannot be done."""
    found = noted(database)
    if found is not None:
        raise RefusedError(
            f"{what}: its metadata is in PostgreSQL",
            thing=found.url,
            remedy="restore that database from its own backups (docs/howto/scale-out.md)",
        )


def read_note(path: Path, kind: type[T], what: str) -> T | None:
    """The note in a file; None where there is none, which costs one system call. `what` is in words what it is about
    ("metadata is"). Raises FailedError for what is no note."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, what, error.strerror or "") from None
    try:
        return msgspec.json.decode(read_small(path, limits.METADATA_NOTE), type=kind)
    except (msgspec.DecodeError, LockgateError) as error:
        raise _unreadable(path, what, str(error)[:160]) from None


def _unreadable(path: Path, what: str, why: str) -> FailedError:
    return FailedError(
        f"it cannot be read where the station's {what}",
        thing=f"{path} ({why})",
        remedy="put this file back from a copy of the station's folder; it holds no secret",
    )
