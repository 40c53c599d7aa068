"""What standing releases show, by the audit log and the manifests' bytes: blobs, beside manifests and tags.

A release makes a link of each blob that its manifests name. Whoever writes to the database's file can take these links
away, and a collection would then take the bytes. `lost_blobs` finds such links that are missing; `StandingContent` is
what a collection asks before it takes anything (docs/adr/0031).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from appliance.release_check.log_facts import LogRecord, ReleasedContent
from appliance.release_check.log_record import read_log
from appliance.release_check.replay import Replayed, ever_released, read_manifest, replay
from appliance.release_check.signed_content import artifacts_of, blobs_of, required_by, signed_manifest
from appliance.release_check.tag_history import CLIENT, RepositoryTags
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.reads.explained import Explained
from appliance.store.reads.links import unlinked
from bundles.errors import FailedError

_ANYWHERE: Final = "any repository "
"""The place of what stands in whichever repository: no repository has a space in its name."""
_ASKED: Final = 1_000
"""Links that are looked up in one statement."""


def lost_blobs(station: Station, log: LogRecord, replayed: Replayed, most: int) -> list[tuple[str, str, str]]:
    """Blobs of standing releases without their link, `most` at most: (repository, digest, bundle's id).

    A blob that no bundle carries (a foreign layer) is not shown by a release, nor is a part that did not come: neither
    is found. Of a repository whose history is not whole nothing is said. Reads the manifests of bundles that wrote to
    several repositories, and of bundles of which some blob is not shown.
    """
    found: list[tuple[str, str, str]] = []
    for bundle, shown in _by_bundle(replayed, lambda standing: standing.whole).items():
        if len(found) >= most:
            break
        if _all_shown(station, log, bundle, shown):
            continue
        for repository, digests in shown.items():
            for digest in digests:
                manifest = read_manifest(station.blobs, digest)
                named = [] if manifest is None else [str(blob.digest) for blob in manifest.blobs]
                name = replayed.names.get(bundle, "")
                found += [
                    (repository, blob, name)
                    for blob in unlinked(station.reader, repository, named, "blob")
                    if not _was_ended(log, bundle, repository, digest, blob)
                ]
    return list(dict.fromkeys(found))[:most]


def _was_ended(log: LogRecord, bundle: str, repository: str, manifest: str, blob: str) -> bool:
    """Whether an act took a blob's link away after the release of the bundle that made it, as an earlier version let
    clients. Where an event of an earlier version does not tell how old the release is, it counts as older."""
    ended = log.ended.get(f"{repository}@{blob}")
    if ended is None:
        return False
    shown = log.released.get(bundle, ReleasedContent())
    ages = (shown.everything, shown.artifacts.get(repository, {}).get(manifest))
    released = min((age for age in ages if age is not None), default=None)
    return released is None or ended <= released


def _all_shown(station: Station, log: LogRecord, bundle: str, shown: dict[str, list[str]]) -> bool:
    """Whether the one repository that a bundle wrote to shows every blob that it carries or requires."""
    raw = signed_manifest(station.paths, station.reader, bundle, log.imported.get(bundle, ("", ""))[1])
    artifacts = None if raw is None else artifacts_of(raw)
    if raw is None or artifacts is None or len({one.repository for one in artifacts}) != 1 or len(shown) != 1:
        return False
    (repository,) = shown
    manifests = {one.digest for one in artifacts}
    every = [digest for digest in (*blobs_of(raw), *required_by(raw)) if digest not in manifests]
    pages = (every[first : first + _ASKED] for first in range(0, len(every), _ASKED))
    return not any(unlinked(station.reader, repository, page, "blob") for page in pages)


def _by_bundle(replayed: Replayed, tells: Callable[[RepositoryTags], bool]) -> dict[str, dict[str, list[str]]]:
    """The manifests that releases show, by the newest bundle that stands for each and by repository."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for repository, standing in replayed.repositories.items():
        for digest, history in standing.shown.items() if tells(standing) else ():
            who = next((one for one in reversed(history) if one != CLIENT), "")
            if who and standing.shows(digest) and digest not in standing.unsure:
                found[who][repository].append(digest)
    return found


class StandingContent:
    """What no collection takes, whatever the database says: what standing releases show, and what came in and was
    neither rejected nor released. Held on disk; `close` it. Raises FailedError where the log cannot be read."""

    def __init__(self, station: Station, attend: Callable[[], object]) -> None:
        """`attend` is called while the log and the manifests are read."""
        self._station, self._attend = station, attend
        self._explained = Explained()
        try:
            self._read()
        except EngineError as error:
            self.close()
            raise FailedError(
                "what releases show cannot be listed", thing=str(error),
                remedy="check the disk, and the room for temporary files",
            ) from None  # fmt: skip
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget everything."""
        self._explained.close()

    def shows(self, repository: str, digest: str) -> bool:
        """Whether a release shows a digest in a repository."""
        return self._explained.age(repository, digest) is not None

    def holds(self, digest: str) -> bool:
        """Whether a digest must stay."""
        return self._explained.age(_ANYWHERE, digest) is not None

    def _read(self) -> None:
        station = self._station
        log = read_log(station.paths, station.config.site)
        names = ever_released(station.paths, log, station.reader)
        replayed = replay(station.paths, log, station.blobs, station.reader, only=names) if names else Replayed()
        told = [replayed.repositories.get(name) for name in names]
        for bundle, shown in _by_bundle(replayed, lambda _: True).items():
            self._attend()
            for repository, digests in shown.items():
                self._add(bundle, log, repository, digests)
        if any(standing is None or not standing.whole for standing in told):
            # An earlier version's cut kept which bundles are released, and not what is left of each.
            for bundle in log.released:
                self._attend()
                self._explained.add(_ANYWHERE, self._carried(bundle, log))
        for bundle in log.imported.keys() - log.released.keys() - log.rejected:
            self._attend()
            self._explained.add(_ANYWHERE, self._carried(bundle, log))

    def _add(self, bundle: str, log: LogRecord, repository: str, digests: list[str]) -> None:
        for digest in digests:
            manifest = read_manifest(self._station.blobs, digest)
            if manifest is None:  # damaged or gone: what it names is among what its bundle carries
                named = self._carried(bundle, log)
            else:
                named = [str(one.digest) for one in (*manifest.blobs, *manifest.manifests)]
            for place in (repository, _ANYWHERE):
                self._explained.add(place, (digest, *named))

    def _carried(self, bundle: str, log: LogRecord) -> list[str]:
        manifest = log.imported.get(bundle, ("", ""))[1]
        raw = signed_manifest(self._station.paths, self._station.reader, bundle, manifest)
        return [] if raw is None else [*blobs_of(raw), *required_by(raw)]


@contextlib.contextmanager
def standing_content(station: Station, attend: Callable[[], object]) -> Iterator[Callable[[], StandingContent]]:
    """Gives a function that reads `StandingContent` when it is first called."""
    kept: list[StandingContent] = []

    def read() -> StandingContent:
        if not kept:
            kept.append(StandingContent(station, attend))
        return kept[0]

    try:
        yield read
    finally:
        for one in kept:
            one.close()
