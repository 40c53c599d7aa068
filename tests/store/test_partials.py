"""Partial blobs: what is left of a blob goes on, is held by one writer, and is given up by age and by size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.partials import PartialBlob, Partials, WrongDigestError
from appliance.store.uploads import UploadSessions
from bundles.errors import RefusedError
from bundles.oci.digest import Digest

BODY = os.urandom(3000)
DIGEST = Digest.of(BODY)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(StationPaths(tmp_path))


def begin(blobs: BlobStore, digest: Digest = DIGEST) -> PartialBlob:
    partial = Partials(blobs).begin(digest, len(BODY), "team/app")
    partial.catch_up(lambda _: None)
    return partial


def leave(blobs: BlobStore, body: bytes, digest: Digest = DIGEST) -> None:
    partial = begin(blobs, digest)
    partial.write([body])
    partial.keep()


def test_what_was_left_goes_on_and_becomes_a_blob(blobs: BlobStore) -> None:
    leave(blobs, BODY[:1000])
    partial = begin(blobs)
    assert partial.offset == 1000
    partial.write([BODY[1000:2000], BODY[2000:]])
    partial.commit()
    assert blobs.is_whole(DIGEST)
    assert partial.size == len(BODY)
    assert list(blobs.partials.iterdir()) == []


def test_wrong_bytes_are_thrown_away_at_the_end(blobs: BlobStore) -> None:
    leave(blobs, bytes(1000))
    partial = begin(blobs)
    partial.write([BODY[1000:]])
    with pytest.raises(WrongDigestError):
        partial.commit()
    assert not blobs.has_blob(DIGEST)
    assert list(blobs.partials.iterdir()) == []


def test_more_than_announced_is_refused_and_thrown_away(blobs: BlobStore) -> None:
    partial = begin(blobs)
    with pytest.raises(RefusedError):
        partial.write([BODY, b"x"])
    assert list(blobs.partials.iterdir()) == []


def test_two_writers_of_one_blob_write_two_files(blobs: BlobStore) -> None:
    leave(blobs, BODY[:1000])
    first, second = begin(blobs), begin(blobs)
    assert (first.offset, second.offset) == (1000, 0)
    second.write([BODY])
    second.commit()
    first.write([BODY[1000:]])
    first.commit()
    assert blobs.is_whole(DIGEST)
    assert [path.name for path in blobs.uploads.iterdir()] == ["partials"]


def test_a_link_in_a_partials_place_is_not_written_through(blobs: BlobStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    blobs.partials.mkdir()
    (Partials(blobs).path(DIGEST, "team/app")).symlink_to(target)
    with pytest.raises(Exception, match="cannot be written"):
        begin(blobs)
    assert target.read_bytes() == b"mine"


def test_old_ones_and_those_beyond_the_cap_are_swept_and_held_ones_stay(blobs: BlobStore) -> None:
    digests = [Digest.of(bytes([number])) for number in range(5)]
    for number, digest in enumerate(digests):
        leave(blobs, BODY[:1000], digest)
        os.utime(Partials(blobs).path(digest, "team/app"), (1_000 + number, 1_000 + number))
    held = begin(blobs, digests[0])
    assert Partials(blobs).sweep(1e12, most=3) == 1
    assert Partials(blobs).sweep(1e12, size=2500) == 1
    assert {path.name for path in blobs.partials.iterdir()} == {
        Partials(blobs).path(digest, "team/app").name for digest in (digests[0], *digests[3:])
    }
    assert UploadSessions(blobs).sweep(60.0) == 2
    held.keep()
    assert UploadSessions(blobs).sweep(60.0) == 1


def test_what_was_left_for_a_repository_is_for_that_one_alone(blobs: BlobStore) -> None:
    leave(blobs, BODY)
    other = Partials(blobs).begin(DIGEST, len(BODY), "mine/app")
    assert other.offset == 0
    other.keep()
    assert begin(blobs).offset == len(BODY)


def test_a_note_of_what_was_delivered_is_of_its_repository_and_ends(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Partials(blobs)
    digests = [Digest.of(bytes([number])) for number in range(3)]
    for number, digest in enumerate(digests):
        notes.note_delivered(digest, "team/app")
        notes.note_delivered(digest, "team/app")
        os.utime(blobs.delivered / notes.path(digest, "team/app").name, (1_000 + number, 1_000 + number))
    assert [notes.is_delivered(digests[0], name) for name in ("team/app", "mine/app")] == [True, False]
    notes.forget(digests[0], "team/app")
    notes.forget(digests[0], "team/app")
    assert not notes.is_delivered(digests[0], "team/app")
    monkeypatch.setattr("appliance.limits.store.PARTIALS_DELIVERED", 1)
    assert notes.sweep(1e12, most=0) == 1
    assert [notes.is_delivered(digest, "team/app") for digest in digests] == [False, False, True]
    assert notes.sweep(60) == 1
