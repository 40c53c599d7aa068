"""Opens the metadata, wherever a station has it: the one write connection, and any number of readers.

The one place that decides which engine that is: the note beside the file (appliance.store.elsewhere), else the file.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from appliance.paths import StationPaths
from appliance.settings.metadata import shown
from appliance.settings.station import load_config
from appliance.store.commits import last_mark
from appliance.store.elsewhere import source_of
from appliance.store.held_writes import wait_for_mover
from appliance.store.ports import Connection, Reader
from appliance.store.sqlite_file import open_file, open_file_reader
from appliance.store.whereabouts import note_file
from bundles.errors import FailedError


def open_writer(path: Path) -> Connection:
    """The one write connection, migrated, of the station whose file would be `path`.

    For the control process alone, folder commands under the station's lock, and tests. Raises FailedError when it is no
    database, cannot be written, or belongs to a newer program.
    """
    wait_for_mover(path)
    source = source_of(path)
    if source is not None:
        return source.open_writer()
    if not path.exists():
        _require_own_file(path)
    return open_file(path)


def open_reader(path: Path) -> Reader:
    """A connection that can only read; every statement sees what was committed before it began.

    May be handed between threads, not used by two at once. Raises FailedError.
    """
    source = source_of(path)
    return open_file_reader(path) if source is None else source.open_reader()


def _require_own_file(path: Path) -> None:
    """No file is made for a station whose settings name another place. Raises UsageError, FailedError."""
    config = StationPaths(path.parent).config
    if config.is_file() and (url := load_config(config).metadata.url):
        raise FailedError(
            "the note of where the metadata is has gone, and no empty database is made in its place",
            thing=f"{note_file(path)} (metadata.url = {shown(url)})",
            remedy="put the note back from a copy of the station's folder; it holds no secret",
        )


def start_mark(path: Path) -> int:
    """The mark of the last start of a writer that the station's database knows. Raises EngineError, FailedError."""
    with closing(open_reader(path)) as reader:
        return last_mark(reader)
