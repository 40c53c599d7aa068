"""The `scrub` job: checks the metadata, reads every blob from the disk, and withdraws what is not its digest's bytes.

A damaged blob's file is moved out of the way, so that from the next request on every worker answers 404, whoever asks;
its links stay. Pushing it again, or importing a bundle that carries it, puts the bytes back and it is visible as
before. What cannot be read is reported and stays where it is. What was withdrawn or unread and reads well now is shown
again. The pass keeps its place: it goes on after a cancel, a power cut, or the time it was given.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.jobs.kinds import JobContext, Result
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings, damages, unread
from appliance.lifecycle.described import Described
from appliance.lifecycle.metadata_check import check
from appliance.limits import lifecycle as limits
from appliance.store.reads.upkeep import blobs_after, last_scrub
from appliance.store.writes.lifecycle import SaveScrub
from bundles.errors import FailedError, MalformedError, UsageError
from bundles.io.display import some
from bundles.oci.digest import Digest

_PHASE: Final = "scrub"


@dataclass(slots=True)
class _Pass:
    """A pass over the store: the last blob read, and what was read so far."""

    position: str
    started: str
    blobs: int = 0
    bytes: int = 0


class _OutOfTimeError(Exception):
    """The time that was given is over, in the middle of a blob."""


def run(context: JobContext) -> Result:
    """Go on with the pass, or begin one; at most `params["budget"]` seconds where it is given, from the beginning with
    `params["restart"]`.

    The result: complete, metadata {state (ok, damaged, unchecked), found [text], unsummed}, blobs, bytes (of this pass
    so far), damaged [{digest, why, shown [references], bundles}],
    every damage that is not healed by now, unread [{digest, why, found, last, times}], every blob that could not be
    read, healed (how many are shown again), described [{digest, fields}], every manifest of which the database said
    something else than its bytes, and says it no more. Raises UsageError, FailedError.
    """
    budget = context.params.get("budget")
    if budget is not None and (not isinstance(budget, int | float) or isinstance(budget, bool) or budget <= 0):
        raise UsageError("a budget is a number of seconds", thing=repr(budget)[:60])
    scrub = _Scrub(context, budget)
    complete, so_far = scrub.run(restart=bool(context.params.get("restart")))
    return {
        "complete": complete, "metadata": scrub.metadata, "blobs": so_far.blobs, "bytes": so_far.bytes,
        "damaged": msgspec.to_builtins(damages(context.station)),
        "unread": msgspec.to_builtins(unread(context.station)), "healed": scrub.healed,
        "described": scrub.described.found,
    }  # fmt: skip


class _Scrub:
    def __init__(self, context: JobContext, budget: float | None) -> None:
        self._context, self._station = context, context.station
        self._looker = BlobExaminer(self._station.blobs)
        self._findings = Findings(self._station, context.actor, context.log)
        self.described = Described(self._station, context.actor, context.log)
        self._budget, self._started = budget, time.monotonic()
        self._until: float | None = None
        self._saved = time.monotonic()
        self._first = False
        self._total = self._done = 0
        self.metadata: dict[str, Any] = {"state": "unchecked", "found": [], "unsummed": 0}
        self._unread = False
        self.healed = 0

    def run(self, *, restart: bool) -> tuple[bool, _Pass]:
        so_far = self._begin(restart)
        try:
            complete = self._read(so_far)
        except BaseException:
            with contextlib.suppress(FailedError):
                self._save(so_far)
            raise
        self._save(so_far, finished=complete)
        return complete, so_far

    def _read(self, so_far: _Pass) -> bool:
        """Whether the pass came to its end."""
        self._check_metadata()
        self._station.blobs.require_here()
        self._total = self._station.metadata.totals()[1]
        self._heal()
        self._done, self._first, self._until = so_far.bytes, True, self._share(1)
        try:
            self._read_all(so_far)
            if self._unread:
                self.healed += self._findings.read_all_again(self._looker, self._attend)
        except _OutOfTimeError:
            return False
        return True

    def _share(self, part: float) -> float | None:
        """When that part of the time that is given is over; None where no time is given."""
        return None if self._budget is None else self._started + part * self._budget

    def _heal(self) -> None:
        """Look at what is withdrawn or was not read, for a quarter of the time that is given at most."""
        self._until = self._share(0.75)
        try:
            self.healed += self._findings.heal_all(self._looker, self._attend)
            self.healed += self._findings.read_all_again(self._looker, self._attend)
        except _OutOfTimeError:
            self._context.log("not all that is withdrawn or was not read was looked at: that takes more time")

    def _check_metadata(self) -> None:
        """Check all of the metadata, for half of the time that is given at most: a scrub with less never comes to the
        blobs else, and the station checks it at each start as well."""
        until = self._share(0.5)

        def attend() -> None:
            self._context.progress("check the metadata", 0, 0)
            if until is not None and time.monotonic() > until:
                raise _OutOfTimeError

        try:
            found = check(self._station, self._context.actor, attend, self._context.log)
        except _OutOfTimeError:
            self._context.log("the metadata was not checked to its end: that takes more than half of the time given")
            return
        self.described.found += [{"digest": digest, "fields": ["row"]} for digest in found.described][
            : limits.DAMAGE_NAMED
        ]
        state = "damaged" if found.texts else "ok"
        self.metadata = {"state": state, "found": found.texts, "unsummed": found.unsummed}

    def _begin(self, restart: bool) -> _Pass:
        last = last_scrub(self._station.reader)
        if restart or last is None or last.finished is not None:
            return _Pass("", clock.now())
        self._context.log(f"goes on with the pass of {last.started}, after {some(last.blobs, 'blob')}")
        return _Pass(last.position, last.started, last.blobs, last.bytes)

    def _save(self, so_far: _Pass, *, finished: bool = False) -> None:
        self._station.writer.submit(
            SaveScrub(
                position=so_far.position, started=so_far.started, finished=clock.now() if finished else "",
                blobs=so_far.blobs, bytes=so_far.bytes,
            )
        )  # fmt: skip
        self._saved = time.monotonic()

    def _read_all(self, so_far: _Pass) -> None:
        while rows := blobs_after(self._station.reader, so_far.position, limits.SCRUB_BATCH):
            for text, size in rows:
                with contextlib.suppress(MalformedError):  # the check of the metadata names such a row
                    self._look(Digest.parse(text), size)
                so_far.position, so_far.blobs, so_far.bytes = text, so_far.blobs + 1, so_far.bytes + size
                self._done = so_far.bytes
                if time.monotonic() - self._saved > limits.SCRUB_SAVE:
                    self._save(so_far)
                self._first = False

    def _look(self, digest: Digest, size: int) -> None:
        looked = self._looker.look(digest, size, self._attend)
        self._unread |= bool(looked.unread)
        self.healed += self._findings.take(digest, looked, size)
        if looked.whole:
            self.described.check(digest)

    def _attend(self, count: int) -> None:
        """Say how far it is, and stop where it was cancelled or its time is over. Of the pass the blob that is begun
        first is read to its end, whatever the budget: small budgets come to an end of it, too."""
        self._done += count
        self._context.progress(_PHASE, min(self._done, self._total), self._total)
        if self._until is not None and not self._first and time.monotonic() > self._until:
            raise _OutOfTimeError
