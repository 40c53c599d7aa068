"""An upload goes on where it was, in whichever worker, and ends as a whole blob or as nothing."""

from __future__ import annotations

import os
import zlib

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.uploads import BusyError, UploadSessions
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest


@pytest.fixture
def sessions(blobs: BlobStore) -> UploadSessions:
    return UploadSessions(blobs)


@pytest.fixture
def other_worker(paths: StationPaths) -> UploadSessions:
    return UploadSessions(BlobStore(paths))


def started(sessions: UploadSessions, data: bytes = b"") -> str:
    session = sessions.start("team/app")
    session.append(data)
    session.close()
    return session.upload_id


def test_an_upload_grows_request_by_request_and_becomes_a_blob(sessions: UploadSessions) -> None:
    upload = started(sessions, b"one ")
    session = sessions.resume("team/app", upload)
    assert session.offset == 4
    session.append(b"two")
    tally = session.commit(Digest.of(b"one two"))
    assert (tally.size, tally.crc32) == (7, zlib.crc32(b"one two"))
    assert sessions.blobs.has_blob(Digest.of(b"one two"))
    with pytest.raises(NotFoundError):
        sessions.resume("team/app", upload)


def test_requests_of_one_upload_may_reach_different_workers(
    sessions: UploadSessions, other_worker: UploadSessions
) -> None:
    upload = started(sessions, b"a")
    for worker, piece in ((other_worker, b"b"), (sessions, b"c"), (other_worker, b"d")):
        session = worker.resume("team/app", upload)
        session.append(piece)
        session.close()
    sessions.resume("team/app", upload).commit(Digest.of(b"abcd"))
    assert sessions.blobs.has_blob(Digest.of(b"abcd"))


def test_another_algorithm_than_the_sessions_is_hashed_from_the_start(sessions: UploadSessions) -> None:
    upload = started(sessions, b"bytes")
    sessions.resume("team/app", upload).commit(Digest.of(b"bytes", "sha512"))
    assert sessions.blobs.has_blob(Digest.of(b"bytes", "sha512"))


def test_other_bytes_than_the_digests_end_the_upload(sessions: UploadSessions, paths: StationPaths) -> None:
    upload = started(sessions, b"bytes")
    with pytest.raises(MalformedError, match="another digest"):
        sessions.resume("team/app", upload).commit(Digest.of(b"other"))
    assert list(paths.uploads.iterdir()) == []


def test_two_requests_never_hold_one_upload(sessions: UploadSessions, other_worker: UploadSessions) -> None:
    upload = started(sessions)
    held = sessions.resume("team/app", upload)
    for worker in (sessions, other_worker):
        with pytest.raises(BusyError):
            worker.resume("team/app", upload)
    held.close()
    other_worker.resume("team/app", upload).close()


def test_under_another_repository_an_upload_does_not_exist(sessions: UploadSessions) -> None:
    with pytest.raises(NotFoundError):
        sessions.resume("team/other", started(sessions))


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "x" * 300, "0" * 32, "0" * 32 + "-md5", "\0"])
def test_what_is_no_upload_id_names_no_upload(sessions: UploadSessions, name: str) -> None:
    with pytest.raises(NotFoundError):
        sessions.resume("team/app", name)


def test_a_cancelled_upload_is_gone(sessions: UploadSessions, paths: StationPaths) -> None:
    upload = started(sessions, b"bytes")
    sessions.resume("team/app", upload).cancel()
    assert list(paths.uploads.iterdir()) == []


def test_a_reverted_chunk_leaves_no_trace(sessions: UploadSessions) -> None:
    session = sessions.resume("team/app", started(sessions, b"good"))
    session.append(b"bad")
    session.revert(4)
    session.append(b"!")
    session.commit(Digest.of(b"good!"))
    assert sessions.blobs.size(Digest.of(b"good!")) == 5


def test_a_sweep_takes_what_is_old_and_nobody_holds(sessions: UploadSessions, paths: StationPaths) -> None:
    held = sessions.start("team/app")
    job = sessions.blobs.begin_blob(Digest.of(b"x"), 1)
    abandoned, fresh = started(sessions), started(sessions)
    (paths.uploads / "blob-left-by-a-crash").write_bytes(b"half")
    for path in paths.uploads.iterdir():
        if fresh not in path.name:
            os.utime(path, (0, 0))
    assert sessions.sweep(older_than=3600) == 2
    assert not any(abandoned in path.name for path in paths.uploads.iterdir())
    sessions.resume("team/app", fresh).close()
    held.close()
    job.cancel()


def test_tallies_that_were_forgotten_are_made_again(sessions: UploadSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.limits.store.UPLOAD_TALLIES", 1)
    first, second = started(sessions, b"first"), started(sessions, b"second")
    sessions.resume("team/app", first).commit(Digest.of(b"first"))
    sessions.resume("team/app", second).commit(Digest.of(b"second"))
    assert sessions.blobs.has_blob(Digest.of(b"first"))
