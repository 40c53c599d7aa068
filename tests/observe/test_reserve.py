"""The disk's reserve: acts that matter are recorded and done on a disk where nothing else is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import FILLING, Act
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.audit.reading import tail
from appliance.limits import audit as audit_limits
from appliance.limits import store as limits
from appliance.store.reserve import ReadOnlyError, Reserve, Room
from appliance.store.writes.lifecycle import Block
from bundles.errors import NoSpaceError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private, save_private
from tests.faults.disks import fill_bytes, fill_inodes, mounted
from tests.registry_server import Store

BODY = b"a layer of some bytes"


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A real file system of some 24 MiB."""
    with mounted(tmp_path / "small", request.param, 24 << 20, 2_000) as folder:
        save_private(folder / "keys" / "audit.pem", create_private(), None)
        yield folder


def test_a_full_disk_still_takes_acts_that_matter_and_gets_its_reserve_back(disk: Path) -> None:
    with Store(disk) as store:
        store.paths.audit.mkdir(exist_ok=True)
        reserve, audit = Reserve(store.paths.reserve), FileAudit(store.paths.audit)
        audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "alpha.bravo-000001"))
        assert reserve.keep()
        ballast = fill_bytes(disk)
        for number in range(40):
            digest = f"sha256:{number:064x}"
            audit.record(AuditEvent(Act.BLOCK, "carl", digest, "done", {"why": "w" * 200}))
            store.writer.submit(Block(digest=digest, why="w" * 200, actor="carl", at=clock.now()))
        assert reserve.in_want()
        assert [event["act"] for event in tail(store.paths.audit, 3)] == [Act.BLOCK] * 3
        assert not reserve.keep(), "there is no room yet"
        ballast.unlink()
        assert reserve.keep()
        assert not reserve.in_want()


def test_in_want_no_content_is_taken_in_and_refusals_are_only_counted(disk: Path) -> None:
    with Store(disk) as store:
        store.paths.audit.mkdir(exist_ok=True)
        reserve, audit = Reserve(store.paths.reserve), FileAudit(store.paths.audit)
        server = store.serve()
        assert reserve.keep()
        ballast = fill_bytes(disk)
        audit.record(AuditEvent(Act.KEY_REVOKE, "carl", "x"))
        while not reserve.in_want():
            audit.record(AuditEvent(Act.KEY_REVOKE, "carl", "x"))
        left, lines = store.paths.reserve.stat().st_size, len(tail(store.paths.audit, 10_000))
        path = f"/v2/team/app/blobs/uploads/?digest={Digest.of(BODY)}"
        assert server.ask("POST", path, BODY).status == 507
        for number in range(500):
            thing = f"/v2/{number}"
            audit.record(AuditEvent(Act.REGISTRY_REFUSE, "anonymous", thing, "refused", {"status": 401}, "10.0.0.1"))
        for act in sorted(FILLING) * 200:
            with contextlib.suppress(NoSpaceError):
                audit.record(AuditEvent(act, "carl", "x" * 200))
        assert store.paths.reserve.stat().st_size == left
        ballast.unlink()
        assert reserve.keep()
        audit.close()
        events = tail(store.paths.audit, 10_000)[lines:]
        assert sum(event["detail"].get("repeated", 0) for event in events if event["act"] == Act.REGISTRY_REFUSE) == 500
        assert server.ask("POST", path, BODY).status == 201


def test_a_small_disk_gives_a_share_of_its_bytes_and_inodes(disk: Path) -> None:
    reserve, room = Reserve(disk / "reserve"), Room.of(disk)
    assert not reserve.give_back(), "nothing is kept yet"
    assert reserve.keep()
    assert reserve.kept() == (room.bytes_kept, room.files_kept)
    assert room.total // 17 < room.bytes_kept <= room.total // 16 < limits.RESERVE
    assert room.files_kept == min(limits.RESERVE_FILES, room.total_inodes // 8)
    assert reserve.path.stat().st_blocks * 512 >= room.bytes_kept, "blocks, and no hole"
    assert (reserve.in_want(), reserve.read_only()) == (False, "")


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_disk_is_read_only_before_its_end_and_whole_again_only_well_after_it(disk: Path, what: str) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    room = Room.of(disk)
    ballast = disk / "ballast"
    if what == "bytes":
        ballast.write_bytes(b"\0" * (room.free - limits.READ_ONLY * room.bytes_kept + (256 << 10)))
    else:
        ballast.mkdir()
        for number in range(room.free_inodes - limits.READ_ONLY * room.files_kept):
            (ballast / f"{number}").touch()
    assert f"{'MB' if what == 'bytes' else 'inodes'} are free" in reserve.read_only()
    assert not reserve.in_want(), "long before the reserve is needed"
    with pytest.raises(ReadOnlyError, match="read-only"):
        reserve.require()
    assert reserve.give_back()
    assert not reserve.keep(), "it would be spent again at once"
    if what == "bytes":
        ballast.unlink()
    else:
        shutil.rmtree(ballast)
    assert "is spent" in reserve.read_only()
    assert reserve.keep()
    assert reserve.read_only() == ""


def test_an_act_makes_room_for_itself_and_takes_no_more_than_a_step(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    reserve.make_room()
    assert reserve.keep()
    whole = reserve.kept()
    reserve.make_room(4)
    assert reserve.kept() == whole, "there is room"
    fill_inodes(disk)
    fill_bytes(disk)
    step, files = Room.of(disk).step
    for number in range(1, 4):
        reserve.make_room()
        reserve.make_room()
        assert reserve.kept() == (whole[0] - number * step, whole[1] - number * files), "twice, and one step"
        fill_inodes(disk)
        fill_bytes(disk)
    while reserve.give_back():
        pass
    assert reserve.kept() == Room.of(disk).for_starts, "acts have spent it"
    reserve.make_room()
    assert reserve.kept() == Room.of(disk).for_starts
    fill_inodes(disk)
    fill_bytes(disk)
    reserve.make_room(limits.RESERVE_START, starts=True)
    assert reserve.kept() < Room.of(disk).for_starts, "a start is not an act"
    for _ in range(limits.RESERVE_STEPS):
        fill_inodes(disk)
        fill_bytes(disk)
        reserve.make_room(limits.RESERVE_START, starts=True)
    assert reserve.kept() == (0, 0)


def test_what_a_start_did_not_use_is_taken_back_before_anything_else_takes_it(disk: Path) -> None:
    """A disk that something else fills again after each start of a station that is killed."""
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    size, files = reserve.kept()
    for number in range(10):
        fill_inodes(disk)
        fill_bytes(disk)
        reserve.make_room(limits.RESERVE_START, starts=True)
        (disk / f"written {number}").write_bytes(b"\0" * 4096)
        assert "free" in reserve.read_only()
        reserve.take_back()
        assert not reserve.keep(), "there is no room for the whole"
        assert "free" in reserve.read_only(), "and no content is taken in"
    after = reserve.kept()
    assert after[0] > size // 2
    assert after[1] > files // 2
    (disk / "ballast").unlink()
    shutil.rmtree(disk / "ballast.files")
    reserve.take_back()
    step, few = Room.of(disk).step
    assert reserve.kept()[0] >= size - step - (64 << 10), "all but a step"
    assert "is spent" in reserve.read_only(), "it comes and goes by `keep` alone"
    assert reserve.kept()[1] <= files - few


def test_nothing_is_taken_back_while_an_act_or_a_start_may_be_under_way(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    fill_inodes(disk)
    fill_bytes(disk)
    reserve.make_room(limits.RESERVE_START, starts=True)
    given = reserve.kept()
    reserve.take_back(lambda: True)
    assert reserve.kept() == given, "a start has yet to use it"
    reserve.make_room()
    reserve.take_back()
    assert reserve.kept() == given, "an act that found room has yet to use it"
    ago = time.time() - limits.RESERVE_LOOK
    os.utime(reserve.path, (ago, ago))
    reserve.take_back()
    size, files = reserve.kept()
    assert size > given[0]
    assert files > given[1]


def test_a_clock_that_is_set_back_does_not_keep_what_was_given_back(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    fill_inodes(disk)
    fill_bytes(disk)
    reserve.make_room(4)
    given = reserve.kept()
    later = time.time() + 3600
    os.utime(reserve.path, (later, later))
    reserve.take_back()
    assert reserve.kept() > given


def test_a_file_with_holes_is_taken_anew(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    size = reserve.path.stat().st_size
    os.truncate(reserve.path, 0)
    os.truncate(reserve.path, size)
    assert reserve.keep(anew=True)
    assert reserve.path.stat().st_blocks * 512 >= size


def test_pulls_go_on_where_nothing_can_be_written_and_are_counted(disk: Path) -> None:
    (disk / "audit").mkdir()
    reserve, audit = Reserve(disk / "reserve"), FileAudit(disk / "audit")
    audit.record(AuditEvent(Act.PULL, "carl", "team/app@sha256:1"))
    assert reserve.keep()
    fill_inodes(disk)
    ballast = fill_bytes(disk)
    kept = reserve.kept()
    for number in range(300):
        audit.record(AuditEvent(Act.PULL, "carl", f"team/app@sha256:{number % 3}", "done", {"from": "10.0.0.1"}))
    assert reserve.kept() == kept, "none of the reserve is for them"
    audit.record(AuditEvent(Act.BLOCK, "carl", "sha256:1"))
    audit.record(AuditEvent(Act.PULL, "dora", "team/app@sha256:1"))
    assert [event["act"] for event in tail(disk / "audit", 1)] == [Act.BLOCK], "nor what it gave back"
    ballast.unlink()
    assert reserve.keep() or shutil.rmtree(disk / "ballast.files") or reserve.keep()
    audit.close()
    pulls = [event for event in tail(disk / "audit", 10_000) if event["act"] == Act.PULL]
    assert sum(event["detail"].get("repeated", 1) for event in pulls if event["actor"] == "carl") >= 300
    assert [event["actor"] for event in pulls].count("dora") == 1


def test_pulls_of_very_many_things_are_counted_within_a_bound(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_limits, "AUDIT_FLOODS", 8)
    (disk / "audit").mkdir()
    audit = FileAudit(disk / "audit")
    audit.record(AuditEvent(Act.BLOCK, "carl", "x"))
    ballast = fill_bytes(disk)
    for number in range(1_000):
        audit.record(AuditEvent(Act.PULL, "carl", f"team/app@sha256:{number}" + "x" * 400))
    ballast.unlink()
    audit.close()
    pulls = [event["detail"] for event in tail(disk / "audit", 10_000) if event["act"] == Act.PULL]
    counted = [detail for detail in pulls if "repeated" in detail]
    assert 1 <= len(counted) <= 10
    assert sum(detail.get("repeated", 1) for detail in pulls) == 1_000, "some fitted into the block that was left open"


def test_a_full_disk_is_an_error_of_its_own(disk: Path) -> None:
    (disk / "audit").mkdir()
    audit = FileAudit(disk / "audit")
    audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "x"))
    fill_bytes(disk)
    with pytest.raises(NoSpaceError):
        record_many(audit)


def record_many(audit: FileAudit) -> None:
    for _ in range(1_000):
        audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "x" * 500))


def test_a_station_takes_content_while_its_reserve_is_made_for_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is half made is not half spent."""
    reserve, seen = Reserve(tmp_path / "reserve"), []
    allocate, close = os.posix_fallocate, os.close

    def allocating(descriptor: int, offset: int, size: int) -> None:
        seen.append(reserve.read_only())
        allocate(descriptor, offset, size)
        seen.append(reserve.read_only())

    def closing(descriptor: int) -> None:
        close(descriptor)
        seen.append(reserve.read_only())

    monkeypatch.setattr(os, "posix_fallocate", allocating)
    monkeypatch.setattr(os, "close", closing)
    assert reserve.keep()
    assert len(seen) > limits.RESERVE_FILES
    assert set(seen) == {""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reserve", "reserve.files"]


def test_who_tries_again_once_there_is_room_is_let_in_at_once(disk: Path) -> None:
    reserve = Reserve(disk / "reserve")
    assert reserve.keep()
    ballast = fill_bytes(disk)
    assert reserve.give_back()
    with pytest.raises(ReadOnlyError):
        reserve.require()
    ballast.unlink()
    reserve.require()
    assert not reserve.in_want()
