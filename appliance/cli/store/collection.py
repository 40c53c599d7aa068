"""`lockgate collect -f FILE`: the sources of a collection, by its lock where it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from appliance.collection_file import Listed
from appliance.lock_file import Artifact, Change, Locked, changes, lock_of, read_lock, require_same_sources, write_lock
from bundles.errors import UsageError

Entry = dict[str, Any]
_LOCK_TAG: Final = "lock"


class Collection:
    """A collection.toml and its lock. `entries` are its sources as params of a job."""

    def __init__(self, file: Path, listed: Sequence[Listed], entries: Sequence[Entry], lock: Path | None) -> None:
        """`lock` is where the lock is to be instead of beside the file."""
        self._file, self._listed, self._entries = file, listed, entries
        self.lock = lock or lock_of(file)
        if self.lock.exists() and self.lock.samefile(file):
            raise UsageError("a collection is no lock of itself", thing=str(file), remedy="name the lock with --lock")

    def update(self, plan: Callable[[list[Entry]], Entry], *, write: bool) -> list[Change]:
        """Resolve every source anew, by the job that `plan` runs, and write the lock where `write`. Returns how it
        differs from the one before. Raises what the job ends with; then the lock is as it was."""
        before = read_lock(self.lock) if self.lock.exists() else ()
        found = plan(list(self._entries))
        planned, self._selected = found["planned"], list(found.get("selected", ()))
        self._why = {str(one["reference"]): str(one.get("why", "")) for one in planned}
        after = tuple(
            Locked(one.came, one.name, tuple(_artifacts(planned, number)), one.selection, one.platforms)
            for number, one in enumerate(self._listed)
        )
        if write:
            write_lock(self.lock, self._file, after)
        self._after = after
        return changes(before, after)

    def told(self, found: Entry) -> Entry:
        """A job's result by the lock that was made, with what chose its tags: the job itself asked for digests."""
        told = {**found, "selected": [*self._selected, *found.get("selected", ())]}
        if "planned" in found:
            told["planned"] = [{**one, "why": self._why.get(one["reference"], "")} for one in found["planned"]]
        return told

    def entries(self, *, updated: bool, carried: bool) -> list[Entry]:
        """The sources to collect: by the digests of the lock, where there is one, and then with the lock itself, so
        that it is carried, where `carried`: last, and only where all of them were collected. Raises RefusedError for
        another collection's lock, UsageError."""
        if updated:
            locked: tuple[Locked, ...] = self._after
        elif self.lock.exists():
            locked = read_lock(self.lock)
            require_same_sources(self.lock, locked, self._file, self._listed)
        else:
            return list(self._entries)
        entries = [
            pinned for entry, one in zip(self._entries, locked, strict=True) for pinned in _all_pinned(entry, one)
        ]
        return [*entries, self._carried()] if carried else entries

    def _carried(self) -> Entry:
        from appliance.outgoing.collect.names import folder_name

        name = f"collections/{folder_name(self._file.stem)}:{_LOCK_TAG}"
        return {"kind": "file", "path": str(self.lock.absolute()), "name": self.lock.name, "as": name, "last": True}


def _artifacts(planned: Sequence[Entry], number: int) -> list[Artifact]:
    return [Artifact(str(one["reference"]), str(one["digest"])) for one in planned if one["source"] == number]


def _all_pinned(entry: Entry, locked: Locked) -> Iterator[Entry]:
    """What a source gives by the lock; of many tags each that the lock names, and the registry's list is not asked."""
    if entry["kind"] != "tags":
        yield _pinned(entry, locked)
        return
    from appliance.selecting.selection import ManyTags
    from bundles.oci.reference import Reference

    many = ManyTags.parse(entry["reference"])
    for artifact in locked.artifacts:
        here = Reference.parse(artifact.reference)
        there = f"{many.host}/{many.remote(here.repository, entry['as'])}:{here.tag}"
        one = {"kind": "registry", "reference": there, "as": artifact.reference}
        kept = {key: entry[key] for key in ("redirects", "platforms") if key in entry}
        yield _pinned(kept | one, Locked(locked.came, locked.name, (artifact,)))


def _pinned(entry: Entry, locked: Locked) -> Entry:
    """A source that gives what the lock says, or nothing; a registry is asked for the digest itself."""
    pinned = [asdict(artifact) for artifact in locked.artifacts]
    if entry["kind"] != "registry" or len(pinned) != 1:
        return {**entry, "pinned": pinned}
    from bundles.oci.reference import Reference, RemoteReference

    remote, name = RemoteReference.parse(entry["reference"]), Reference.parse(pinned[0]["reference"])
    exact = f"{remote.host}/{remote.reference.repository}@{pinned[0]['digest']}"
    return {**entry, "reference": exact, "as": str(name) if name.tag is not None else entry["as"], "pinned": pinned}
