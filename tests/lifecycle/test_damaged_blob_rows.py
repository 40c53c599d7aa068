"""Damaged rows of whole blobs: whoever reads or checks the file makes them anew, and none hides damage."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path

import pytest

from appliance import clock
from appliance.lifecycle.metadata_check import check
from appliance.lifecycle.upkeep import find_missing, look_after, upkeep
from appliance.limits import lifecycle as limits
from appliance.outgoing.blob_source import StationBlobSource
from appliance.station import Station, open_station
from appliance.store.database import open_writer
from appliance.store.integrity import findings
from appliance.store.reads.registry import Metadata
from appliance.store.repair import repair
from appliance.store.writes.checks import NoteWrongRow
from appliance.store.writes.rebuild import held_blobs
from bundles.errors import FailedError, MalformedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.lifecycle.conftest import Kept
from tests.lifecycle.edited import edited, metadata_check

DAMAGED_ROWS = ("size = size + 64", "size = size - 1", "crc32 = 7", "size = size + 64, crc32 = 7", "checksum = 1")


WHOLE = b"whole, whatever its row says"


def damage_row(kept: Kept, digest: Digest, change: str) -> None:
    with edited(kept) as database:
        assert database.execute(f"UPDATE blobs SET {change} WHERE digest = ?", (str(digest),)).rowcount == 1


def is_put_right(kept: Kept, digest: Digest) -> bool:
    station = kept.inside.station
    assert station.metadata.troubled() == (0, 0), "nothing was called damaged, or not read"
    return (
        station.metadata.crc32(digest) == zlib.crc32(WHOLE)
        and station.metadata.linked_sizes("team/app", [digest]) == [len(WHOLE)]
        and metadata_check(kept)["ok"]
        and findings(station.reader).texts == []
    )


@pytest.mark.parametrize("change", DAMAGED_ROWS)
def test_a_pull_of_a_whole_blob_makes_its_damaged_row_anew(kept: Kept, change: str) -> None:
    digest = kept.server.push_blob("team/app", WHOLE)
    path = f"/v2/team/app/blobs/{digest}"
    for worker, methods in zip(kept.workers, (("HEAD", "GET"), ("GET", "HEAD")), strict=True):
        damage_row(kept, digest, change)
        for method in methods:
            answer = worker.ask(method, path)
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(WHOLE)))
            assert method == "HEAD" or answer.body == WHOLE
        assert is_put_right(kept, digest)


def test_whoever_checks_or_reads_a_whole_blob_makes_its_damaged_row_anew(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", WHOLE)
    station = kept.inside.station
    acts = {
        "scrub": lambda: kept.scrub(restart=True),
        "gc": kept.gc,
        "check": lambda: check(station, "tester"),
        "push": lambda: kept.server.push_blob("team/app", WHOLE),
    }
    for change in DAMAGED_ROWS:
        for name, act in acts.items():
            damage_row(kept, digest, change)
            assert any("the row of the blob" in text for text in findings(station.reader).texts)
            act()
            assert is_put_right(kept, digest), (change, name)
    assert kept.held(digest) == (True, True)
    damage_row(kept, digest, "crc32 = 7")
    assert StationBlobSource(station.blobs, station.metadata).crc32(digest) == zlib.crc32(WHOLE)
    damage_row(kept, digest, "crc32 = 7, checksum = NULL")
    assert StationBlobSource(station.blobs, station.metadata).crc32(digest) == zlib.crc32(WHOLE), "no checksum at all"
    damage_row(kept, digest, "crc32 = 7, checksum = 1")
    kept.inside.writer.submit(NoteWrongRow(rows="blob", repository="", item=str(digest), at=clock.now()))
    look_after(station)
    assert is_put_right(kept, digest), "upkeep"


def test_a_damaged_row_hides_no_damage(kept: Kept) -> None:
    for file in ("rotten", "gone"):
        digest = kept.server.push_blob("team/app", f"{file} under a damaged row".encode())
        damage_row(kept, digest, "size = size - 1, crc32 = 7")
        if file == "rotten":
            kept.rot(digest)
        else:
            kept.paths.blob(digest).unlink()
        for worker in kept.workers:
            assert worker.ask("GET", f"/v2/team/app/blobs/{digest}").status == 503
            assert worker.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 404
        assert kept.inside.station.metadata.troubled()[1] == 1
        assert metadata_check(kept)["ok"] is False
        assert kept.scrub(restart=True)["metadata"]["state"] == "damaged"
        assert kept.inside.station.metadata.is_withdrawn(digest)
        kept.server.push_blob("team/app", f"{file} under a damaged row".encode())
        assert check(kept.inside.station, "tester").texts == []
        assert kept.inside.station.metadata.troubled() == (0, 0)


def test_one_flipped_bit_in_a_row_of_a_blob_is_right_or_refused_and_found(kept: Kept, tmp_path: Path) -> None:
    digest = kept.server.push_blob("team/app", WHOLE)
    with edited(kept) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    right = kept.inside.station.metadata.linked_blob("team/app", digest)
    assert right is not None
    content, copy = kept.paths.database.read_bytes(), tmp_path / "metadata.sqlite"
    row = str(digest).encode() + bytes([right.size])
    end = content.index(row) + len(row)
    created = content.index(b"20", end)
    for place in (*range(end - 1, created), *range(created + len(clock.now()), created + len(clock.now()) + 4)):
        for bit in range(8):
            hurt = bytearray(content)
            hurt[place] ^= 1 << bit
            copy.write_bytes(hurt)
            with contextlib.closing(Metadata(copy)) as metadata:
                with pytest.raises(FailedError):
                    metadata.linked_blob("team/app", digest)
                assert findings(metadata.connection).texts, (place, bit)
    with contextlib.closing(open_writer(copy)) as database:
        assert repair(database)
        assert held_blobs(database) == {}, "a rebuild reads it again"


def test_a_row_that_is_no_digest_ends_no_pass_and_no_thread(kept: Kept) -> None:
    """A flipped bit makes a key another one, or none at all; the check names it, and all else is looked after."""
    digest = kept.server.push_blob("team/app", b"whole")
    with edited(kept) as database:
        insert = "INSERT INTO blobs (digest, size, crc32, created) VALUES ('{}' || substr(?, 2), 1, 1, '')"
        database.execute(insert.format("r"), (str(digest),))
        database.execute(insert.format(""), ("",))
    assert kept.scrub(restart=True)["complete"]
    find_missing(kept.inside.station)
    with pytest.raises(MalformedError):
        Digest.parse(None)  # type: ignore[arg-type]
    station, failed = kept.inside.station, list[int]()

    def opening() -> Station:
        failed.append(0)
        if len(failed) < 2:
            raise AttributeError("a row of nothing")
        return open_station(kept.paths.root, station.writer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "GRAVEYARD_LOOK", 0.01)
        with upkeep(opening) as checked:
            assert checked.wait(10), "the thread goes on"


def test_a_bit_in_the_key_of_a_blob_withdraws_no_blob_that_never_was(kept: Kept) -> None:
    digest = kept.server.push_blob("team/app", WHOLE)
    other = Digest(digest.algorithm, f"{digest.hex[:-1]}{'0' if digest.hex[-1] != '0' else '1'}")
    with edited(kept) as database:
        database.execute("UPDATE blobs SET digest = ? WHERE digest = ?", (str(other), str(digest)))
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{digest}").status == 503
    result = kept.scrub(restart=True)
    assert (result["damaged"], result["metadata"]["state"]) == ([], "ok")
    found = kept.inside.events("metadata.damaged")[0]["detail"]["found"]
    assert f"the row of the blob {other} is not what was written" in found
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{digest}").body == WHOLE


@pytest.mark.parametrize("change", ["file", "links", "blobs"])
def test_who_asks_whether_to_send_a_blob_is_told_to_and_heals_it(kept: Kept, change: str) -> None:
    """As clients push: HEAD first, and what is not there is sent. Where HEAD says 503 they end, and nothing heals."""
    content = image()
    content.push(kept.server, "team/app", "v1")
    layer = Digest.of(content.blobs[0])
    with edited(kept) as database:
        if change == "file":
            kept.paths.blob(layer).unlink()
        elif change == "links":
            database.execute("UPDATE links SET checksum = checksum + 3 WHERE digest = ?", (str(layer),))
        else:
            database.execute("DELETE FROM blobs WHERE digest = ?", (str(layer),))
    path = f"/v2/team/app/blobs/{layer}"
    assert kept.server.ask("GET", path).status == 503
    assert kept.server.ask("HEAD", path).status == 404
    assert kept.server.push_blob("team/app", content.blobs[0]) == layer
    assert kept.server.ask("HEAD", path).status == 200
    assert kept.server.ask("GET", path).body == content.blobs[0]
    assert kept.scrub()["metadata"]["state"] == "ok"
