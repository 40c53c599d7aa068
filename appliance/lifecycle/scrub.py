"""The `scrub` job: reads every blob from the disk, and withdraws what is not its digest's bytes.

A damaged blob's file is moved out of the way, so that from the next request on every worker answers 404, whoever asks;
its links stay. Pushing it again, or importing a bundle that carries it, puts the bytes back and it is visible as
before. The pass keeps its place: it goes on after a cancel, a power cut, or the time it was given.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from appliance import clock, limits
from appliance.control.kinds import JobContext, Result
from appliance.lifecycle.carriers import carriers
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.observe.recorded import recording
from appliance.station import Station
from appliance.store.gate import Gate
from appliance.store.writes.lifecycle import RecordDamage, SaveScrub
from bundles.errors import FailedError, NotFoundError, UsageError
from bundles.limits import CHUNK
from bundles.oci.digest import Digest, new_hasher
from bundles.volumes.cache import drop_pages

Why = Literal["missing", "truncated", "rotted", "unreadable"]
_PHASE: Final = "scrub"


@dataclass(slots=True)
class _Pass:
    """A pass over the store: the last blob read, and what was read so far."""

    position: str
    started: str
    blobs: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a look at a blob's file found: nothing wrong (None), or why it is damaged and which file it was."""

    why: Why | None
    inode: int = 0


class _OutOfTimeError(Exception):
    """The time that was given is over, in the middle of a blob."""


def run(context: JobContext) -> Result:
    """Go on with the pass, or begin one; at most `params["budget"]` seconds where it is given, from the beginning with
    `params["restart"]`.

    The result: complete, blobs, bytes (of this pass so far), damaged [{digest, why, shown [references], bundles}],
    every damage that is not healed by now. Raises UsageError, FailedError.
    """
    budget = context.params.get("budget")
    if budget is not None and (not isinstance(budget, int | float) or isinstance(budget, bool) or budget <= 0):
        raise UsageError("a budget is a number of seconds", thing=repr(budget)[:60])
    complete, so_far = _Scrub(context, budget).run(restart=bool(context.params.get("restart")))
    damaged = damages(context.station)
    return {"complete": complete, "blobs": so_far.blobs, "bytes": so_far.bytes, "damaged": damaged}


def damages(station: Station) -> list[dict[str, Any]]:
    """Every blob that is damaged and not healed: why, where it was shown, and the bundles that carry it."""
    rows = station.reader.execute(
        "SELECT digest, why, found FROM damage WHERE healed IS NULL ORDER BY digest LIMIT ?", (limits.DAMAGE_NAMED,)
    ).fetchall()
    return [
        {"digest": digest, "why": why, "found": found, "shown": _shown(station, digest),
         "bundles": carriers(station, Digest.parse(digest))}
        for digest, why, found in rows
    ]  # fmt: skip


def _shown(station: Station, digest: str) -> list[str]:
    rows = station.reader.execute(
        "SELECT r.name, t.tag FROM links l JOIN repositories r ON r.id = l.repository_id"
        " LEFT JOIN tags t ON t.repository_id = r.id AND t.digest = l.digest WHERE l.digest = ?"
        " ORDER BY r.name, t.tag LIMIT 100",
        (digest,),
    )
    return [f"{name}:{tag}" if tag else f"{name}@{digest}" for name, tag in rows]


class _Scrub:
    def __init__(self, context: JobContext, budget: float | None) -> None:
        self._context, self._station = context, context.station
        self._gate = Gate(context.station.paths)
        self._deadline = None if budget is None else time.monotonic() + budget
        self._saved = time.monotonic()
        self._first = True
        self._total = self._station.metadata.totals()[1]

    def run(self, *, restart: bool) -> tuple[bool, _Pass]:
        so_far = self._begin(restart)
        try:
            complete = self._read_all(so_far)
        except BaseException:
            with contextlib.suppress(FailedError):
                self._save(so_far)
            raise
        self._save(so_far, finished=complete)
        return complete, so_far

    def _begin(self, restart: bool) -> _Pass:
        row = self._station.reader.execute("SELECT position, started, finished, blobs, bytes FROM scrub").fetchone()
        if restart or row is None or row[2] is not None:
            return _Pass("", clock.now())
        self._context.log(f"goes on with the pass of {row[1]}, after {row[3]} blobs")
        return _Pass(row[0], row[1], row[3], row[4])

    def _save(self, so_far: _Pass, *, finished: bool = False) -> None:
        self._station.writer.submit(
            SaveScrub(
                position=so_far.position, started=so_far.started, finished=clock.now() if finished else "",
                blobs=so_far.blobs, bytes=so_far.bytes,
            )
        )  # fmt: skip
        self._saved = time.monotonic()

    def _read_all(self, so_far: _Pass) -> bool:
        """Whether the pass came to its end."""
        while rows := self._station.reader.execute(
            "SELECT digest, size FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?",
            (so_far.position, limits.SCRUB_BATCH),
        ).fetchall():
            for digest, size in rows:
                try:
                    self._check(Digest.parse(digest), size, so_far.bytes)
                except _OutOfTimeError:
                    return False
                so_far.position, so_far.blobs, so_far.bytes = digest, so_far.blobs + 1, so_far.bytes + size
                if time.monotonic() - self._saved > limits.SCRUB_SAVE:
                    self._save(so_far)
                self._first = False
        return True

    def _check(self, digest: Digest, size: int, done: int) -> None:
        looked = self._look(digest, size, done)
        if looked.why is not None:
            self._withdraw(digest, looked)

    def _look(self, digest: Digest, size: int, done: int) -> _Looked:
        """Read a blob from the disk. One that is begun first in a run is read to its end, whatever the budget."""
        try:
            with self._station.blobs.open_blob(digest) as file:
                status = os.fstat(file.fileno())
                if status.st_size != size:
                    return _Looked("truncated", status.st_ino)
                drop_pages(file.fileno())
                hasher = new_hasher(digest.algorithm)
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
                    done += len(chunk)
                    self._context.progress(_PHASE, min(done, self._total), self._total)
                    self._check_time()
                return _Looked(None if hasher.hexdigest() == digest.hex else "rotted", status.st_ino)
        except NotFoundError:
            return _Looked("missing")
        except (OSError, FailedError):
            return _Looked("unreadable")

    def _check_time(self) -> None:
        if self._deadline is not None and not self._first and time.monotonic() > self._deadline:
            raise _OutOfTimeError

    def _withdraw(self, digest: Digest, looked: _Looked) -> None:
        """Move the file that was read out of the way. Under the gate: nobody heals or collects it meanwhile."""
        station = self._station
        with self._gate.collecting():
            inode = station.blobs.inode(digest)
            known = station.reader.execute(
                "SELECT (SELECT count(*) FROM blobs WHERE digest = ?1),"
                " (SELECT count(*) FROM damage WHERE digest = ?1 AND healed IS NULL)",
                (str(digest),),
            ).fetchone()
            healed = inode != looked.inode if looked.why != "unreadable" else inode == 0
            if healed or not known[0] or (inode == 0 and known[1]):
                return
            detail = {"why": str(looked.why), "shown": _shown(station, str(digest))}
            event = AuditEvent(Act.WITHDRAW_DAMAGED, self._context.actor, str(digest), "done", detail)
            with recording(station.audit, event):
                station.writer.submit(RecordDamage(digest=str(digest), why=str(looked.why), at=clock.now()))
                if inode:
                    station.blobs.set_aside(digest)
        names = ", ".join(carrier["id"] for carrier in carriers(station, digest))
        remedy = f"restore it from {names}" if names else "push it again; no bundle here carries it"
        self._context.log(f"{digest} is {looked.why} and withdrawn; {remedy}")
