"""The program's log on stderr: few lines of a kind, and one line where the system has nothing left to give."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Any

import pytest

from appliance.door import Door
from appliance.limits import station as limits
from appliance.program_log import Sparing, lacking
from bundles.errors import FailedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def written() -> list[logging.LogRecord]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(written: list[logging.LogRecord], clock: Clock) -> logging.Logger:
    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record)

    logger = logging.Logger("appliance.registry.app")
    handler = Keeping()
    handler.addFilter(Sparing(clock))
    logger.addHandler(handler)
    return logger


def fail(log: logging.Logger, error: Exception, path: str = "/v2/") -> None:
    try:
        raise error
    except Exception:
        log.exception("error %s: GET %s failed", "ab12", path)


def test_a_flood_of_one_kind_is_cut_short_whatever_the_requests_name(
    log: logging.Logger, written: list[logging.LogRecord], clock: Clock
) -> None:
    for number in range(15_000):
        fail(log, KeyError("x"), f"/v2/{number}")
    assert len(written) == limits.LOG_LINES
    assert sum(record.exc_info is not None for record in written) == limits.LOG_TRACEBACKS
    assert "left out" in written[-1].getMessage()
    clock.now += limits.LOG_WINDOW
    fail(log, KeyError("x"))
    assert f"{15_000 - limits.LOG_LINES} lines like this one were left out" in written[-1].getMessage()


def test_another_kind_of_error_is_still_written(log: logging.Logger, written: list[logging.LogRecord]) -> None:
    for _ in range(100):
        fail(log, KeyError("x"))
    fail(log, ValueError("another"))
    log.warning("%s %s: %s", "GET", "/", FailedError("the disk is gone"))
    assert "ValueError" in str(written[-2].exc_info)
    assert written[-1].getMessage() == "GET /: the disk is gone"


def test_kinds_without_end_take_no_memory_without_end(log: logging.Logger, clock: Clock) -> None:
    sparing = Sparing(clock)
    for number in range(5_000):
        sparing.filter(logging.LogRecord("x", logging.WARNING, "", 0, f"line {number}", None, None))
    assert len(sparing._counts) <= 256


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, ""), OSError(errno.EMFILE, ""),
                                   OSError(errno.ENFILE, "")])  # fmt: skip
def test_want_of_memory_or_descriptors_is_one_line_with_a_remedy(error: Exception) -> None:
    told = lacking(error)
    assert told is not None
    assert told.remedy


def test_other_errors_stay_what_they_are() -> None:
    assert lacking(OSError(errno.EIO, "")) is None
    assert lacking(KeyError("x")) is None


async def test_a_door_without_descriptors_waits_longer_each_time_and_says_it_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []

    class Loop:
        def time(self) -> float:
            return 100.0

        async def sock_accept(self, _: socket.socket) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "get_running_loop", Loop)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with socket.socket() as listener, pytest.raises(asyncio.CancelledError):
        await Door(None, listener, lambda *_: "")._accept()  # type: ignore[arg-type]
    assert waits[:3] == [0.05, 0.1, 0.2]
    assert waits[-1] == 1.0
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "no connection is accepted for a moment: the station has no file descriptor left"
    ]
