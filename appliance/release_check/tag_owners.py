"""Whose a tag is, by the audit log: the standing releases of it, whatever rows the database has left of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from appliance.release_check.log_record import read_log
from appliance.release_check.replay import Replayed, replay
from appliance.station import Station
from appliance.store.reads.tag_claims import TagClaim


class TagOwners:
    """The claims on the tags of some repositories. The log is read when it is asked for the first time."""

    def __init__(self, station: Station, repositories: Iterable[str]) -> None:
        self._station, self._repositories = station, frozenset(repositories)

    def __call__(self, repository: str, tag: str) -> list[TagClaim]:
        """The standing releases of a tag, oldest first. Raises FailedError where the log cannot be read."""
        standing = self._replayed.repositories.get(repository)
        return [self._claim(*claim) for claim in standing.claims(tag)] if standing is not None else []

    @cached_property
    def _replayed(self) -> Replayed:
        station = self._station
        log = read_log(station.paths, station.config.site)
        return replay(station.paths, log, station.blobs, station.reader, only=self._repositories)

    def _claim(self, bundle: str, digest: str) -> TagClaim:
        name = self._replayed.names.get(bundle, bundle)
        return TagClaim(name, name.rpartition("-")[0], digest)  # an id is its stream and its number
