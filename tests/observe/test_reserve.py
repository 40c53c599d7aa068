"""The disk's reserve: acts that matter are recorded and done on a disk where nothing else is left."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock, limits
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent, FileAudit, tail
from appliance.observe.reserve import FILLING, Reserve
from appliance.store.writes.lifecycle import Block
from bundles.files import NoSpaceError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private, save_private
from tests.registry_server import Store

BODY = b"a layer of some bytes"


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real file system of some 16 MiB, and a reserve that fits it."""
    monkeypatch.setattr(limits, "RESERVE", 2 << 20)
    monkeypatch.setattr(limits, "RESERVE_STEP", 256 << 10)
    folder = tmp_path / "small"
    folder.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]
    else:
        picture = tmp_path / "disk.img"
        with picture.open("wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", picture], check=True)
        command = ["mount", "-o", "loop", picture, folder]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs to mount a {request.param}: {mounted.stderr.strip()}")
    save_private(folder / "keys" / "audit.pem", create_private(), None)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Take every free byte of the file system."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 1):
            while True:
                try:
                    if not file.write(b"\0" * size):
                        break
                except OSError:
                    break
    return ballast


def test_a_full_disk_still_takes_acts_that_matter_and_gets_its_reserve_back(disk: Path) -> None:
    with Store(disk) as store:
        store.paths.audit.mkdir(exist_ok=True)
        reserve, audit = Reserve(store.paths.reserve), FileAudit(store.paths.audit)
        audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "alpha.bravo-000001"))
        assert reserve.keep()
        ballast = fill(disk)
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
        ballast = fill(disk)
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


def test_a_disk_that_is_too_small_gets_no_reserve(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESERVE", 12 << 20)
    reserve = Reserve(disk / "reserve")
    assert not reserve.keep()
    assert not reserve.path.exists()
    assert not reserve.in_want()
    assert not reserve.give_back()


def test_a_full_disk_is_an_error_of_its_own(disk: Path) -> None:
    (disk / "audit").mkdir()
    audit = FileAudit(disk / "audit")
    audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "x"))
    fill(disk)
    with pytest.raises(NoSpaceError):
        record_many(audit)


def record_many(audit: FileAudit) -> None:
    for _ in range(1_000):
        audit.record(AuditEvent(Act.INTAKE_IMPORT, "carl", "x" * 500))
