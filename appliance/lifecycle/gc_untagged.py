"""The part of a collection that takes manifests to which no tag has led for a time (appliance.lifecycle.untagged).

A repository is looked at without a lock, and again in the turn of imports and collects where something is to be taken.
Each transaction takes a thousand manifests, or none where the repository changed meanwhile; indexes go before what they
list, so that nothing that is shown is ever left incomplete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.audit.folder_acts import recording
from appliance.lifecycle.untagged import ManifestReferences, Untagged, untagged
from appliance.limits import lifecycle as limits
from appliance.release_check.log_record import read_log
from appliance.release_check.signed_content import signed_artifacts
from appliance.settings.client_writes import ClientWrites
from appliance.station import Station
from appliance.store.reads import garbage
from appliance.store.reads.untagged import state_of
from appliance.store.writes.untagged import UnlinkUntagged
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.io.display import some
from bundles.oci.kinds import kind_of

_TRIES: Final = 3
"""Looks at a repository that changes meanwhile; the next collection goes on there."""


@dataclass(slots=True)
class Taken:
    """What went, or would go: manifests by repository, the first of them by name, and how many were kept and why."""

    manifests: int = 0
    repositories: set[str] = field(default_factory=set)
    named: list[dict[str, Any]] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    gone: dict[str, set[str]] = field(default_factory=dict)

    def add(self, repository: str, found: Collection[Untagged]) -> None:
        """These go."""
        if not found:
            return
        self.manifests += len(found)
        self.repositories.add(repository)
        self.gone.setdefault(repository, set()).update(one.shown.digest for one in found)
        for one in found:
            if len(self.named) < limits.GC_NAMED:
                shown = one.shown
                self.named.append(
                    {"repository": repository, "digest": shown.digest, "size": shown.size, "since": shown.since,
                     "kind": kind_of(shown.media_type, shown.artifact_type)}
                )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """What a job's result says."""
        return {
            "manifests": self.manifests, "repositories": len(self.repositories), "named": self.named,
            "kept": dict(sorted(self.kept.items())),
        }  # fmt: skip


class UntaggedCollection:
    """Takes what lost its last tag, or came without one, at the time `before` or earlier. `turn` is held while
    something is taken; `building` are digests of bundles that are being built; `log` is told what was left, and why."""

    def __init__(
        self, station: Station, actor: str, before: str, *, building: Container[str],
        turn: Callable[[], AbstractContextManager[None]], log: Callable[[str], object], attend: Callable[[], object],
    ) -> None:  # fmt: skip
        self._station, self._actor, self._before, self._building = station, actor, before, building
        self._turn, self._log, self._attend = turn, log, attend
        self._names = ManifestReferences(station.blobs)
        self._released = self._released_by_the_log()
        self._guarded = ClientWrites.of(station.config).keeps_released

    def run(self, *, dry_run: bool) -> Taken:
        """Go through every repository. Raises FailedError, and what `turn` and `attend` raise."""
        taken = Taken()
        for _, repository in garbage.repositories(self._station.reader):
            self._attend()
            found = self._look(repository)
            if any(not one.kept for one in found) and not dry_run:
                with self._turn():
                    try:
                        found = self._take(repository)
                    except RefusedError as error:  # something was released there meanwhile
                        self._log(error.diagnostics())
                        continue
            taken.kept.update(one.kept for one in found if one.kept)
            taken.add(repository, [one for one in found if not one.kept])
        for name in sorted(taken.repositories):
            self._log(f"{name}: {some(len(taken.gone[name]), 'manifest')} to which no tag leads")
        return taken

    def _look(self, repository: str) -> list[Untagged]:
        """What a repository has without a tag; nothing where one of its manifests cannot be read: the log says so."""
        try:
            found = untagged(self._station, self._names, repository, self._before, self._building)
        except LockgateError as error:
            self._log(f"{repository}: nothing without a tag was taken: {error.diagnostics()}")
            return []
        if repository in self._released:  # whatever the database says of it
            return [Untagged(one.shown, "released") for one in found]
        return found

    def _take(self, repository: str) -> list[Untagged]:
        """Take what is to be taken; what was, and what was kept."""
        for _ in range(_TRIES):
            state = state_of(self._station.reader, repository)
            found = self._look(repository)
            going = [one for one in found if not one.kept]
            done = 0
            while page := going[done : done + limits.GC_PAGE]:
                state = self._unlink(repository, tuple(one.shown.digest for one in page), state)
                if not state:
                    break
                done += len(page)
            if done == len(going):
                return found
            if done:
                break
        self._log(f"{repository}: it changes meanwhile; the next collection goes on")
        return [*going[:done], *(one for one in found if one.kept)]

    def _unlink(self, repository: str, digests: tuple[str, ...], state: str) -> str:
        """Take links away, with an event that names each; the repository's new state, "" where nothing was taken."""
        detail: dict[str, Any] = {"digests": list(digests), "before": self._before}
        if self._guarded:  # such an act cannot have happened where released content stands
            detail["keeps_released"] = True
        event = AuditEvent(Act.GC_UNTAGGED, self._actor, repository, "done", detail)
        with self._station.blobs.turns.alone_blocking():
            with recording(self._station.audit, event):
                done = self._station.writer.submit(UnlinkUntagged(repository=repository, digests=digests, state=state))
            if not done["taken"]:
                changed = FailedError("the repository changed meanwhile", remedy="the next collection takes it")
                self._station.audit.record(refusal(event.act, event.actor, event.thing, changed, recorded=True))
                return ""
        return str(done["state"])

    def _released_by_the_log(self) -> frozenset[str]:
        """Repositories in which a release stands by the audit log, whatever the database says; outside none."""
        if self._station.config.side == "outside":
            return frozenset()
        paths, reader = self._station.paths, self._station.reader
        log = read_log(paths, self._station.config.site)
        found: set[str] = set()
        for bundle in log.released:
            repositories = set(log.ever.get(bundle, {""}))
            if "" in repositories:
                every = signed_artifacts(paths, reader, bundle, log.imported.get(bundle, ("", ""))[1])
                repositories |= {one.repository for one in every or ()}
            found |= repositories
        return frozenset(found)
