"""A large blob reaches a client while it arrives, and its last bytes only once all of it was checked."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable

import pytest

from bundles.oci.digest import Digest
from tests.caching.site import HERE, THERE, CacheSite
from tests.outgoing.small_registry import Handler

LARGE = bytes(range(256)) * 32768
"""8 MiB."""

HALF = len(LARGE) // 2
HELD = 64 * 1024


def ask(site: CacheSite, **headers: str) -> http.client.HTTPResponse:
    connection = site.server.connect()
    connection.request("GET", f"/v2/{HERE}/blobs/{Digest.of(LARGE)}", headers=headers)
    return connection.getresponse()


def in_halves(site: CacheSite, second: Callable[[], bytes]) -> threading.Event:
    """Have the upstream send the first half, and what `second` says once the event is set."""
    go = threading.Event()

    def fault(handler: Handler) -> bool:
        if "/blobs/" not in handler.path or handler.command == "HEAD" or handler.headers.get("Range"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(LARGE)))
        handler.end_headers()
        handler.wfile.write(LARGE[:HALF])
        go.wait(30)
        handler.wfile.write(second())
        handler.close_connection = True
        return True

    site.upstream.image(THERE, "1", LARGE)
    assert site.manifest("1").status == 200
    site.upstream.fault = fault
    return go


def test_bytes_go_out_before_the_last_one_came(site: CacheSite) -> None:
    go = in_halves(site, lambda: LARGE[HALF:])
    answer = ask(site)
    assert (answer.status, answer.length) == (200, len(LARGE))
    first = answer.read(HALF - 2 * 1024 * 1024)  # what is written to the disk lags behind what came
    assert not go.is_set()
    go.set()
    assert first + answer.read() == LARGE
    assert answer.headers["Docker-Content-Digest"] == str(Digest.of(LARGE))
    assert site.blob(Digest.of(LARGE)).body == LARGE
    assert site.upstream.counted("GET", "/blobs/") == 1
    assert site.answers()["blob miss"] == 1


@pytest.mark.parametrize(
    "second",
    [lambda: b"x" * HALF, lambda: LARGE[HALF:-1] + b"x"],
    ids=["other bytes", "another last byte"],
)
def test_nobody_gets_a_whole_answer_of_wrong_bytes(site: CacheSite, second: Callable[[], bytes]) -> None:
    go = in_halves(site, second)
    answer = ask(site)
    assert answer.status == 200
    go.set()
    got = bytearray()
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        while piece := answer.read(65536):
            got += piece
    assert 0 < len(got) <= len(LARGE) - HELD
    assert not site.storing.blobs.has_blob(Digest.of(LARGE))
    site.upstream.fault = lambda _: False
    site.pass_time(16)
    assert site.blob(Digest.of(LARGE)).body == LARGE


def test_what_breaks_off_goes_on_within_the_same_answer(site: CacheSite) -> None:
    go = in_halves(site, lambda: b"")
    answer = ask(site)
    go.set()
    assert answer.read() == LARGE
    assert site.upstream.counted("GET", "/blobs/") == 2


def test_a_registry_that_begins_anew_with_other_bytes_breaks_the_answer(site: CacheSite) -> None:
    """The first half was another blob's; what is fetched in its place is right, and not what was sent."""
    site.upstream.ranges = False
    site.upstream.image(THERE, "1", LARGE)
    assert site.manifest("1").status == 200
    go = threading.Event()

    def fault(handler: Handler) -> bool:
        if "/blobs/" not in handler.path or go.is_set():
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(LARGE)))
        handler.end_headers()
        handler.wfile.write(b"y" * HALF)
        go.wait(30)
        handler.close_connection = True
        return True

    site.upstream.fault = fault
    answer = ask(site)
    got = answer.read(1024)
    go.set()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    assert got == b"y" * 1024
    deadline = time.monotonic() + 20
    while not site.storing.blobs.has_blob(Digest.of(LARGE)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert site.blob(Digest.of(LARGE)).body == LARGE


def test_a_client_that_leaves_in_mid_blob_ends_nothing(site: CacheSite) -> None:
    go = in_halves(site, lambda: LARGE[HALF:])
    answer = ask(site)
    assert answer.read(1000) == LARGE[:1000]
    answer.close()
    other: list[bytes] = []
    thread = threading.Thread(target=lambda: other.append(ask(site).read()))
    thread.start()
    go.set()
    thread.join()
    assert other == [LARGE]
    assert site.upstream.counted("GET", "/blobs/") == 1


def test_a_part_is_answered_once_the_whole_is_here(site: CacheSite) -> None:
    go = in_halves(site, lambda: LARGE[HALF:])
    go.set()
    answer = ask(site, Range="bytes=10-19")
    assert (answer.status, answer.read()) == (206, LARGE[10:20])
