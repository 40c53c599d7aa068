"""What the audit log says of single rows: where a tag stands, and what a repository shows. For damaged rows that their
own checksum does not explain.

Of repositories that never held released content the log is replayed as for a rebuild (appliance.lifecycle.log_replay),
of others as for `intake check` (appliance.release_check.replay), which tells of tags alone.
"""

from __future__ import annotations

from functools import cached_property

from appliance.lifecycle.log_replay import Logged, RepositoryByLog
from appliance.lifecycle.log_replay import replay as replay_acts
from appliance.release_check.log_record import read_log
from appliance.release_check.replay import Replayed, ever_released, read_manifest
from appliance.release_check.replay import replay as replay_releases
from appliance.release_check.tag_history import RepositoryTags
from appliance.station import Station
from appliance.store.raw_rows import RawLink, RawRow, RawTag


class RowsByLog:
    """The log is read when something is first asked. Raises FailedError where it cannot be."""

    def __init__(self, station: Station) -> None:
        self._station = station

    @cached_property
    def _acts(self) -> Logged:
        blobs = self._station.blobs
        return replay_acts(self._station.paths, lambda digest: read_manifest(blobs, digest))

    @cached_property
    def _released(self) -> Replayed:
        station = self._station
        if station.config.side != "inside":
            return Replayed()
        log = read_log(station.paths, station.config.site)
        names = ever_released(station.paths, log, station.reader)
        if not names:
            return Replayed()
        found = replay_releases(station.paths, log, station.blobs, station.reader, only=names)
        for name in names:
            found.repositories.setdefault(name, RepositoryTags(whole=False))
        return found

    def right(self, row: RawRow, there: set[tuple[bytes, ...]]) -> list[RawRow]:
        """What may stand in a damaged row's place by the log, the likeliest first. `there` are the keys of the
        repository's other rows of that table.

        Where the log has a word for the row's key, that is it; and where its beginning was pruned, only with the
        row's own digest or checksum. Else the row is not what the log knows, and what the log knows and no row says is
        what it was.
        """
        name = row.name.decode("utf-8", "replace")
        said: dict[tuple[bytes, ...], tuple[bytes, bytes]]
        standing = self._released.repositories.get(name)
        if standing is not None and not (standing.whole and isinstance(row, RawTag)):
            return []
        if standing is not None:
            said = {
                (tag.encode(),): (standing.target(tag).encode(), b"")
                for tag in standing.tags if standing.target(tag) and tag not in standing.either
            }  # fmt: skip
            return _rows(row, said, there, whole=True)
        shown = self._acts.repositories.get(name, RepositoryByLog())
        if isinstance(row, RawTag):
            said = {(tag.encode(),): (digest.encode(), at.encode()) for tag, (digest, at) in shown.tags.items()}
        else:
            said = {(digest.encode(), kind.encode()): (b"", at.encode()) for (digest, kind), at in shown.links.items()}
        return _rows(row, said, there, whole=self._acts.whole)


def _rows(
    row: RawRow, said: dict[tuple[bytes, ...], tuple[bytes, bytes]], there: set[tuple[bytes, ...]], *, whole: bool
) -> list[RawRow]:
    """As `RowsByLog.right`; `said` is what the log says by key: a tag's digest, and since when."""
    key = key_of(row)
    if key in said:
        right = _row(row, key, *said[key])
        is_near = isinstance(row, RawLink) or row.digest == said[key][0] or _has_sum(row, said[key][0])
        return [right] if whole or is_near else []
    return [_row(row, other, *said[other]) for other in said if other not in there] if whole else []


def _row(row: RawRow, key: tuple[bytes, ...], digest: bytes, at: bytes) -> RawRow:
    at = at or row.fields[-1]
    fields = (key[0], digest, at) if isinstance(row, RawTag) else (key[0], key[1], at)
    return row.with_fields(row.repository, row.name, fields)


def _has_sum(row: RawTag, digest: bytes) -> bool:
    return row.with_fields(row.repository, row.name, (row.tag, digest, row.updated)).checksum == row.checksum


def key_of(row: RawRow) -> tuple[bytes, ...]:
    """A row's key in its repository."""
    return (row.tag,) if isinstance(row, RawTag) else (row.digest, row.kind)
