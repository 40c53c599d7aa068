"""A station's metadata in PostgreSQL: how its database is opened, made, taken up at another place, and given back."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.settings.metadata import shown
from appliance.store.listening import is_heard
from appliance.store.moving.file_side import FileSource, FileTarget, mark_file_moved
from appliance.store.moving.sides import Source, Target
from appliance.store.moving.state import Move
from appliance.store.whereabouts import Whereabouts, note, note_file, noted
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.io.files import read_small

if TYPE_CHECKING:
    from appliance.store.postgres.engine import PostgresEngine

CREDENTIAL: Final = "metadata-password"
"""The systemd credential with the password of the station's account in PostgreSQL."""
_EXPOSED: Final = stat.S_IRWXG | stat.S_IRWXO


def source_of(database: Path) -> PostgresEngine | None:
    """What opens the metadata; None where that is the file itself. About 2 µs where there is no note.

    Raises FailedError where the note or the extra `scale` is missing or unfit, RefusedError for an exposed password.
    """
    found = noted(database)
    return None if found is None else engine_at(database, found)


def engine_at(database: Path, where: Whereabouts) -> PostgresEngine:
    """The engine for a database that is the station's. Raises as `source_of`."""
    return _made(database, where.url, where)


def _anybodys(database: Path, url: str) -> PostgresEngine:
    """The engine for a database whoever's it is."""
    return _made(database, url, None)


def _made(database: Path, url: str, where: Whereabouts | None) -> PostgresEngine:
    try:
        from appliance.store.postgres.engine import PostgresEngine
    except ModuleNotFoundError as error:
        raise FailedError(
            f"the metadata is in PostgreSQL, and this installation has no client for it ({error.name})",
            thing=shown(url),
            remedy="install Lockgate with the extra scale (docs/howto/scale-out.md)",
        ) from None
    password = _password(StationPaths(database.parent))
    return PostgresEngine(url, where, password=password, is_heard=lambda: is_heard(database))


def make_elsewhere(database: Path, url: str, site: str) -> Whereabouts:
    """Make the metadata of a new station in an empty database, and the note of it. Raises FailedError, RefusedError."""
    where = Whereabouts(url=url, station=secrets.token_hex(16), site=site)
    _anybodys(database, url).claim(where)
    note(database, where)
    return where


def unmake_elsewhere(database: Path, where: Whereabouts) -> None:
    """Take back what `make_elsewhere` made: the station was not made in the end. Raises FailedError."""
    _anybodys(database, where.url).let_go(where)
    note_file(database).unlink(missing_ok=True)


def require_free(database: Path, url: str) -> None:
    """Go on only with a database that can become a new station's. Changes nothing. Raises FailedError, RefusedError."""
    _anybodys(database, url).require_free()


def require_agreement(database: Path, url: str) -> bool:
    """Go on only where config.toml (`url`) and the note agree on where the metadata is. Whether the settings name
    another place of the same database, which answers there: `go_elsewhere` takes it up. Raises UsageError, FailedError.
    """
    found = noted(database)
    if found is None and not url:
        return False
    if found is None:
        raise UsageError(
            "the station's metadata is in its folder, and moves to no other place",
            thing=f"metadata.url = {shown(url)}",
            remedy='write url = "" below [metadata]; a new station takes it: lockgate init DIR --metadata URL',
        )
    if not url:
        raise UsageError(
            "the station's metadata is in PostgreSQL, and config.toml does not say so",
            thing="metadata.url",
            remedy=f'write url = "{found.url}" below [metadata]',
        )
    if url == found.url:
        return False
    engine_at(database, msgspec.structs.replace(found, url=url)).open_reader().close()
    return True


def go_elsewhere(database: Path, url: str) -> None:
    """Take up that the station's database is at another place now; no process of the station runs. Raises FailedError,
    UsageError."""
    found = noted(database)
    if found is not None and require_agreement(database, url):
        note(database, msgspec.structs.replace(found, url=url))


def move_source(database: Path, move: Move) -> Source:
    """What a move copies from. Raises FailedError, RefusedError."""
    if move.came_from is None:
        return FileSource(database)
    from appliance.store.postgres.moving import PostgresSource

    return PostgresSource(engine_at(database, move.came_from))


def move_target(database: Path, move: Move) -> Target:
    """What a move fills. Raises FailedError, RefusedError."""
    if move.goes_to is None:
        return FileTarget(database, "" if move.came_from is None else move.came_from.station, move.at)
    engine = _anybodys(database, move.goes_to.url)
    from appliance.store.postgres.moving import PostgresTarget

    return PostgresTarget(engine, move.goes_to)


def mark_moved(database: Path, move: Move, place: str) -> None:
    """Say in the old database of a move that was switched where its metadata is. Raises FailedError, EngineError."""
    if move.came_from is None:
        mark_file_moved(database, place, move.at)
        return
    from appliance.store.postgres.moving import mark_database_moved

    mark_database_moved(engine_at(database, move.came_from), move.came_from, place, move.at)


def _password(paths: StationPaths) -> str:
    """The first line of the credential, else of `keys/metadata.secret`; "" where there is neither: libpq's own means
    count then (a passfile, a certificate, the system account). Raises RefusedError, UsageError, FailedError."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / CREDENTIAL if folder else None
    if path is None or not path.is_file():
        path = paths.metadata_secret
        if not path.is_file():
            return ""
        if path.stat().st_mode & _EXPOSED:
            raise RefusedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")
    try:
        return read_small(path, limits.METADATA_NOTE).split(b"\n", 1)[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise UsageError("a password is no text", thing=str(path), remedy="write it in UTF-8, on one line") from None
