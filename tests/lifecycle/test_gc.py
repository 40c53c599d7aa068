"""Garbage collection takes what nothing shows, pins or waits for, and nothing else, whatever happens beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from appliance import clock
from appliance.lifecycle import gc
from appliance.limits import lifecycle as limits
from appliance.limits import store as store_limits
from appliance.paths import StationPaths
from appliance.store.collection_lock import CollectionLock, incoming_turn
from appliance.store.database import open_writer
from appliance.store.integrity import findings
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.lifecycle import ForgetBlobs, UnlinkBlobs
from appliance.store.writes.registry import PutManifest
from bundles.errors import CancelledError, FailedError, UsageError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.faults.test_kill import pull_whole
from tests.intake.inside import Inside, small_bundle
from tests.lifecycle.conftest import Kept
from tests.outgoing.outside import Outside

NOTHING_SHOWN = sha256().hexdigest()


def forgotten(kept: Kept, body: bytes) -> Digest:
    """A blob that was pushed, and deleted from its only repository."""
    digest = kept.server.push_blob("team/app", body)
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    return digest


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the file's lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_what_a_repository_shows_stays(kept: Kept) -> None:
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    loose = kept.server.push_blob("team/app", b"no manifest names it yet")
    result = kept.gc()
    assert (result["blobs"], result["waiting"]["blobs"]) == (0, 1)
    assert 23 * 3600 < clock.seconds(result["waiting"]["until"]) - clock.seconds(clock.now()) <= 24 * 3600
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest
    assert kept.held(digest) == kept.held(loose) == (True, True)


def test_a_deleted_blob_goes_and_one_that_another_repository_shows_stays(kept: Kept) -> None:
    both, one = b"in two repositories", b"in one repository"
    for body, repositories in ((both, ["team/a", "team/b"]), (one, ["team/a"])):
        for repository in repositories:
            kept.server.push_blob(repository, body)
        kept.server.ask("DELETE", f"/v2/team/a/blobs/{Digest.of(body)}")
    result = kept.gc()
    assert (result["blobs"], result["bytes"]) == (1, len(one))
    assert kept.held(Digest.of(one)) == (False, False)
    assert kept.server.ask("GET", f"/v2/team/b/blobs/{Digest.of(both)}").body == both


def test_a_file_that_no_transaction_ever_named_goes(kept: Kept) -> None:
    body = b"killed between its name and its link"
    kept.inside.station.blobs.put(body, Digest.of(body, "sha512"))
    assert kept.gc()["blobs"] == 1
    assert kept.held(Digest.of(body, "sha512")) == (False, False)


def test_a_row_whose_file_is_gone_goes(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", b"lost")
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    kept.paths.blob(digest).unlink()
    kept.gc()
    assert kept.held(digest) == (False, False)


def test_a_dry_run_says_the_same_and_takes_nothing(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", b"to go")
    kept.server.ask("DELETE", f"/v2/team/app/blobs/{digest}")
    dry = kept.gc(dry_run=True)
    assert (dry["blobs"], dry["named"]) == (1, [{"digest": str(digest), "size": 5}])
    assert kept.held(digest) == (True, True)
    assert kept.gc()["named"] == dry["named"]


def test_layers_of_a_deleted_image_go_once_they_are_a_day_old(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, stays = image(), image()
    digest = gone.push(kept.server, "team/app", "v1")
    stays.push(kept.server, "team/app", "v2")
    kept.server.ask("DELETE", f"/v2/team/app/manifests/{digest}")
    assert kept.gc()["blobs"] == 1, "the manifest, which nobody links"
    monkeypatch.setattr(limits, "UNREFERENCED", -60)
    dry = kept.gc(dry_run=True)
    assert (dry["links"], dry["blobs"]) == (len(gone.blobs), len(gone.blobs))
    assert kept.gc()["blobs"] == len(gone.blobs)
    assert all(kept.held(Digest.of(body)) == (False, False) for body in gone.blobs)
    assert pull_whole(kept.server, "team/app", "v2") == stays.manifest


def test_a_repository_with_an_unreadable_manifest_loses_no_link(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = image().push(kept.server, "team/app", "v1")
    kept.server.push_blob("team/app", b"named by none")
    kept.rot(digest)
    monkeypatch.setattr(limits, "UNREFERENCED", -60)
    result = kept.gc()
    assert (result["links"], result["blobs"]) == (0, 0)


def test_a_manifest_that_came_meanwhile_keeps_its_blobs(kept: Kept) -> None:
    content = image()
    for body in content.blobs:
        kept.server.push_blob("team/app", body)
    blobs = tuple(str(Digest.of(body)) for body in content.blobs)
    decided = UnlinkBlobs(repository="team/app", digests=blobs, shown=NOTHING_SHOWN, before=clock.after(60))
    content.push(kept.server, "team/app", "v1")
    assert kept.inside.writer.submit(decided) == 0
    assert pull_whole(kept.server, "team/app", "v1") == content.manifest


def test_what_is_linked_meanwhile_is_not_forgotten(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", b"linked")
    assert kept.inside.writer.submit(ForgetBlobs(digests=(str(digest),))) == []
    assert kept.held(digest) == (True, True)


def test_quarantine_is_kept_and_a_rejected_bundle_goes(kept: Kept, tmp_path: Path) -> None:
    made = small_bundle(tmp_path / "carried")
    kept.inside.trust(made.key.public)
    officer = kept.inside.officer()
    name = kept.inside.bring(*made.folders)["id"]
    blobs = [Digest.parse(blob.digest) for blob in made.signed.manifest.blobs]
    assert kept.gc()["blobs"] == 0
    assert all(kept.held(digest) == (True, True) for digest in blobs)
    kept.inside.decide(name, officer, "reject", "not wanted")
    assert kept.gc()["blobs"] == len(blobs)
    assert not any(kept.held(digest)[0] for digest in blobs)


def test_a_refused_bundle_and_its_half_joined_blobs_go(kept: Kept, tmp_path: Path) -> None:
    kept.paths.joins.mkdir(parents=True)
    (kept.paths.joins / f"{'0' * 16}-sha256-{'1' * 64}").write_bytes(b"of a bundle that no longer comes in")
    assert kept.gc()["uploads"] == 1
    assert list(kept.paths.joins.iterdir()) == []


def test_it_waits_for_imports_before_it_takes_anything_and_can_be_cancelled_meanwhile(kept: Kept) -> None:
    def cancel(phase: str, *_: int) -> None:
        if phase.startswith("wait"):
            raise CancelledError("cancelled")

    garbage = forgotten(kept, b"to go")
    with (
        incoming_turn(kept.paths, lambda *_: None, collects=False),
        incoming_turn(kept.paths, lambda *_: None, collects=False),
        pytest.raises(CancelledError),
    ):
        gc.run(kept.context(cancel))
    assert kept.held(garbage) == (True, True)


def test_imports_do_not_wait_while_it_looks(kept: Kept) -> None:
    """Nothing is to be taken, so no turn is taken: the collection ends beside an import that runs."""
    image().push(kept.server, "team/app", "v1")
    with incoming_turn(kept.paths, lambda *_: None, collects=False):
        assert kept.gc()["blobs"] == 0


def test_an_import_that_waits_comes_before_the_next_batch(kept: Kept) -> None:
    order: list[str] = []

    def bring_in() -> None:
        with incoming_turn(kept.paths, lambda *_: None, collects=False):
            order.append("import")

    with incoming_turn(kept.paths, lambda *_: None, collects=True):
        waiting = threading.Thread(target=bring_in)
        waiting.start()
        while not _is_locked(kept.paths.incoming_queue):
            assert waiting.is_alive()
    with incoming_turn(kept.paths, lambda *_: None, collects=True):
        order.append("collect")
    waiting.join()
    assert order == ["import", "collect"]


def test_it_takes_more_than_a_page_in_batches(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GC_PAGE", 4)
    monkeypatch.setattr(limits, "GC_BATCH", 3)
    gone = [forgotten(kept, b"%d" % number) for number in range(10)]
    stays = [kept.server.push_blob("team/app", b"stays %d" % number) for number in range(10)]
    for digest in gone[::2]:
        kept.paths.blob(digest).unlink()
    assert kept.gc()["blobs"] == len(gone)
    assert {kept.held(digest) for digest in gone} == {(False, False)}
    assert {kept.held(digest) for digest in stays} == {(True, True)}


def test_an_outside_that_built_a_bundle_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside:
        artifact = tmp_path / "thing.bin"
        artifact.write_bytes(b"thing")
        references = outside.collect({"kind": "file", "path": str(artifact), "as": "files/thing:1"})
        outside.build(tmp_path / "medium", *references)
        assert outside.station.reader.execute("SELECT count(*) FROM carried_out").fetchone()[0] > 0
        assert outside.run(outside.context("gc", {}), gc.run)["blobs"] == 0


def test_the_columns_of_a_key_come_first_and_in_its_order(tmp_path: Path) -> None:
    """SQLite before 3.42 takes another order for NULLs where a column that may be none has another place in the key.
    `custody_taken` is older than this rule; its columns are all of the key or behind it, and it is checked in full."""
    with contextlib.closing(open_writer(tmp_path / "metadata.sqlite")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'").fetchall()
        wrong = []
        for (table,) in tables:
            key = [row[5] for row in database.execute(f"PRAGMA table_info({table})")]
            if key != sorted(key, key=lambda place: (place == 0, place)):
                wrong.append(table)
        assert wrong == ["custody_taken"]
        columns = database.execute("PRAGMA table_info(custody_taken)").fetchall()
        values = [7 if "INT" in row[2] else "x" for row in columns]
        database.execute(f"INSERT INTO custody_taken VALUES ({','.join('?' * len(values))})", values)
        assert findings(database).texts == []


def test_one_flipped_bit_anywhere_in_the_metadata_takes_no_blob(tmp_path: Path) -> None:
    """Each place where the database names the tagged manifest, in tables and indexes alike."""
    with Inside(tmp_path / "bravo") as inside:
        station, body = inside.station, b"{}"
        digest = Digest.of(body)
        station.blobs.put(body, digest)
        row = BlobRow(digest=str(digest), size=len(body), crc32=0)
        manifest = ManifestRow(blob=row, media_type="application/vnd.oci.image.manifest.v1+json")
        put = PutManifest(repository="team/app", manifest=manifest, at=clock.now(), tags=("v1",))
        inside.writer.submit(put)
        database = station.paths.database
    name, content = str(digest).encode(), database.read_bytes()
    places = [found.start() for found in re.finditer(name, content)]
    assert len(places) >= 4
    for place in places:
        for bit in (0, 1):
            hurt = bytearray(content)
            hurt[place + 20] ^= 1 << bit
            database.write_bytes(hurt)
            with Inside(tmp_path / "bravo") as inside, contextlib.suppress(FailedError):
                gc.run(inside.context())
            assert StationPaths(tmp_path / "bravo").blob(digest).exists(), (place, bit)


def test_a_push_that_waits_for_a_batch_ends_well_and_is_kept(kept: Kept) -> None:
    body = os.urandom(100)
    with CollectionLock(kept.paths).collecting():
        pushing = threading.Thread(target=kept.server.push_blob, args=("team/app", body))
        pushing.start()
        pushing.join(0.3)
        assert pushing.is_alive()
        assert kept.held(Digest.of(body)) == (False, False)
    pushing.join(10)
    kept.gc()
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{Digest.of(body)}").body == body


def test_a_collection_lets_pushes_through_while_it_waits_for_a_long_one(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_limits, "GATE_WAIT", 0.1)
    gate = CollectionLock(kept.paths)
    long_one = gate.try_place()
    assert long_one is not None
    entered = threading.Event()

    def collect() -> None:
        with gate.collecting():
            entered.set()

    collecting = threading.Thread(target=collect)
    collecting.start()
    kept.server.push_blob("team/app", b"meanwhile")
    assert not entered.is_set()
    os.close(long_one)
    collecting.join(10)
    assert entered.is_set()


def test_pushes_mounts_and_deletes_beside_many_collections_lose_nothing(kept: Kept) -> None:
    """Every client pushes, deletes and pushes again the same few blobs, so that most of them are garbage by turns."""
    stop = threading.Event()
    failures: list[BaseException] = []
    bodies = [f"shared {number}".encode() * 50 for number in range(6)]

    def client(number: int) -> None:
        dice = random.Random(number)
        repository, elsewhere = f"race/{number}", f"race/{number}/mounted"
        try:
            while not stop.is_set():
                worker, body = dice.choice(kept.workers), dice.choice(bodies)
                digest = Digest.of(body)
                worker.push_blob(repository, body)
                assert worker.ask("GET", f"/v2/{repository}/blobs/{digest}").body == body
                mount = f"/v2/{elsewhere}/blobs/uploads/?mount={digest}&from={repository}"
                assert worker.ask("POST", mount).status == 201
                worker.ask("DELETE", f"/v2/{repository}/blobs/{digest}")
                assert dice.choice(kept.workers).ask("GET", f"/v2/{elsewhere}/blobs/{digest}").body == body
                worker.ask("DELETE", f"/v2/{elsewhere}/blobs/{digest}")
        except BaseException as error:
            failures.append(error)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for each in clients:
        each.start()
    taken = sum(kept.gc()["blobs"] for _ in range(25))
    stop.set()
    for each in clients:
        each.join(30)
    assert failures == []
    assert taken > 0
    kept.gc()
    assert [path.name for path in kept.paths.blobs.glob("*/*")] == []


def test_nothing_but_true_or_false_is_a_dry_run(kept: Kept) -> None:
    with pytest.raises(UsageError):
        kept.gc(dry_run="yes")


def test_a_collection_is_in_the_audit_log(kept: Kept) -> None:
    kept.gc()
    assert [event["detail"]["moment"] for event in kept.inside.events("gc")] == ["begun", "ended"]
