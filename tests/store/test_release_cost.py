"""What the transaction of a release costs: as many questions to the database for one artifact as for many, rows of the
intake that stay small, and as much work for each further artifact."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.custody import Withdraw
from appliance.store.writes.decisions import Approve, Release, Released, SignedDecision
from appliance.store.writes.intake import BeginIntake, Inspected, Quarantine, RecordVolume, Verified, VolumeRow
from appliance.store.writes.write import Write, Writer
from bundles.oci.digest import Digest
from tests.meter import steps

AT = "2026-01-01T00:00:00Z"
STREAM = "alpha.bravo"
MOST = {
    False: {"statements": 12, "steps": 800, "lines": 150},
    True: {"statements": 22, "steps": 700, "lines": 180},
}
"""Of one artifact more, in a release and in a withdrawal. At these counts the transaction of 4,000 artifacts takes 0.5
to 0.7 s of processor time on the two cores of docs/performance.md, where the goal is a second."""
SCANS = {
    "SCAN j VIRTUAL TABLE INDEX 1:",
    "SCAN json_each VIRTUAL TABLE INDEX 1:",
    "SCAN tombstones",  # with LIMIT 1: whether there is one
    "SCAN commits",  # one row each
    "SCAN epoch",
}
"""Tables that are read from end to end: what the statement was given, and one row."""

withdrawn_or_not = pytest.mark.parametrize("withdrawn", [False, True], ids=["release", "withdrawal"])


def row(text: str) -> BlobRow:
    return BlobRow(digest=str(Digest.of(text.encode())), size=2, crc32=0)


def artifacts(count: int, name: str) -> tuple[Released, ...]:
    """Files: each a manifest with a layer of its own and the empty configuration that all share, and a tag."""
    return tuple(
        Released(
            repository=f"files/{number % 50}",
            manifest=ManifestRow(blob=row(f"{name} manifest {number}"), media_type="application/json"),
            blobs=(row("{}").digest, row(f"{name} layer {number}").digest),
            tags=(f"{name}-{number}",),
        )
        for number in range(count)
    )


def approved(writer: Writer, shown: tuple[Released, ...], sequence: int = 1) -> str:
    """A bundle of these artifacts that waits for its release, its manifest as long as a real one; its digest."""
    digest = str(Digest.of(f"bundle {sequence}".encode()))
    blobs = {blob: BlobRow(digest=blob, size=2, crc32=0) for one in shown for blob in one.blobs}
    blobs |= {one.manifest.blob.digest: one.manifest.blob for one in shown}
    manifest = '{"artifacts":[],"filler":"' + "x" * 900 * len(shown) + '"}'
    by = {"digest": digest, "actor": "tester", "at": AT}
    writer.submit(
        BeginIntake(
            id=f"{STREAM}-{sequence:06d}", stream=STREAM, sequence=sequence, manifest=manifest, artifacts=len(shown),
            volumes=(VolumeRow(index=1, medium=1, size=10),), pins=tuple(blobs), job="job", **by,
        )
    )  # fmt: skip
    writer.submit(RecordVolume(digest=digest, volume=1, blobs=tuple(blobs.values()), at=AT))
    writer.submit(Verified(**by))
    writer.submit(Quarantine(made=AT, why="", job="job", **by))
    writer.submit(Inspected(report="{}" + " " * 100 * len(shown), report_digest="report", **by))
    decision = SignedDecision(keyid="0" * 16, owner="Anna", document="{}", signature=b"")
    writer.submit(Approve(report_digest="report", decision=decision, needed=1, **by))
    return digest


def release(digest: str, shown: tuple[Released, ...], *, whole: bool = True) -> Release:
    return Release(
        digest=digest, report_digest="report", approved_by=("0" * 16,), needed=1, artifacts=shown, actor="tester",
        at=AT, whole=whole,
    )  # fmt: skip


def withdraw(digest: str) -> Withdraw:
    return Withdraw(digest=digest, keep=(), pins=(), why="why", actor="tester", at=AT)


def questions(db: sqlite3.Connection, write: Release) -> list[str]:
    """The queries that a write asks."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    LocalWriter(db).submit(write)
    db.set_trace_callback(None)
    return [text.partition("json_each(")[0] for text in asked if text.startswith("SELECT")]


@pytest.mark.parametrize("again", [False, True], ids=["whole", "in part before"])
def test_a_release_of_many_artifacts_asks_no_more_than_one_of_few(tmp_path: Path, again: bool) -> None:
    found = []
    for count in (4, 40):
        db = open_writer(tmp_path / f"{count}.sqlite")
        shown = artifacts(count, "a")
        digest = approved(LocalWriter(db), shown)
        if again:  # everything again but one, so that every link has an older claim of the bundle's own
            LocalWriter(db).submit(release(digest, shown[1:], whole=False))
        found.append(questions(db, release(digest, shown)))
        assert db.execute("SELECT count(*) FROM tags").fetchone()[0] == count
        db.close()
    assert found[0] == found[1]


def test_a_row_of_the_intake_is_small_whatever_the_bundle_holds(tmp_path: Path) -> None:
    """A search for a key in a table WITHOUT ROWID copies the rows that it passes."""
    db = open_writer(tmp_path / "metadata.sqlite")
    approved(LocalWriter(db), artifacts(500, "a"))
    (kept,) = db.execute("SELECT * FROM intake").fetchall()
    assert sum(len(str(field)) for field in kept) < 1000
    assert db.execute("SELECT length(manifest) FROM intake_documents").fetchone()[0] > 400_000
    db.close()


@dataclass(frozen=True)
class Work:
    """What the transaction of a write goes through: statements of SQL, steps of SQLite's virtual machine, lines of
    Python."""

    statements: int
    steps: int
    lines: int


def prepared(db: sqlite3.Connection, count: int, beside: int, *, withdrawn: bool) -> Write:
    """The release of `count` artifacts, or its withdrawal, where `beside` others are released."""
    shown = artifacts(beside, "first")
    writer = LocalWriter(db)
    writer.submit(release(approved(writer, shown), shown))
    shown = artifacts(count, "second")
    digest = approved(writer, shown, 2)
    if not withdrawn:
        return release(digest, shown)
    writer.submit(release(digest, shown))
    return withdraw(digest)


def work(db: sqlite3.Connection, write: Write) -> Work:
    """Counts what the write goes through, and undoes it."""
    asked: list[str] = []
    turns = itertools.count()
    db.execute("BEGIN IMMEDIATE")
    db.set_trace_callback(asked.append)
    db.set_progress_handler(lambda: next(turns) < 0, 1)
    lines = steps(lambda: write.apply(db))
    db.set_progress_handler(None, 0)
    db.set_trace_callback(None)
    db.execute("ROLLBACK")
    turned = next(turns)
    return Work(statements=len(asked), steps=turned, lines=lines - turned)  # a turn is a line of the handler's


@withdrawn_or_not
def test_a_release_works_the_same_for_each_further_artifact(tmp_path: Path, withdrawn: bool) -> None:
    """Other writers wait for the whole transaction: twice as many artifacts must make it twice as long, not four times.
    The counts do not depend on the machine; the times are in `python -m tests.bench.release`."""
    found = {}
    for count in (200, 400, 800):
        with closing(open_writer(tmp_path / f"{count}.sqlite")) as db:
            found[count] = work(db, prepared(db, count, 200, withdrawn=withdrawn))
    for kind in ("statements", "steps", "lines"):
        few, some, many = (getattr(found[count], kind) for count in (200, 400, 800))
        assert many - some <= 2.02 * (some - few), (kind, found)
        assert many - some <= 400 * MOST[withdrawn][kind], (kind, found)


@withdrawn_or_not
def test_a_release_works_the_same_whatever_is_released_beside_it(tmp_path: Path, withdrawn: bool) -> None:
    found = []
    for beside in (100, 1_600):
        with closing(open_writer(tmp_path / f"{beside}.sqlite")) as db:
            found.append(work(db, prepared(db, 100, beside, withdrawn=withdrawn)))
    few, many = found
    assert (few.statements, few.lines) == (many.statements, many.lines)
    assert abs(few.steps - many.steps) <= len(SCANS)  # a search that ends at an index's last row takes a step less


@withdrawn_or_not
def test_a_release_looks_every_row_up_by_an_index(tmp_path: Path, withdrawn: bool) -> None:
    asked: list[str] = []
    with closing(open_writer(tmp_path / "metadata.sqlite")) as db:
        write = prepared(db, 50, 50, withdrawn=withdrawn)
        db.set_trace_callback(asked.append)
        LocalWriter(db).submit(write)
        db.set_trace_callback(None)
        changes = [text for text in asked if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
        assert len(changes) > 500
        plans = {line[3] for text in changes for line in db.execute(f"EXPLAIN QUERY PLAN {text}")}
    assert {line for line in plans if line.startswith("SCAN")} <= SCANS


@withdrawn_or_not
def test_a_release_reads_no_page_of_the_database_again(tmp_path: Path, withdrawn: bool) -> None:
    """The writer's cache holds what a release changes (limits.WRITER_PAGES). With SQLite's own size, a thousand
    artifacts have 9 to 16 MB read again."""
    count = 1_000
    with closing(open_writer(tmp_path / "metadata.sqlite")) as db:
        write = prepared(db, count, count, withdrawn=withdrawn)
        db.execute("PRAGMA wal_autocheckpoint = 0")  # a checkpoint reads the log, and is no part of the transaction
        before = bytes_read()
        LocalWriter(db).submit(write)
        assert bytes_read() - before < 100 * count


def bytes_read() -> int:
    """By this thread, from files of any kind (rchar of proc(5))."""
    counters = dict(line.split(": ") for line in Path("/proc/thread-self/io").read_text().splitlines())
    return int(counters["rchar"])
