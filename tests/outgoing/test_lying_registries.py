"""A registry that lies about bytes, lengths or ranges, or sends without end, is one line, and nothing of it stays."""

from __future__ import annotations

import time
from typing import Any

import pytest

from appliance.limits import collecting as limits
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from tests.outgoing.collecting import LAYER, failing, partials, run
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import Handler, SmallRegistry

pytestmark = pytest.mark.usefixtures("soon")


def bad_length(handler: Handler) -> bool:
    handler.answer(200, bytes(len(LAYER) + 1))
    return True


def short_length(handler: Handler) -> bool:
    handler.answer(200, LAYER[:-1])
    return True


def endless(handler: Handler) -> bool:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def other_bytes(handler: Handler) -> bool:
    handler.answer(200, bytes(len(LAYER)))
    return True


def other_range(handler: Handler) -> bool:
    handler.answer(206, LAYER[5:], {"Content-Range": f"bytes 5-{len(LAYER) - 1}/{len(LAYER)}"})
    return True


def drips(handler: Handler) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(LAYER)))
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.01)


def headers_without_end(handler: Handler) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")


def garbage(handler: Handler) -> bool:
    handler.wfile.write(b"\x00\xff\x1b[2Jgarbage\r\n\r\n")
    handler.close_connection = True
    return True


def hang_up(handler: Handler) -> bool:
    handler.close_connection = True
    return True


@pytest.mark.parametrize(
    "fault",
    [bad_length, short_length, endless, other_bytes, other_range, drips, headers_without_end, garbage, hang_up],
    ids=lambda fault: fault.__name__,
)
def test_a_registry_that_lies_is_one_line_and_the_rest_goes_on(
    outside: Outside, registry: SmallRegistry, good: SmallRegistry, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(limits, "REMOTE_STALL", 0.05)
    monkeypatch.setattr(limits, "REMOTE_ATTEMPTS", 2)
    registry.image("team/app", "1", LAYER)
    registry.fault = lambda handler: str(Digest.of(LAYER)) in handler.path and bool(fault(handler))
    error, context = failing(outside, registry.entry("team/app", "1"), good.entry("team/good", "1"))
    assert (error.exit_status, error.result["failed"], error.result["references"]) == (4, [0], ["team/good:1"])
    assert registry.host in error.thing
    assert outside.shows("team/good:1") is not None
    assert outside.shows("team/app:1") is None
    said = [line for line in context.lines if "not collected" in line]
    assert len(said) == 1
    assert said[0].isprintable()
    assert [event["outcome"] for event in outside.events("collect")].count("done") == 1
    if fault in (bad_length, short_length, other_range):
        assert registry.counted("GET", str(Digest.of(LAYER))) == 1, "a wrong length is no matter of trying again"
    assert registry.counted("GET", str(Digest.of(LAYER))) <= 4, (
        "two attempts; aiohttp repeats what a kept connection lost"
    )


def test_bytes_of_another_digest_are_fetched_twice_and_nothing_of_them_stays(
    outside: Outside, registry: SmallRegistry
) -> None:
    registry.image("team/app", "1", LAYER)
    registry.fault = lambda handler: str(Digest.of(LAYER)) in handler.path and other_bytes(handler)
    with pytest.raises(RefusedError):
        run(outside, registry.entry("team/app", "1"))
    assert registry.counted("GET", str(Digest.of(LAYER))) == 2
    assert partials(outside) == []
