"""What is served here: shown by a link, and let in by an act that the audit log holds.

A link is a row, and whoever writes to the database's file can make one for the moment of an import or a release. So a
delta stands on a digest only where the log explains such a link: a release that stands, a push, a collect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.release_check.log_facts import Aged, LogRecord, ReleasedContent
from appliance.release_check.log_record import read_log
from appliance.release_check.replay import read_manifest
from appliance.release_check.signed_content import entry_manifest, kept_manifest
from appliance.station import Station
from appliance.store.reads.links import showing
from bundles.oci.manifest import MANIFEST_TYPES


def unserved(station: Station, digests: Iterable[str]) -> list[str]:
    """Those of `digests` that are not served here, in their order. Reads the log where a link shows one of them, and
    holds one bundle's manifest at a time. Raises FailedError where the log cannot be read."""
    every = list(digests)
    shown = showing(station.reader, every) if every else {}
    if not shown:
        return every
    found = _Search(station, read_log(station.paths, station.config.site), shown).run()
    return [digest for digest in every if digest not in found]


@dataclass(slots=True)
class _Search:
    """Looks for an act that explains one of the links to each digest, `shown` by repository."""

    station: Station
    log: LogRecord
    shown: dict[str, set[str]]
    found: set[str] = field(default_factory=set)

    def run(self) -> set[str]:
        """The digests that an act explains."""
        for repository, digests in self.shown.items():
            self.found |= {digest for digest in digests if f"{repository}@{digest}" in self.log.links}
        for bundle, shown in self.log.released.items():
            self._released(bundle, shown)
        for repository in self.shown:
            self._reach(repository, self.log.roots.get(repository, {}), self._left(repository))
        return self.found

    def _left(self, repository: str) -> set[str]:
        return self.shown[repository] - self.found

    def _released(self, bundle: str, shown: ReleasedContent) -> None:
        manifest = self.log.imported.get(bundle, ("", ""))[1]
        raw = kept_manifest(self.station.paths, bundle, manifest) or entry_manifest(self.station.reader, bundle)
        try:
            fields = json.loads(raw or b"{}")
            named = {str(blob["digest"]) for blob in (*fields["blobs"], *fields["requires"])}
            artifacts = [
                (str(one["repository"]), str(one["digest"]), tuple(map(str, one["tags"])))
                for one in fields["artifacts"]
            ]
        except (ValueError, LookupError, TypeError):
            return  # `intake check` names it
        for repository in self.shown.keys() & {name for name, _, _ in artifacts}:
            wanted = self._left(repository) & named
            if not wanted:
                continue
            if shown.everything is not None and {name for name, _, _ in artifacts} == {repository}:
                for digest in wanted:
                    self._take(repository, digest, shown.everything, wanted)
                continue
            roots: Aged = {}
            for name, digest, tags in artifacts:
                if name == repository and (age := _age(shown, name, digest, tags)) is not None:
                    roots[digest] = age
            self._reach(repository, roots, wanted)

    def _reach(self, repository: str, roots: Aged, wanted: set[str]) -> None:
        """Take what the roots reach of the wanted digests, by the bytes of the manifests themselves."""
        walked: set[str] = set()
        for age, root in sorted((age, digest) for digest, age in roots.items()):
            todo = [root]
            while todo and not wanted <= self.found:
                item = todo.pop()
                self._take(repository, item, age, wanted)
                if item in walked:
                    continue
                walked.add(item)
                manifest = read_manifest(self.station.blobs, item)
                for blob in (*manifest.blobs, *manifest.foreign) if manifest is not None else ():
                    self._take(repository, str(blob.digest), age, wanted)
                for child in manifest.manifests if manifest is not None else ():
                    digest = str(child.digest)
                    if child.media_type in MANIFEST_TYPES:
                        todo.append(digest)
                    else:
                        self._take(repository, digest, age, wanted)

    def _take(self, repository: str, digest: str, age: int, wanted: set[str]) -> None:
        ended = self.log.ended.get(f"{repository}@{digest}")
        if digest in wanted and (ended is None or age < ended):
            self.found.add(digest)


def _age(shown: ReleasedContent, repository: str, digest: str, tags: tuple[str, ...]) -> int | None:
    """The age of the newest release of an artifact; None where none showed it."""
    names = (f"{repository}@{digest}", *(f"{repository}:{tag}" for tag in tags))
    ages = (shown.everything, shown.artifacts.get(repository, {}).get(digest), *map(shown.references.get, names))
    return min((age for age in ages if age is not None), default=None)
