"""The disk full at every stage: one clear answer, nothing half there, nothing lost, and it goes on with room."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.limits import store as limits
from appliance.store.blobs import BlobStore
from appliance.store.files import DiskFullError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.faults.disks import FillingDisk, mounted
from tests.registry_server import Answer, Server, Store

BODY = os.urandom(3_000_000)
DIGEST = Digest.of(BODY)


@pytest.fixture
def disk() -> FillingDisk:
    return FillingDisk()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


@pytest.fixture
def server(store: Store, disk: FillingDisk) -> Server:
    return store.serve(files=disk)


def single_post(server: Server) -> Answer:
    return server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={DIGEST}", BODY)


def post_and_put(server: Server) -> Answer:
    begun = server.ask("POST", "/v2/team/app/blobs/uploads/")
    return begun if begun.status != 202 else server.ask("PUT", f"{begun.headers['Location']}?digest={DIGEST}", BODY)


def chunks(server: Server) -> Answer:
    answer = server.ask("POST", "/v2/team/app/blobs/uploads/")
    for first in range(0, len(BODY), 1_000_000):
        if answer.status != 202:
            return answer
        piece = {"Content-Range": f"{first}-{first + 999_999}"}
        answer = server.ask("PATCH", answer.headers["Location"], BODY[first : first + 1_000_000], piece)
    return answer if answer.status != 202 else server.ask("PUT", f"{answer.headers['Location']}?digest={DIGEST}")


@pytest.mark.parametrize(
    ("push", "code"),
    [(single_post, errno.ENOSPC), (single_post, errno.EDQUOT), (post_and_put, errno.ENOSPC), (chunks, errno.ENOSPC)],
)
def test_a_push_that_finds_no_room_at_any_stage_says_so_and_leaves_nothing(
    store: Store, server: Server, disk: FillingDisk, push: Callable[[Server], Answer], code: int
) -> None:
    kept = server.push_blob("team/app", b"was there before")
    disk.code = code
    for stage in range(100):
        disk.left, disk.refused = stage, 0
        answer = push(server)
        if not disk.refused:
            break
        assert (answer.status, answer.code) == (507, "DENIED")
        disk.room()
        assert server.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
        assert [path.name for path in store.paths.uploads.iterdir()] == []
        assert server.ask("GET", f"/v2/team/app/blobs/{kept}").body == b"was there before"
    assert stage > 3
    assert answer.status == 201
    assert server.ask("GET", f"/v2/team/app/blobs/{DIGEST}").body == BODY


def test_a_manifest_that_finds_no_room_moves_no_tag(store: Store, server: Server, disk: FillingDisk) -> None:
    first, second = image([]), image([])
    first.push(server, "team/app", "latest")
    server.push_blob("team/app", second.blobs[0])
    for stage in range(100):
        disk.left, disk.refused = stage, 0
        answer = server.ask(
            "PUT", "/v2/team/app/manifests/latest", second.manifest, {"Content-Type": second.media_type}
        )
        if not disk.refused:
            break
        assert answer.status == 507
        assert server.ask("GET", "/v2/team/app/manifests/latest").body == first.manifest
        assert list(store.paths.uploads.iterdir()) == []
    assert server.ask("GET", "/v2/team/app/manifests/latest").body == second.manifest


def job(blobs: BlobStore) -> None:
    writer = blobs.begin_blob(DIGEST, len(BODY))
    for start in range(0, len(BODY), 1_000_000):
        writer.write(BODY[start : start + 1_000_000])
    writer.commit()


@pytest.mark.parametrize("stage", range(6))
def test_a_job_that_finds_no_room_leaves_nothing(store: Store, disk: FillingDisk, stage: int) -> None:
    blobs = BlobStore(store.paths, disk)
    disk.left = stage
    with pytest.raises(DiskFullError, match="the disk is full"):
        job(blobs)
    assert not blobs.has_blob(DIGEST)
    assert list(store.paths.uploads.iterdir()) == []
    disk.room()
    job(blobs)
    assert blobs.size(DIGEST) == len(BODY)


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A real file system of some 16 MiB: one in memory, and one with a journal on a loop device."""
    with mounted(tmp_path / "small", request.param, 16 << 20 if request.param == "tmpfs" else 24 << 20) as folder:
        yield folder


def test_a_disk_that_is_really_full_serves_on_and_takes_pushes_again_once_there_is_room(small_disk: Path) -> None:
    with Store(small_disk) as store:
        server = store.serve()
        content = image()
        content.push(server, "team/app", "v1")
        ballast = small_disk / "ballast"
        room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(b"\0" * (room - 1_500_000))
        answers = [single_post(server), post_and_put(server), chunks(server)]
        assert [answer.status for answer in answers] == [507] * 3
        assert server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
        assert list(store.paths.uploads.iterdir()) == []
        ballast.unlink()
        assert single_post(server).status == 201


def test_metadata_that_finds_no_room_refuses_the_write_and_keeps_what_was(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READ_ONLY", 0)  # else the station is read-only before the metadata is full
    with Store(small_disk) as store:
        server = store.serve()
        content = image()
        content.push(server, "team/app", "v1")
        ballast = small_disk / "ballast"
        room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        ballast.write_bytes(b"\0" * (room - 60_000))
        statuses = []
        for number in range(200):
            body = str(number).encode()
            answer = server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}", body)
            statuses.append(answer.status)
        assert set(statuses) <= {201, 503, 507}
        assert statuses[-1] != 201
        assert server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
        ballast.unlink()
        server.push_blob("team/app", b"room again")
        for number, status in enumerate(statuses):
            digest = Digest.of(str(number).encode())
            if status == 201:
                assert server.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 200
