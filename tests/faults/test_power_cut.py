"""The power cut at every moment of a store's work: what has a name is whole, what was acknowledged is there."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_writer
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import LinkBlob
from bundles.errors import MalformedError, RefusedError
from bundles.oci.digest import Digest
from tests.faults.disks import RecordingDisk, Wreck

AT = "2026-01-01T00:00:00Z"


class Workload:
    """A station's morning: blobs of jobs, uploads in pieces, doubles, refusals, cancellations and a collection."""

    def __init__(self, paths: StationPaths, disk: RecordingDisk) -> None:
        self.blobs = BlobStore(paths, disk)
        self.sessions = UploadSessions(self.blobs)
        self.acknowledged: set[Digest] = set()
        """What a client or a job was told is durable."""

    def run(self, dice: random.Random) -> None:
        bodies = [dice.randbytes(size) for size in (0, 10, 3000, 200_000)]
        for body in bodies:
            self._job(body)
            self._upload(body + b"uploaded")
        self._job(bodies[2])  # the same again, over the blob that is there
        self._refused(bodies[3])
        self._reverted(bodies[2] + b"reverted")
        self.sessions.start("team/app").cancel()
        self._removed(b"garbage")
        self._upload(b"garbage")  # and it comes back

    def _job(self, body: bytes) -> None:
        writer = self.blobs.begin_blob(Digest.of(body), len(body))
        for start in range(0, len(body), 70_000):
            writer.write(body[start : start + 70_000])
        writer.commit()
        self.acknowledged.add(Digest.of(body))

    def _upload(self, body: bytes) -> None:
        session = self.sessions.start("team/app")
        session.append(body[: len(body) // 2])
        session.close()
        session = self.sessions.resume("team/app", session.upload_id)
        session.append(body[len(body) // 2 :])
        session.commit(Digest.of(body, "sha512"))
        self.acknowledged.add(Digest.of(body, "sha512"))

    def _refused(self, body: bytes) -> None:
        writer = self.blobs.begin_blob(Digest.of(b"other"), len(body))
        writer.write(body)
        with pytest.raises(RefusedError):
            writer.commit()
        session = self.sessions.start("team/app")
        session.append(body)
        with pytest.raises(MalformedError):
            session.commit(Digest.of(b"other"))

    def _reverted(self, body: bytes) -> None:
        session = self.sessions.start("team/app")
        session.append(body)
        session.append(b"a chunk that was not what it said")
        session.revert(len(body))
        session.commit(Digest.of(body))
        self.acknowledged.add(Digest.of(body))

    def _removed(self, body: bytes) -> None:
        self._job(body)
        self.acknowledged.discard(Digest.of(body))
        self.blobs.graveyard.bury([Digest.of(body)])


def watch(disk: RecordingDisk, workload: Workload, dice: random.Random) -> Callable[[], None]:
    """Cuts the power at every moment, in several ways, and looks."""

    def cut() -> None:
        for wreck in disk.wrecks(dice, 6):
            assert_promises_hold(wreck, workload.acknowledged)

    return cut


def assert_promises_hold(wreck: Wreck, acknowledged: set[Digest]) -> None:
    found = {}
    for path, body in wreck.files.items():
        folder, _, name = path.rpartition("/")
        if folder.startswith("store/blobs/"):
            algorithm = folder.rpartition("/")[2]
            assert Digest.of(body, algorithm).hex == name, "a named blob is not whole"
            found[Digest(algorithm, name)] = body
    assert acknowledged <= set(found), "an acknowledged blob is gone"


@pytest.mark.parametrize("seed", range(4))
def test_after_a_power_cut_at_any_moment_the_stores_promises_hold(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    disk = RecordingDisk(tmp_path)
    workload = Workload(StationPaths(tmp_path), disk)
    disk.watch = watch(disk, workload, dice)
    workload.run(dice)
    assert len(workload.acknowledged) > 8


def test_a_store_that_lost_its_power_opens_sweeps_and_goes_on(tmp_path: Path) -> None:
    dice = random.Random(7)
    disk = RecordingDisk(tmp_path / "before")
    workload = Workload(StationPaths(tmp_path / "before"), disk)
    wrecks: list[tuple[Wreck, set[Digest]]] = []
    disk.watch = lambda: wrecks.extend((wreck, set(workload.acknowledged)) for wreck in disk.wrecks(dice, 1))
    workload.run(dice)
    for number, (wreck, acknowledged) in enumerate(dice.sample(wrecks, 25)):
        after = StationPaths(tmp_path / f"after-{number}")
        wreck.write_to(after.root)
        blobs = BlobStore(after)
        UploadSessions(blobs).sweep(older_than=-60)
        assert list(after.uploads.iterdir()) == []
        assert all(blobs.has_blob(digest) for digest in acknowledged)
        blobs.put(b"goes on", Digest.of(b"goes on"))
        shutil.rmtree(after.root)


def test_a_store_that_renamed_before_it_synced_would_be_found_out(tmp_path: Path) -> None:
    class Careless(RecordingDisk):
        def sync(self, fd: int) -> None:
            """Says it did."""

    disk = Careless(tmp_path)
    workload = Workload(StationPaths(tmp_path), disk)
    dice = random.Random(1)
    disk.watch = watch(disk, workload, dice)
    with pytest.raises(AssertionError, match="not whole"):
        workload.run(dice)


def test_a_store_that_forgot_its_folder_would_be_found_out(tmp_path: Path) -> None:
    class Careless(RecordingDisk):
        def sync_folder(self, path: Path) -> None:
            """Says it did."""

    disk = Careless(tmp_path)
    workload = Workload(StationPaths(tmp_path), disk)
    dice = random.Random(1)
    disk.watch = watch(disk, workload, dice)
    with pytest.raises(AssertionError, match="acknowledged blob is gone"):
        workload.run(dice)


@pytest.mark.parametrize("torn", ["nothing", "zeros", "noise", "half a frame"])
def test_metadata_keeps_every_acknowledged_write_whatever_follows_it_in_the_journal(
    paths: StationPaths, tmp_path: Path, torn: str
) -> None:
    connection = open_writer(paths.database)
    writer = LocalWriter(connection)
    digests = [Digest.of(str(number).encode()) for number in range(30)]
    for digest in digests:
        writer.submit(LinkBlob(repository="a", blob=BlobRow(digest=str(digest), size=1, crc32=0), at=AT))
    after = StationPaths(tmp_path / "after")
    after.root.mkdir()
    journal = paths.database.with_name(f"{paths.database.name}-wal").read_bytes()
    shutil.copy(paths.database, after.database)
    tail = {"nothing": b"", "zeros": bytes(5000), "noise": os.urandom(5000), "half a frame": journal[-4120:-2000]}[torn]
    after.database.with_name(f"{after.database.name}-wal").write_bytes(journal + tail)
    connection.close()
    open_writer(after.database).close()
    metadata = Metadata(after.database)
    assert all(metadata.linked_blob("a", digest) for digest in digests)
