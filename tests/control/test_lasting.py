"""What a station does by itself goes on, whatever happens to it once."""

import asyncio
import sqlite3

import pytest

from appliance.control.lasting import keep_going
from appliance.limits import control as limits


async def test_what_fails_begins_again_and_what_ends_does_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "LASTING_AGAIN", 0.0)
    begun = list[Exception]()
    faults = [sqlite3.OperationalError("database is locked"), OSError(5, "Input/output error"), KeyError("a defect")]

    async def look() -> None:
        if len(begun) < len(faults):
            begun.append(faults[len(begun)])
            raise begun[-1]

    await keep_going("looking at what is shown", look)
    assert begun == faults
    assert caplog.text.count("looking at what is shown failed, and begins again") == len(faults)


async def test_a_cancel_ends_it() -> None:
    task = asyncio.create_task(keep_going("looking", lambda: asyncio.sleep(3600)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
