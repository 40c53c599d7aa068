"""A disk that cannot be read for a while withdraws nothing, and no answer that has begun is followed by another one."""

from __future__ import annotations

import errno
import gc
import logging
import os
import socket
import time

import pytest

from appliance.control.health import checks
from appliance.lifecycle import damage, scrub
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.limits import lifecycle as limits
from appliance.store.reading import UnreadableError, Verdict, examine
from appliance.store.writes.lifecycle import RecordDamage
from bundles.errors import CancelledError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.control.powered import wait_for
from tests.faults.fuse import FailingFile, failing, needs_fuse
from tests.lifecycle.conftest import Kept

BODY = os.urandom(3_000_000)
DIGEST = Digest.of(BODY)
PATH = f"/v2/team/app/blobs/{DIGEST}"
pytestmark = needs_fuse


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNREADABLE_WAITS", (0.0, 0.0))


@pytest.fixture
def failing_file(kept: Kept) -> FailingFile:
    """The file of a pushed blob, on a disk of its own."""
    kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/app", b"whole")
    return FailingFile(kept.paths.blob(DIGEST), BODY)


def store_is_well(kept: Kept) -> bool:
    return next(bool(check["ok"]) for check in checks(kept.inside.station) if check["name"] == "store")


def fail_reads(file: FailingFile, number: int, after: int = 0, until: int = 1 << 40) -> None:
    def fail(offset: int, length: int) -> None:
        if after < offset + length and offset < until:
            raise failing(number)

    file.on_read = fail


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENFILE, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize("place", ["open", "read"])
def test_what_cannot_be_read_is_reported_and_not_withdrawn(
    kept: Kept, failing_file: FailingFile, number: int, place: str
) -> None:
    def fail(*_: object) -> None:
        raise failing(number)

    with failing_file as file:
        if place == "open":
            file.on_open = fail
        else:
            file.on_read = fail
        result = kept.scrub()
        assert result["complete"]
        assert result["damaged"] == []
        assert [blob["digest"] for blob in result["unread"]] == [str(DIGEST)]
        assert kept.paths.blob(DIGEST).exists()
        assert not store_is_well(kept)
        assert kept.server.ask("HEAD", PATH).status == 200, "its links and its file are as they were"
    again = kept.scrub()
    assert (again["unread"], again["damaged"]) == ([], [])
    assert store_is_well(kept)
    assert kept.inside.events("withdraw-damaged") == []


@pytest.mark.parametrize("failures", [1, 2])
def test_a_hiccup_is_ridden_out_within_the_same_pass(kept: Kept, failing_file: FailingFile, failures: int) -> None:
    def fail() -> None:
        if file.opened <= failures:
            raise failing(errno.EIO)

    with failing_file as file:
        file.on_open = fail
        result = kept.scrub()
    assert (result["unread"], result["damaged"]) == ([], [])


def test_a_blob_that_fails_in_the_pass_is_read_again_at_its_end(kept: Kept, failing_file: FailingFile) -> None:
    attempts = 1 + len(limits.UNREADABLE_WAITS)

    def fail() -> None:
        if file.opened <= attempts:
            raise failing(errno.EIO)

    with failing_file as file:
        file.on_open = fail
        result = kept.scrub()
    assert (result["unread"], result["damaged"], result["healed"]) == ([], [], 1)


def test_after_many_unreadable_blobs_in_a_row_the_others_are_tried_once(kept: Kept, failing_file: FailingFile) -> None:
    waits: list[float] = []
    looker = BlobExaminer(kept.inside.station.blobs, waits.append)
    with failing_file as file:
        fail_reads(file, errno.EIO)
        for _ in range(limits.UNREADABLE_IN_A_ROW + 5):
            assert looker.look(DIGEST, len(BODY), lambda _: None).unread
    assert len(waits) == limits.UNREADABLE_IN_A_ROW * len(limits.UNREADABLE_WAITS)


def test_the_disk_decides_where_the_page_cache_has_other_bytes(failing_file: FailingFile) -> None:
    reads = []

    def once_wrong(offset: int, length: int) -> bytes | None:
        reads.append(offset)
        return b"\xff" * min(length, len(BODY) - offset) if reads.count(offset) == 1 else None

    with failing_file as file:
        file.on_read = once_wrong
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            assert examine(descriptor, DIGEST) is Verdict.REREAD
        finally:
            os.close(descriptor)


def test_a_second_read_that_fails_is_no_damage(kept: Kept, failing_file: FailingFile) -> None:
    def wrong_then_failing(offset: int, length: int) -> bytes | None:
        if offset == 0 and reads.append(offset) is None and len(reads) > 1:  # type: ignore[func-returns-value]
            raise failing(errno.EIO)
        return b"\xff" * min(length, len(BODY) - offset)

    reads: list[int] = []
    with failing_file as file:
        file.on_read = wrong_then_failing
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            with pytest.raises(UnreadableError):
                examine(descriptor, DIGEST)
        finally:
            os.close(descriptor)


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "broken pipe"), CancelledError("cancelled")])
def test_an_error_of_who_hears_of_progress_is_no_error_of_reading(kept: Kept, error: Exception) -> None:
    kept.server.push_blob("team/app", BODY)

    def break_off(*_: object) -> None:
        raise error

    with pytest.raises(type(error)):
        scrub.run(kept.context(break_off))
    assert damage.unread(kept.inside.station) == []
    assert kept.scrub()["damaged"] == []


def test_blobs_that_were_withdrawn_whole_come_back(kept: Kept) -> None:
    kept.server.push_blob("team/app", BODY)
    kept.server.push_blob("team/app", b"rotten")
    rotten = Digest.of(b"rotten")
    for digest in (DIGEST, rotten):
        write = RecordDamage(digest=str(digest), why="unreadable", at="2026-01-01T00:00:00Z")
        kept.inside.writer.submit(write)
        kept.inside.station.blobs.set_aside(digest)
    (kept.paths.damaged / f"sha256-{rotten.hex}").write_bytes(b"rottem")
    assert kept.server.ask("GET", PATH).status == 404
    result = kept.scrub()
    assert [blob["digest"] for blob in result["damaged"]] == [str(rotten)]
    assert kept.server.ask("GET", PATH).body == BODY
    assert [event["thing"] for event in kept.inside.events("restore-damaged")] == [str(DIGEST)]


def ask_raw(port: int, path: str, headers: str = "") -> tuple[bytes, bool]:
    """Everything the server sends until it ends the connection, and whether it reset it."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        try:
            while piece := client.recv(1 << 20):
                received += piece
        except ConnectionResetError:
            return bytes(received), True
    return bytes(received), False


@pytest.mark.parametrize("known", [True, False], ids=["known to be whole", "not known"])
@pytest.mark.parametrize("after", [0, 1_500_000, 2_990_000])
@pytest.mark.parametrize("headers", ["", "Range: bytes=1000-2999000\r\n"])
def test_an_error_in_the_middle_resets_the_connection_and_nothing_else(
    kept: Kept, failing_file: FailingFile, known: bool, after: int, headers: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = kept.workers[1]
    with failing_file as file:
        if known:
            assert server.ask("GET", PATH).body == BODY
        fail_reads(file, errno.EIO, after)
        begun = time.monotonic()
        received, was_reset = ask_raw(server.port, PATH, headers)
        assert time.monotonic() - begun < 10
        assert was_reset
        assert received.count(b"HTTP/1.1") <= 1
        _, _, body = received.partition(b"\r\n\r\n")
        start = 1000 if headers else 0
        assert body == BODY[start : start + len(body)], "nothing but the blob's own bytes"
        wait_for(lambda: damage.unread(kept.inside.station), "the mark, which comes after the reset")
        assert [row.digest for row in damage.unread(kept.inside.station)] == [str(DIGEST)]
        assert not store_is_well(kept)
        assert kept.paths.blob(DIGEST).exists()
    gc.collect()  # an error that nobody asked for would be logged now
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    assert server.ask("GET", PATH).body == BODY
    assert kept.scrub()["unread"] == []
    assert store_is_well(kept)


def test_a_small_blob_or_a_manifest_that_cannot_be_read_is_unavailable_and_marked(kept: Kept) -> None:
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    config = Digest.of(content.blobs[0])
    fresh = kept.workers[1]
    for path, marked in (("/v2/team/app/manifests/v1", digest), (f"/v2/team/app/blobs/{config}", config)):
        with FailingFile(kept.paths.blob(marked), kept.paths.blob(marked).read_bytes()) as file:
            fail_reads(file, errno.EIO)
            answers = {method: fresh.ask(method, path) for method in ("GET", "HEAD")}
            assert answers["GET"].status == 503
            assert answers["GET"].code == "UNAVAILABLE"
            assert str(marked) in {row.digest for row in damage.unread(kept.inside.station)}
        assert fresh.ask("GET", path).status == 200
    assert kept.inside.events("withdraw-damaged") == []


def test_a_mark_is_written_once_however_many_clients_meet_the_error(kept: Kept, failing_file: FailingFile) -> None:
    with failing_file as file:
        fail_reads(file, errno.EIO)
        for _ in range(5):
            ask_raw(kept.workers[0].port, PATH)
        wait_for(lambda: damage.unread(kept.inside.station), "the mark")
    assert [row.times for row in damage.unread(kept.inside.station)] == [1]
