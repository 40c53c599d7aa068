"""Whatever order the transactions come in: nothing is visible before its release, and no way leads past approval."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.custody import Withdraw
from appliance.store.writes.decisions import Approve, Reject, Release, Released, SignedDecision
from appliance.store.writes.intake import (
    AbandonIntake,
    BeginIntake,
    ForgetVolumes,
    Inspected,
    Quarantine,
    RecordVolume,
    ResetStream,
    Verified,
    VolumeRow,
)
from appliance.store.writes.write import Write
from bundles.errors import LockgateError
from bundles.oci.digest import Digest

AT = "2026-06-01T00:00:00Z"
STREAM = "alpha.bravo"
NEEDED = 2
VOLUMES = 2
KEYS = {"key-a": "Anna", "key-b": "Anna", "key-c": "Boris"}
numbers = st.integers(1, 4)
twins = st.sampled_from("xy")
jobs = st.sampled_from(("job-1", "job-2"))


@dataclass
class Known:
    """What the model knows of a bundle."""

    job: str
    state: str = "receiving"
    verified: set[int] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)
    checked: bool = False
    reported: bool = False

    @property
    def decidable(self) -> bool:
        return self.reported and self.state in ("quarantined", "approved", "withdrawn")


class Intake(RuleBasedStateMachine):
    """Bundles `(sequence, twin)`: two bundles may be made under one number."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.db = open_writer(Path(self.folder.name) / "metadata.sqlite")
        self.writer = LocalWriter(self.db)
        named = self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'commits'").fetchall()
        self.tables = ["sqlite_master", *(name for (name,) in named)]
        self.known: dict[tuple[int, str], Known] = {}
        self.floor = 0
        self.ledger: list[tuple[object, ...]] = []

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()

    def rows(self) -> dict[str, list[Any]]:
        """Every row of every table, and the schema; but for the count of commits: a refused write is one of a group
        that was committed."""
        return {table: self.db.execute(f'SELECT * FROM "{table}"').fetchall() for table in self.tables}

    def submit(self, write: Write) -> bool:
        """Whether the write was taken. A refused one must have changed nothing."""
        before = self.rows()
        try:
            self.writer.submit(write)
        except LockgateError:
            assert self.rows() == before
            return False
        return True

    def digest(self, number: int, twin: str) -> str:
        return str(Digest.of(f"{number}{twin}".encode()))

    def blob(self, number: int, twin: str) -> BlobRow:
        return BlobRow(digest=str(Digest.of(f"manifest {number}{twin}".encode())), size=1, crc32=0)

    @rule(number=numbers, twin=twins, job=jobs)
    def begin(self, number: int, twin: str, job: str) -> None:
        volumes = tuple(VolumeRow(index=index, medium=1, size=10) for index in range(1, VOLUMES + 1))
        assert self.submit(
            BeginIntake(
                digest=self.digest(number, twin), id=f"{STREAM}-{number:06d}", stream=STREAM, sequence=number,
                manifest="{}", artifacts=1, volumes=volumes, pins=(self.blob(number, twin).digest,), job=job,
                actor="tester", at=AT,
            )
        )  # fmt: skip
        self.known.setdefault((number, twin), Known(job))

    @rule(number=numbers, twin=twins, volume=st.integers(1, VOLUMES))
    def record(self, number: int, twin: str, volume: int) -> None:
        blobs = (self.blob(number, twin),)
        assert self.submit(RecordVolume(digest=self.digest(number, twin), volume=volume, blobs=blobs, at=AT))
        if (number, twin) in self.known:
            self.known[number, twin].verified.add(volume)

    @rule(number=numbers, twin=twins, volume=st.integers(1, VOLUMES))
    def forget(self, number: int, twin: str, volume: int) -> None:
        known = self.known.get((number, twin))
        taken = self.submit(ForgetVolumes(digest=self.digest(number, twin), volumes=(volume,)))
        assert taken == (known is not None)
        if known is not None and known.state == "receiving":
            known.verified.discard(volume)

    @rule(number=numbers, twin=twins, job=jobs)
    def abandon(self, number: int, twin: str, job: str) -> None:
        known = self.known.get((number, twin))
        assert self.submit(AbandonIntake(digest=self.digest(number, twin), job=job))
        if known is not None and known.state == "receiving" and known.job == job:
            del self.known[number, twin]

    @rule(number=numbers, twin=twins)
    def verified(self, number: int, twin: str) -> None:
        known = self.known.get((number, twin))
        taken = self.submit(Verified(digest=self.digest(number, twin), actor="tester", at=AT))
        assert taken == (known is not None and known.state == "receiving" and len(known.verified) == VOLUMES)
        if taken and known is not None:
            known.checked = True

    @rule(number=numbers, twin=twins, job=jobs)
    def quarantine(self, number: int, twin: str, job: str) -> None:
        known = self.known.get((number, twin))
        taken = self.submit(
            Quarantine(digest=self.digest(number, twin), made=AT, why="", job=job, actor="tester", at=AT)
        )
        complete = known is not None and known.state == "receiving" and known.checked
        complete = complete and known is not None and len(known.verified) == VOLUMES
        assert taken == (complete and number > self.floor)
        if taken and known is not None:
            known.state, known.job, self.floor = "quarantined", job, number

    @rule(number=numbers, twin=twins)
    def inspected(self, number: int, twin: str) -> None:
        known = self.known.get((number, twin))
        digest = self.digest(number, twin)
        taken = self.submit(Inspected(digest=digest, report="{}", report_digest="report", actor="tester", at=AT))
        assert taken == (known is not None and known.state == "quarantined" and not known.reported)
        if taken and known is not None:
            known.reported = True

    @rule(number=numbers, twin=twins, key=st.sampled_from(sorted(KEYS)), report=st.sampled_from(("report", "other")))
    def approve(self, number: int, twin: str, key: str, report: str) -> None:
        known = self.known.get((number, twin))
        kept = SignedDecision(keyid=key, owner=KEYS[key], document="{}", signature=b"")
        taken = self.submit(
            Approve(
                digest=self.digest(number, twin), report_digest=report, decision=kept, needed=NEEDED, actor="t", at=AT
            )
        )
        assert taken == (known is not None and known.decidable and report == "report")
        if taken and known is not None:
            known.owners[key] = KEYS[key]
            if len(set(known.owners.values())) >= NEEDED:
                known.state = "approved"

    @rule(number=numbers, twin=twins)
    def reject(self, number: int, twin: str) -> None:
        known = self.known.get((number, twin))
        kept = SignedDecision(keyid="key-a", owner="Anna", document="{}", signature=b"")
        taken = self.submit(
            Reject(digest=self.digest(number, twin), report_digest="report", decision=kept, why="no", actor="t", at=AT)
        )
        assert taken == (known is not None and known.decidable)
        if taken and known is not None:
            known.state = "rejected"

    @rule(number=numbers, twin=twins, keys=st.sets(st.sampled_from(sorted(KEYS))))
    def release(self, number: int, twin: str, keys: set[str]) -> None:
        known = self.known.get((number, twin))
        manifest = ManifestRow(blob=self.blob(number, twin), media_type="application/vnd.oci.image.manifest.v1+json")
        shown = Released(repository=f"r/{number}{twin}", manifest=manifest, blobs=(), tags=("1",))
        taken = self.submit(
            Release(
                digest=self.digest(number, twin), report_digest="report", approved_by=tuple(sorted(keys)),
                needed=NEEDED, artifacts=(shown,), actor="t", at=AT,
            )
        )  # fmt: skip
        counted = {known.owners[key] for key in keys if key in known.owners} if known is not None else set()
        assert taken == (known is not None and known.state == "approved" and len(counted) >= NEEDED)
        if taken and known is not None:
            known.state = "released"

    @rule(number=numbers, twin=twins)
    def withdraw(self, number: int, twin: str) -> None:
        known = self.known.get((number, twin))
        pins = (self.blob(number, twin).digest,)
        write = Withdraw(digest=self.digest(number, twin), keep=(), pins=pins, why="recalled", actor="t", at=AT)
        taken = self.submit(write)
        assert taken == (known is not None and known.state == "released")
        if taken and known is not None:
            known.state = "withdrawn"
            known.owners.clear()

    @rule(floor=st.integers(0, 5))
    def reset(self, floor: int) -> None:
        if self.submit(ResetStream(stream=STREAM, sequence=floor, digest="", why="lost", actor="t", at=AT)):
            self.floor = max(self.floor, floor)

    @invariant()
    def only_what_was_released_is_visible(self) -> None:
        released = sorted(f"r/{number}{twin}" for (number, twin), kn in self.known.items() if kn.state == "released")
        for table in ("links", "tags"):
            rows = self.db.execute(f"SELECT r.name FROM {table} JOIN repositories r ON r.id = repository_id")
            assert sorted(name for (name,) in rows) == released
        assert sorted(name for (name,) in self.db.execute("SELECT name FROM repositories")) == released

    @invariant()
    def every_entry_stands_where_the_model_says(self) -> None:
        states = dict(self.db.execute("SELECT digest, state FROM intake"))
        assert states == {self.digest(*name): known.state for name, known in self.known.items()}

    @invariant()
    def what_may_not_be_swept_is_pinned_or_shown(self) -> None:
        pinned = {digest for (digest,) in self.db.execute("SELECT digest FROM pins")}
        shown = {digest for (digest,) in self.db.execute("SELECT digest FROM links")}
        for name, known in self.known.items():
            assert (self.blob(*name).digest in pinned | shown) == (known.state != "rejected")

    @invariant()
    def the_ledger_only_grows_and_ends_where_the_entries_stand(self) -> None:
        rows = self.db.execute("SELECT entry, stream, sequence, digest, state FROM ledger ORDER BY entry").fetchall()
        assert rows[: len(self.ledger)] == self.ledger
        self.ledger = rows
        last = {row[3]: row[4] for row in rows if row[4] != "reset"}
        assert last == {self.digest(*n): known.state for n, known in self.known.items() if known.state != "receiving"}


Intake.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None, derandomize=True)
TestIntake = Intake.TestCase
