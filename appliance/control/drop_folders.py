"""Drop folders are looked at, and what has come whole is imported: by the same job as by hand, as the station itself.

A bundle is begun once: again only where its files changed. What became of it is kept in a file, so that a restart asks
nothing twice. A bundle that is in the ledger already is not begun at all.
"""

from __future__ import annotations

import asyncio
import bisect
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.access.rate_limits import Buckets
from appliance.api.states import FINAL_STATES
from appliance.handles.granted import Grant
from appliance.intake.drop_folder import ACTOR, Dropped, Listed, list_folder, look
from appliance.intake.room import beyond_quota
from appliance.jobs.handed import Handed
from appliance.jobs.service import Jobs
from appliance.limits import transfer as limits
from appliance.program_log import say
from appliance.station import Station
from appliance.store.errors import EngineError
from appliance.store.reads.intake import find_by_digest
from bundles.errors import LockgateError
from bundles.io.display import safe, some
from bundles.io.files import read_small, write_atomic

_LIVE: Final = "importing"
_FINE: Final = frozenset({"waits", _LIVE, "imported"})

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An import that was begun: of which files (`seal`), by which job, and since when."""

    seal: str
    job: str
    at: str


@dataclass
class DropFolder:
    """What is known of one folder."""

    name: str
    path: Path
    fault: str = ""
    listed: Listed = field(default_factory=lambda: Listed((), 0, more=False))
    found: dict[str, Dropped] = field(default_factory=dict)
    last: str = ""
    """The bundle that was looked at last: of many, the ones behind it are next."""
    live: set[str] = field(default_factory=set)
    """Imports of its bundles that had not ended at the last look."""
    said: dict[str, str] = field(default_factory=dict)
    """What was last said of a bundle on the program's log."""


class DropFolders:
    """The drop folders of the station."""

    def __init__(self, station: Station, jobs: Jobs) -> None:
        self._reader, self._jobs, self._quarantine = station.reader, jobs, station.config.quarantine
        settings = station.config.drop_folders
        self.folders = [DropFolder(name, Path(os.path.realpath(one.path))) for name, one in sorted(settings.items())]
        self._kept = station.paths.drop_folders
        self._rate = Buckets(*limits.DROP_RATE)
        self._begun = _load(self._kept)

    async def keep_looking(self) -> None:
        """Look, and begin what is whole. Until cancelled."""
        while self.folders:
            for folder in self.folders:
                try:
                    for dropped in await asyncio.to_thread(_look, folder):
                        await self._begin(folder, dropped)
                    self._tell(folder)
                except (LockgateError, EngineError, OSError) as error:  # a full disk: the other folders go on
                    folder.fault = safe(error.diagnostics() if isinstance(error, LockgateError) else str(error))
            await asyncio.sleep(limits.DROP_LOOK)

    async def _begin(self, folder: DropFolder, dropped: Dropped) -> None:
        key = str(folder.path / dropped.name)
        begun = self._begun.get(key)
        if begun is not None and begun.seal == dropped.seal:
            return
        entry = find_by_digest(self._reader, dropped.digest)
        if entry is not None and entry.state != "receiving":
            return
        if self._beyond(dropped):
            return  # until somebody decides about others of its source
        folder.live = {job for job in folder.live if self._job(job)[0] == _LIVE}
        if len(folder.live) >= limits.DROP_AT_ONCE or self._rate.take(folder.name) is not None:
            return  # it has its turn at a later look
        try:
            handed = await asyncio.to_thread(_hand, folder.path / dropped.name)
            job = await self._jobs.submit("import", {"paths": [key]}, ACTOR, handed)
        except (LockgateError, OSError) as error:  # too many jobs, a disk that is nearly full: it is tried again
            folder.fault = error.diagnostics() if isinstance(error, LockgateError) else str(error.strerror)
            return
        folder.live.add(job.id)
        self._begun[key] = Begun(seal=dropped.seal, job=job.id, at=clock.now())
        there = {str(one.path / name) for one in self.folders for name in one.listed.bundles}
        self._begun = {name: one for name, one in self._begun.items() if name in there}
        await asyncio.to_thread(write_atomic, self._kept, msgspec.json.encode(self._begun), 0o600)

    def _tell(self, folder: DropFolder) -> None:
        """Say what changed, once, on the program's log."""
        now = {"": folder.fault} if folder.fault else {}
        now |= {one["id"]: f"{one['state']}: {one['why']}" for one in self.bundles(folder) if one["why"]}
        for name, text in now.items():
            if folder.said.get(name) != text:
                thing = f"{folder.path}/{name}".rstrip("/")
                say(f"drop folder {folder.name}: {safe(thing)}: {safe(text)}")
        folder.said = now

    def bundles(self, folder: DropFolder) -> list[dict[str, str]]:
        """The bundles of a folder: id, state, why, job, at."""
        return [self._standing(folder, one) for one in folder.found.values()]

    def _standing(self, folder: DropFolder, dropped: Dropped) -> dict[str, str]:
        state, why, job_id, at = "waits", dropped.why, "", ""
        begun = self._begun.get(str(folder.path / dropped.name))
        entry = find_by_digest(self._reader, dropped.digest) if dropped.digest else None
        if begun is not None and begun.seal == dropped.seal:
            state, why, job_id, at = *self._job(begun.job), begun.job, begun.at
        if state != _LIVE and entry is not None and entry.state != "receiving":
            state, why, job_id, at = "imported", dropped.why, "", ""
        elif not job_id and dropped.digest:
            beyond = self._beyond(dropped)
            quota = f"its source's quota is used up ({beyond}); decide about the others: lockgate intake list"
            why = quota if beyond else "it is whole, and is imported next"
        return {"id": dropped.name, "state": state, "why": why, "job": job_id, "at": at}

    def _beyond(self, dropped: Dropped) -> str:
        """Why a bundle is not begun that its import would refuse for its source's quota; "" where it would not. What
        is larger than the quota by itself is begun, and refused with the remedy."""
        if dropped.size > self._quarantine.quota(dropped.source):
            return ""
        return beyond_quota(self._reader, self._quarantine, dropped.source, dropped.size, dropped.digest)

    def _job(self, job_id: str) -> tuple[str, str]:
        """How an import stands: its state, and what speaks against it."""
        try:
            job = self._jobs.find(job_id)
        except LockgateError:
            return "failed", "its job is not known any more; import it by hand"
        if job.state not in FINAL_STATES:
            return _LIVE, ""
        error = job.error or {}
        what = ": ".join(filter(None, (error.get("what"), error.get("thing"))))
        said = "; ".join(filter(None, (what, error.get("remedy"))))
        return ("imported" if job.state == "done" else job.state), said

    def check(self) -> dict[str, Any] | None:
        """The check `drop-folders` of the station's health; None where there are no such folders."""
        if not self.folders:
            return None
        wrong = [f"{one.name}: {one.fault}" for one in self.folders if one.fault]
        crowded = [one.name for one in self.folders if one.listed.more]
        wrong += [f"{name}: more than {limits.DROP_NAMES} names, and the others are not seen" for name in crowded]
        standing = [found for one in self.folders for found in self.bundles(one)]
        wrong += [f"{one['id']} is {one['state']}" for one in standing if one["state"] not in _FINE]
        if wrong:
            more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
            return {"name": "drop-folders", "ok": False, "detail": f"{safe(wrong[0])}{more}; see: lockgate sftp watch"}
        waits = sum(one["state"] == "waits" for one in standing)
        return {
            "name": "drop-folders",
            "ok": True,
            "detail": f"{len(self.folders)} looked at, {some(waits, 'bundle waits', 'bundles wait')}",
        }


def _load(path: Path) -> dict[str, Begun]:
    try:
        return msgspec.json.decode(read_small(path, limits.DROP_STATE), type=dict[str, Begun])
    except (LockgateError, msgspec.DecodeError):  # not there, or cut off: what is in the ledger is not begun anyway
        return {}


def _look(folder: DropFolder) -> list[Dropped]:
    """Look again; the bundles that are whole and have not changed since the look before."""
    try:
        folder.listed = list_folder(folder.path)
        looked = dict[str, Dropped]()
        for name in _turn(folder):
            folder.last = name
            try:
                looked[name] = look(folder.path / name, folder.found.get(name))
            except FileNotFoundError:  # it was taken away, or renamed, in between
                folder.found.pop(name, None)
        folder.fault = ""
    except OSError as error:
        folder.fault = f"it cannot be read ({error.strerror})"
        folder.listed, looked = Listed((), 0, more=False), {}
    steady = [one for name, one in looked.items() if one.digest and one is folder.found.get(name)]
    here = folder.found | looked
    folder.found = {name: here[name] for name in folder.listed.bundles if name in here}
    return steady


def _turn(folder: DropFolder) -> tuple[str, ...]:
    """The bundles that are looked at now: of more than that, as many as follow on the last, so that no number of
    others keeps one from its turn."""
    names = folder.listed.bundles
    start = bisect.bisect_right(names, folder.last) if len(names) > limits.DROP_BUNDLES else 0
    return (names[start:] + names[:start])[: limits.DROP_BUNDLES]


def _hand(path: Path) -> Handed:
    """A bundle's folder as whoever imports by hand would give it, with the station's own rights. Raises OSError."""
    descriptor = os.open(path, _FOLDER)
    grant = Grant(
        path=str(path), root=str(path), writes=False, is_file=False, uid=os.geteuid(), gid=os.getegid(),
        groups=tuple(os.getgroups()),
    )  # fmt: skip
    return Handed(grants=[grant], descriptors=[(str(path), False, descriptor)])
