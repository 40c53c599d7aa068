"""What the transaction of a release costs: as many questions to the database for one artifact as for many, rows of the
intake that stay small, and other writers that wait little."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter, WriterService
from appliance.store.writes.custody import Withdraw
from appliance.store.writes.decisions import Approve, Decision, Release, Released
from appliance.store.writes.intake import BeginIntake, Inspected, Quarantine, RecordVolume, Verified, VolumeRow
from appliance.store.writes.lifecycle import SaveReread
from appliance.store.writes.registry import BlobRow, ManifestRow
from appliance.store.writes.write import Writer
from bundles.oci.digest import Digest

AT = "2026-01-01T00:00:00Z"
STREAM = "alpha.bravo"


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
    decision = Decision(keyid="0" * 16, owner="Anna", document="{}", signature=b"")
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


def longest_wait(paths: StationPaths, count: int, *, withdrawn: bool = False) -> tuple[float, float]:
    """Seconds that a release of `count` artifacts takes beside as many that are released, and the longest that another
    writer waits meanwhile."""
    with WriterService(paths.database) as service:
        shown = artifacts(count, "first")
        service.submit(release(approved(service, shown), shown))
        shown = artifacts(count, "second")
        digest = approved(service, shown, 2)
        if withdrawn:
            service.submit(release(digest, shown))
        waits, over = [0.0], threading.Event()

        def write() -> None:
            while not over.is_set():
                before = time.perf_counter()
                service.submit(SaveReread(position="", started=AT, finished=""))
                waits.append(time.perf_counter() - before)

        other = threading.Thread(target=write)
        other.start()
        before = time.perf_counter()
        service.submit(withdraw(digest) if withdrawn else release(digest, shown))
        took = time.perf_counter() - before
        over.set()
        other.join()
    return took, max(waits)


@pytest.mark.long
@pytest.mark.parametrize("withdrawn", [False, True], ids=["release", "withdrawal"])
def test_other_writers_wait_less_than_a_second_for_four_thousand_artifacts(tmp_path: Path, withdrawn: bool) -> None:
    found = []
    for turn in range(3):
        folder = tmp_path / str(turn)
        folder.mkdir()
        found.append(longest_wait(StationPaths(folder), 4_000, withdrawn=withdrawn)[1])
    assert min(found) < 1.0


@pytest.mark.long
def test_a_release_takes_time_linear_in_its_artifacts(tmp_path: Path) -> None:
    took = {}
    for count in (2_500, 20_000):
        found = []
        for turn in range(3):
            folder = tmp_path / f"{count}-{turn}"
            folder.mkdir()
            found.append(longest_wait(StationPaths(folder), count)[0])
        took[count] = min(found)
    assert took[20_000] < 12 * took[2_500]
