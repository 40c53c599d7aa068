"""The file that a rebuild works in: begun from what is left of the lost database, and put in its place at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from appliance import clock
from appliance.paths import StationPaths
from appliance.store import commits
from appliance.store.database_file import come_to_rest, copy_database, write_back
from bundles.io.files import sync_folder, write_atomic


def begin(paths: StationPaths, target: Path, in_order: Callable[[Path], bool], *, usable: bool, fresh: bool) -> None:
    """Make the file to work in: a copy of the database where that can be read, else an empty one. One of an earlier
    run is gone on with, if it was made from the same. `in_order` brings a copy into order, and says whether it can be
    gone on with."""
    origin = _print_of(paths.database) if usable else "nothing"
    said = target.with_name(f"{target.name}-from")
    with suppress(OSError):
        if not fresh and target.exists() and said.read_text() == origin:
            return
    remove(target)
    if usable:
        copy_database(paths.database, target)
        if not in_order(target):
            remove(target)
    # The copying may have brought a write-ahead log into the database.
    write_atomic(said, (_print_of(paths.database) if usable else origin).encode(), 0o600, owned=True)


def _print_of(path: Path) -> str:
    status = path.stat()
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def remove(target: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-from", "-epoch", "-commits"):
        target.with_name(f"{target.name}{suffix}").unlink(missing_ok=True)


def take_place(paths: StationPaths, *, usable: bool) -> None:
    """Put the new database in the place of the lost one, which is kept under another name. A write-ahead log that
    belongs to the lost one must not be beside the new one at any moment."""
    database, new = paths.database, paths.rebuilding
    at = clock.now().replace(":", "").replace("-", "").lower()
    if usable:
        write_back(database)
    kept = next(name for name in _names(f"{database.name}.lost-{at}") if not database.with_name(name).exists())
    if database.exists():
        database.with_name(kept).hardlink_to(database)
    for suffix in ("-wal", "-shm"):
        beside = database.with_name(f"{database.name}{suffix}")
        if beside.exists():
            beside.rename(database.with_name(f"{kept}{suffix}"))
    value = come_to_rest(new, commits.promised(database), commits.promised_mark(database))
    new.rename(database)
    sync_folder(paths.root)
    commits.promise(database, value)
    remove(new)


def _names(name: str) -> Iterator[str]:
    """A name, and further ones where it is taken: two rebuilds may be of one second."""
    yield name
    for number in count(2):
        yield f"{name}-{number}"
