"""Blobs in a bucket: what a server, the network and whoever else writes to it can do (docs/adr/0077-blobs-in-s3.md)."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.graveyard import Buried
from appliance.store.s3.keys import Note, blob_key, grave_key, note_key
from appliance.store.s3.place import S3Credentials, S3Place, place
from bundles.errors import FailedError, LockgateError, NotFoundError, UsageError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from tests.s3_proxy import Fault, FaultyWay
from tests.s3_server import (
    CREDENTIALS,
    S3Server,
    Versitygw,
    issue_certificate,
    make_bucket,
    make_graveyard,
    make_s3_blobs,
)

pytestmark = pytest.mark.s3
RAW = random.Random(7).randbytes(3 * MIB + 17)
DIGEST = Digest.of(RAW)
GRAVES = ["2026-11-30T220400Z", "2026-12-01T000000Z"]


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again as often, and sooner."""
    monkeypatch.setattr(limits, "S3_PAUSES", (0.01, 0.02))


@pytest.fixture
def way(s3: S3Server) -> Iterator[FaultyWay]:
    with FaultyWay(s3.port) as way:
        yield way


def put(blobs: object, data: bytes, digest: Digest) -> None:
    writer = blobs.begin_blob(digest, len(data))
    writer.write(data)
    writer.commit()


def objects(where: S3Place) -> list[str]:
    """The keys of every object in a bucket."""
    return sorted(key for key, _ in make_bucket(where).keys(""))


def exchange(where: S3Place, key: str, data: bytes) -> None:
    """Put other bytes in an object's place, as who owns the bucket can."""
    make_bucket(where).put_over(key, data, len(data))


def test_a_blob_is_one_object_under_its_digest_beside_the_mark(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore
) -> None:
    put(make_s3_blobs(s3_place, blobs), RAW, DIGEST)
    assert objects(s3_place) == [f"blobs/sha256/{DIGEST.hex}", "lockgate-store"]
    assert list(blobs.uploads.iterdir()) == []


def test_a_range_is_read_without_what_is_before_it(s3_place: S3Place, blobs: BlobStore) -> None:
    store = make_s3_blobs(s3_place, blobs)
    put(store, RAW, DIGEST)
    with store.open_blob(DIGEST) as file:
        for start, count in ((2 * MIB, 100), (5, 7), (3 * MIB, 1000), (len(RAW), 1), (len(RAW) + 9, 1), (0, MIB + 1)):
            file.seek(start)
            assert file.read(count) == RAW[start : start + count]
        assert file.seek(-17, os.SEEK_END) == 3 * MIB
        assert file.read() == RAW[-17:]


@pytest.mark.parametrize(
    "other",
    [RAW[:-1] + bytes([RAW[-1] ^ 1]), bytes([RAW[0] ^ 1]) + RAW[1:], RAW[:-1], RAW + b"x", b""],
    ids=["last", "first", "shorter", "longer", "empty"],
)
def test_other_bytes_are_never_given_out_whole(s3: S3Server, s3_place: S3Place, blobs: BlobStore, other: bytes) -> None:
    store = make_s3_blobs(s3_place, blobs)
    put(store, RAW, DIGEST)
    exchange(s3_place, f"blobs/sha256/{DIGEST.hex}", other)
    got = bytearray()
    with store.open_blob(DIGEST) as file, pytest.raises(FailedError) as refused:
        got.extend(itertools.chain.from_iterable(iter(lambda: file.read(64 * 1024), b"")))
    assert refused.value.code == "s3-damaged"
    assert len(got) < max(len(other), 1)


def test_a_blob_that_one_put_does_not_take_goes_in_parts_under_a_key_of_its_own(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore
) -> None:
    store = make_s3_blobs(s3_place, blobs, single_put=MIB)
    for _ in range(2):  # the second is put, read back and named as the first one was
        put(store, RAW, DIGEST)
        (parts,) = [key for key in objects(s3_place) if key.startswith("parts/")]
        assert objects(s3_place) == [f"large/sha256/{DIGEST.hex}", "lockgate-store", parts]
    assert (store.has_blob(DIGEST), store.size(DIGEST), list(store.list_blobs())) == (True, len(RAW), [DIGEST])
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW
    store.remove(DIGEST)
    assert (store.has_blob(DIGEST), objects(s3_place)) == (False, ["lockgate-store"])


@pytest.mark.parametrize(
    "note", [b"lockgate large blob 1\n5\n../../x\n", b"x" * (limits.S3_NOTE + 1)], ids=["way-out", "long"]
)
def test_a_note_that_is_none_is_damage_and_is_healed(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore, note: bytes
) -> None:
    store = make_s3_blobs(s3_place, blobs, single_put=MIB)
    put(store, RAW, DIGEST)
    exchange(s3_place, f"large/sha256/{DIGEST.hex}", note)
    with pytest.raises(FailedError) as refused:
        store.open_blob(DIGEST)
    assert refused.value.code == "s3-damaged"
    put(store, RAW, DIGEST)
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW


def test_a_bucket_of_another_store_is_refused_and_nothing_is_called_missing(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore
) -> None:
    store = make_s3_blobs(s3_place, blobs)
    put(store, RAW, DIGEST)
    for other in (b"lockgate store 1\n" + b"6" * 32 + b"\n", b"", b"\xff" * 9000):
        exchange(s3_place, "lockgate-store", other)
        asked: list[Callable[[], object]] = [
            store.claim, store.require_here, lambda: store.has_blob(Digest.of(b"never")),
            lambda: put(store, b"new", Digest.of(b"new")), lambda: list(store.list_blobs()),
            lambda: store.remove(DIGEST),
        ]  # fmt: skip
        for ask in asked:
            with pytest.raises(FailedError) as refused:
                ask()
            assert refused.value.code == "s3-away"
    assert objects(s3_place) == [f"blobs/sha256/{DIGEST.hex}", "lockgate-store"]
    make_bucket(s3_place).remove("lockgate-store")
    with pytest.raises(FailedError):  # there are blobs, and no mark: it is not made
        store.claim()
    assert "lockgate-store" not in objects(s3_place)


def wrong(s3: S3Server, where: S3Place) -> dict[str, tuple[S3Place, S3Credentials]]:
    made = lambda **new: S3Place(**{**{name: getattr(where, name) for name in S3Place.__slots__}, **new})  # noqa: E731
    return {
        "s3-no-bucket": (made(bucket="no-such-bucket"), CREDENTIALS),
        "s3-credentials": (where, S3Credentials(CREDENTIALS.key_id, "another secret")),
        "s3-tls": (made(endpoint=s3.endpoint.replace("http:", "https:")), CREDENTIALS),
        "s3-unreachable": (made(endpoint="http://127.0.0.1:9"), CREDENTIALS),
    }


@pytest.mark.parametrize("code", ["s3-no-bucket", "s3-credentials", "s3-tls", "s3-unreachable"])
def test_what_is_wrong_with_the_way_to_a_bucket_is_said_in_one_line(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore, code: str
) -> None:
    from appliance.store.s3.blobs import S3Blobs
    from appliance.store.s3.bucket import Bucket

    where, credentials = wrong(s3, s3_place)[code]
    store = S3Blobs(Bucket(where, credentials), blobs, "5" * 32)
    asked: list[Callable[[], object]] = [
        store.claim, lambda: store.has_blob(DIGEST), lambda: store.size(DIGEST), lambda: store.open_blob(DIGEST),
        lambda: list(store.list_blobs()), lambda: put(store, RAW, DIGEST), lambda: store.remove(DIGEST),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(LockgateError) as refused:
            ask()
        bare = code == "s3-credentials" and refused.value.code == "s3-denied"  # an answer to HEAD has no words
        assert (bare or refused.value.code == code, refused.value.diagnostics().count("\n")) == (True, 0)
        assert refused.value.remedy
        assert "another secret" not in refused.value.diagnostics()
    assert list(blobs.uploads.iterdir()) == []


@pytest.mark.parametrize("kind", [Fault.BUSY, Fault.LOST, Fault.CLOSED])
@pytest.mark.parametrize("single", [limits.S3_SINGLE_PUT, MIB])
def test_a_put_whose_answer_is_lost_or_late_ends_with_the_blob_whole(
    s3: S3Server, way: FaultyWay, blobs: BlobStore, kind: Fault, single: int
) -> None:
    where = s3.new_place(endpoint=way.endpoint)
    store = make_s3_blobs(where, blobs, single_put=single)
    way.fail(kind, times=2, method="PUT")
    put(store, RAW, DIGEST)
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW
    assert way.failed == 2


def test_a_server_that_stays_broken_is_an_error_and_leaves_nothing_here(
    s3: S3Server, way: FaultyWay, blobs: BlobStore
) -> None:
    store = make_s3_blobs(s3.new_place(endpoint=way.endpoint), blobs)
    way.fail(Fault.BUSY, times=10_000)
    for ask in (lambda: put(store, RAW, DIGEST), lambda: store.has_blob(DIGEST), lambda: store.open_blob(DIGEST)):
        before = way.failed
        with pytest.raises(FailedError) as refused:
            ask()
        assert refused.value.code == "s3-busy"
        assert way.failed - before <= 4 * (limits.S3_RETRIES + 1)
    assert list(blobs.uploads.iterdir()) == []


def test_a_reader_goes_on_where_the_server_broke_off(s3: S3Server, way: FaultyWay, blobs: BlobStore) -> None:
    store = make_s3_blobs(s3.new_place(endpoint=way.endpoint), blobs)
    put(store, RAW, DIGEST)
    way.fail(Fault.TORN, times=2, method="GET")
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW
    assert way.failed == 2


def test_what_a_bucket_takes_and_does_not_show_is_not_acknowledged(
    s3: S3Server, way: FaultyWay, blobs: BlobStore
) -> None:
    store = make_s3_blobs(s3.new_place(endpoint=way.endpoint), blobs)
    way.fail(Fault.UNSHOWN, times=10_000, method="GET")
    with pytest.raises(FailedError) as refused:
        put(store, RAW, DIGEST)
    assert refused.value.code == "s3-not-shown"


def test_a_server_that_says_done_and_keeps_other_bytes_is_found_out(
    s3: S3Server, way: FaultyWay, blobs: BlobStore
) -> None:
    where = s3.new_place(endpoint=way.endpoint)
    store = make_s3_blobs(where, blobs)
    way.fail(Fault.ALTERED, times=10_000, method="GET")
    with pytest.raises(FailedError) as refused:
        put(store, RAW, DIGEST)
    assert refused.value.code == "s3-damaged"


def test_a_blob_that_is_put_over_while_it_is_read_is_an_error_and_no_mixture(
    s3: S3Server, s3_place: S3Place, blobs: BlobStore
) -> None:
    store = make_s3_blobs(s3_place, blobs)
    put(store, RAW, DIGEST)
    with store.open_blob(DIGEST) as file:
        file.read(10)
        exchange(s3_place, f"blobs/sha256/{DIGEST.hex}", RAW[::-1])
        file.seek(2 * MIB + 1)
        with pytest.raises(FailedError):
            file.read(10)


def test_the_servers_environment_does_not_say_where_the_bucket_is(
    s3_place: S3Place, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(FailedError) as refused:
        make_s3_blobs(s3_place, blobs)
    assert refused.value.thing == "AWS_ENDPOINT_URL_S3"


def test_a_child_of_a_process_that_used_a_bucket_fails_instead_of_waiting(s3_place: S3Place, blobs: BlobStore) -> None:
    store = make_s3_blobs(s3_place, blobs)
    child = os.fork()
    if not child:
        try:
            store.has_blob(DIGEST)
        except FailedError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_large_blob_takes_no_memory_of_its_size(s3: S3Server, s3_place: S3Place, paths: StationPaths) -> None:
    """In a process of its own, whose anonymous memory is counted: what is mapped from files is given back."""
    import subprocess
    import sys

    code = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from bundles.oci.digest import Digest, new_hasher
from tests.s3_server import make_s3_blobs
from appliance.store.s3.place import place
def anonymous():
    text = Path("/proc/self/status").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))
store = make_s3_blobs(place(sys.argv[1], sys.argv[2], "us-east-1"), BlobStore(StationPaths(Path(sys.argv[3]))))
piece, hasher = bytes(1 << 20), new_hasher("sha256")
for _ in range(96):
    hasher.update(piece)
digest, before = Digest("sha256", hasher.hexdigest()), anonymous()
writer = store.begin_blob(digest, 96 << 20)
for _ in range(96):
    writer.write(piece)
writer.commit()
most = anonymous()
with store.open_blob(digest) as file:
    while file.read(1 << 20):
        most = max(most, anonymous())
print((most - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, s3_place.url, s3_place.endpoint, str(paths.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 40


@pytest.mark.parametrize("single", [limits.S3_SINGLE_PUT, MIB], ids=["whole", "parts"])
def test_a_collected_blob_waits_in_a_grave_and_comes_back_or_goes_for_good(
    s3_place: S3Place, blobs: BlobStore, single: int
) -> None:
    store, yard = make_s3_blobs(s3_place, blobs, single_put=single), make_graveyard(s3_place)
    put(store, RAW, DIGEST)
    for grave in GRAVES:
        yard.bury([DIGEST, Digest.of(b"never")], grave)
        assert (store.has_blob(DIGEST), list(yard.buried(grave))) == (False, [Buried(grave, DIGEST, len(RAW))])
        file, found = yard.open_buried(DIGEST)
        with file:
            assert (file.read(), found) == (RAW, grave)
        yard.give_back(DIGEST, grave)
        with store.open_blob(DIGEST) as file:
            assert file.read() == RAW
        assert list(yard.buried(grave)) == []
    yard.bury([DIGEST], GRAVES[0])
    put(store, RAW, DIGEST)  # it came again meanwhile: the grave's is another copy
    yard.remove(Buried(GRAVES[0], DIGEST, len(RAW)))
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW
    yard.bury([DIGEST], GRAVES[1])
    yard.remove(Buried(GRAVES[1], DIGEST, len(RAW)))
    assert objects(s3_place) == ["lockgate-store"]
    with pytest.raises(NotFoundError):
        yard.open_buried(DIGEST)


@pytest.mark.parametrize("single", [limits.S3_SINGLE_PUT, MIB], ids=["whole", "parts"])
def test_a_move_that_was_cut_off_after_its_copy_is_ended_by_the_next_one_and_loses_nothing(
    s3_place: S3Place, blobs: BlobStore, single: int
) -> None:
    store, bucket = make_s3_blobs(s3_place, blobs, single_put=single), make_bucket(s3_place)
    yard = make_graveyard(s3_place)
    put(store, RAW, DIGEST)
    key = blob_key(DIGEST) if single > len(RAW) else note_key(DIGEST)
    bucket.copy(key, grave_key(GRAVES[0], key), len(RAW))
    yard.remove(Buried(GRAVES[0], DIGEST, len(RAW)))  # the copy alone: the blob is still shown
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW
    bucket.copy(key, grave_key(GRAVES[0], key), len(RAW))
    yard.bury([DIGEST], GRAVES[0])
    assert (yard.graves(), store.has_blob(DIGEST)) == (GRAVES[:1], False)
    yard.give_back(DIGEST, GRAVES[0])
    with store.open_blob(DIGEST) as file:
        assert file.read() == RAW


def test_what_is_no_grave_and_no_blob_in_one_is_passed_over(s3_place: S3Place) -> None:
    bucket = make_bucket(s3_place)
    for name in ("graveyard/notes/x", f"graveyard/{GRAVES[0]}/x", f"graveyard/{GRAVES[0]}/blobs-sha256-0"):
        bucket.put_new(name, b"x", 1)
    yard = make_graveyard(s3_place)
    assert (yard.graves(), list(yard.buried(GRAVES[0]))) == (GRAVES[:1], [])


def test_a_server_that_is_killed_under_load_loses_nothing_that_was_acknowledged(
    tmp_path: Path, blobs: BlobStore
) -> None:
    """Four writers put blobs while the server is killed and started again, twice; what a writer heard of is whole."""
    (tmp_path / "s3").mkdir()
    server = Versitygw.start(tmp_path / "s3")
    try:
        store = make_s3_blobs(server.new_place(), blobs, single_put=MIB)
        done, stop = list[Digest](), threading.Event()

        def write(writer: int) -> None:
            for number in itertools.count():
                if stop.is_set():
                    return
                data = RAW[: MIB + writer] + number.to_bytes(4) if number % 2 else number.to_bytes(4) + bytes([writer])
                digest = Digest.of(data)
                with contextlib.suppress(FailedError):
                    put(store, data, digest)
                    done.append(digest)

        with ThreadPoolExecutor(4) as writers:
            running = [writers.submit(write, number) for number in range(4)]
            for _ in range(2):
                heard = len(done)
                while len(done) < heard + 8:
                    assert not any(each.done() for each in running)
                    time.sleep(0.01)
                server.kill()
                server.run()
            stop.set()
            for each in running:
                each.result()
        assert len(done) >= 16
        assert all(store.is_whole(digest) for digest in done)
        assert set(done) <= set(store.list_blobs())
        assert list(blobs.uploads.iterdir()) == []
    finally:
        server.kill()


def test_a_servers_certificate_is_trusted_by_the_ca_that_is_given_and_by_no_other(
    tmp_path: Path, blobs: BlobStore
) -> None:
    (tmp_path / "s3").mkdir()
    right, other = (issue_certificate(tmp_path / name) for name in ("right", "other"))
    server = Versitygw.start(tmp_path / "s3", "--cert", str(right / "cert.pem"), "--key", str(right / "key.pem"))
    try:
        name = server.new_place().bucket
        made = {
            ca: place(f"s3://{name}/p", f"https://127.0.0.1:{server.port}", "us-east-1", ca)
            for ca in ((right / "cert.pem").read_bytes(), (other / "cert.pem").read_bytes(), b"", b"no certificate")
        }
        trusted, strange, none, broken = made.values()
        put(make_s3_blobs(trusted, blobs), RAW, DIGEST)
        for where in (strange, none):
            with pytest.raises(FailedError) as refused:
                make_s3_blobs(where, blobs)
            assert refused.value.code == "s3-tls"
        with pytest.raises(UsageError):
            make_s3_blobs(broken, blobs)
    finally:
        server.kill()


def test_parts_that_no_note_names_are_swept_once_they_are_old(
    s3_place: S3Place, blobs: BlobStore, tmp_path: Path
) -> None:
    store, yard, bucket = (
        make_s3_blobs(s3_place, blobs, single_put=MIB),
        make_graveyard(s3_place),
        make_bucket(s3_place),
    )
    buried = Digest.of(RAW + b"x")
    for data in (RAW, RAW + b"x"):
        put(store, data, Digest.of(data))
    yard.bury([buried], GRAVES[0])
    named = objects(s3_place)
    left = Note.make(len(RAW)).key(DIGEST)  # the process was killed before its note
    (tmp_path / "parts").write_bytes(RAW)
    with (tmp_path / "parts").open("rb") as file:
        bucket.put_parts(left, file, len(RAW))
    bucket.put_new("parts/strange", b"x", 1)
    now = datetime.now(UTC)
    assert yard.sweep_parts(now - timedelta(days=1)) == 0
    assert yard.sweep_parts(now + timedelta(days=1)) == 1
    assert objects(s3_place) == sorted([*named, "parts/strange"])
    yard.give_back(buried, GRAVES[0])
    assert store.is_whole(DIGEST)
    assert store.is_whole(buried)
