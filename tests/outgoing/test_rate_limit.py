"""A registry whose pull rate limit is reached: the error says so, and when to come back."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from appliance import clock
from appliance.limits import collecting as limits
from appliance.outgoing.collect.rate_limit import delay_of
from bundles.errors import FailedError
from tests.outgoing.asking import Asking

NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120), (" 7 ", 7), ("0", 0), (formatdate(NOW + 90, usegmt=True), 90), (str(NOW + 60), 60),
        (str(NOW - 60), 0), ("9" * 40, limits.REMOTE_RETRY_MOST), ("", None), ("soon", None), ("-5", None),
        ("\u0663", None), ("Wed, 99 Foo 2026", None),
    ],
)  # fmt: skip
def test_a_retry_after_is_seconds_a_date_or_a_moment(header: str, seconds: int | None) -> None:
    assert delay_of(header, NOW) == seconds


class Limited(http.server.BaseHTTPRequestHandler):
    """A registry that answers 429 to everything."""

    retry_after = ""
    asked = 0

    def do_HEAD(self) -> None:
        type(self).asked += 1
        self.send_response(429)
        if self.retry_after:
            self.send_header("Retry-After", self.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[tuple[type[Limited], str]]:
    kind = type("One", (Limited,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def refusal(host: str) -> FailedError:
    with Asking(f"{host}/team/app:1") as source, pytest.raises(FailedError) as failed:
        source.root()
    return failed.value


def test_a_long_limit_ends_the_collect_at_once_and_says_when(registry: tuple[type[Limited], str]) -> None:
    kind, host = registry
    kind.retry_after = "3600"
    error = refusal(host)
    assert (error.what, kind.asked) == ("the registry's pull rate limit is reached", 1)
    said = error.remedy.removeprefix("try again after ").partition(";")[0]
    assert abs(clock.seconds(said) - clock.seconds(clock.now()) - 3600) < 60
    assert host in error.thing
    assert "check the network" not in error.remedy


def test_a_limit_without_a_time_is_tried_again_first(registry: tuple[type[Limited], str]) -> None:
    kind, host = registry
    error = refusal(host)
    assert (error.what, kind.asked) == ("the registry's pull rate limit is reached", limits.REMOTE_ATTEMPTS)
    assert error.remedy.startswith("try again later")
