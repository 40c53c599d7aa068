"""The times of events: none goes back unsaid, and an event's two times agree."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from appliance import clock
from appliance.audit.checkpoints import checkpoint
from appliance.audit.port import FileAudit
from appliance.audit.reading import tail
from appliance.cli.station.audit import verify as verify_command
from appliance.paths import StationPaths
from bundles.documents.audit_log import hash_of
from bundles.errors import RefusedError
from tests.observe.station import act, fill, findings, lane, lines, look, sealed_line


def back_dated(paths: StationPaths, seconds: float, **changes: object) -> None:
    """An event of the station's own behind the last one of lane 1, and so many seconds older."""
    before = json.loads(lines(lane(paths))[-1])
    micros = before["micros"] - int(seconds * 1_000_000)
    prev = hash_of(lines(lane(paths))[-1])
    said = {"seq": before["seq"] + 1, "micros": micros, "prev": prev, "time": text_of(micros)}
    lane(paths).write_bytes(lane(paths).read_bytes() + sealed_line(paths, before | said | changes))


def text_of(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime(clock.FORMAT)


@pytest.mark.parametrize("seconds", [6, 3600, 10 * 365 * 86_400])
def test_time_that_goes_back_in_a_lane_is_found(paths: StationPaths, seconds: int) -> None:
    fill(paths, 2)
    checkpoint(paths)
    back_dated(paths, seconds)
    assert look(paths).time_back == 1
    (found,) = findings(paths)
    assert f"01.000001.jsonl:3: it says that it is {seconds} s older than the event before it" in found
    looked = CliRunner().invoke(verify_command, ["-C", str(paths.root)])
    assert isinstance(looked.exception, RefusedError)
    assert looked.exception.exit_status == 3


def test_time_that_goes_back_by_less_than_a_clock_daemon_slews_is_counted(paths: StationPaths) -> None:
    fill(paths, 2)
    checkpoint(paths)
    back_dated(paths, 1.5)
    assert (look(paths).time_back, findings(paths)) == (1, [])
    looked = CliRunner().invoke(verify_command, ["-C", str(paths.root)])
    assert "[..] 1 event is older than the one before them: the clock was corrected" in looked.output
    assert "[..] 1 event is behind it: no signature covers them yet" in looked.output


def test_a_clock_that_is_set_back_is_said_by_the_station_and_is_no_finding(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = fill(paths, 2)
    real = clock.micros
    with monkeypatch.context() as patch:
        patch.setattr(clock, "micros", lambda: real() - 3600 * 1_000_000)
        patch.setattr(clock, "now", lambda: text_of(clock.micros()))
        act(audit, 3)
        act(audit, 4)
    checkpoint(paths)
    events = tail(paths.audit, 10)
    (said,) = [event for event in events if event["act"] == "clock.set-back"]
    assert said["detail"]["from"] - said["detail"]["to"] > 3599 * 1_000_000
    assert (look(paths).time_back, look(paths).set_back, findings(paths)) == (1, 1, [])


def test_a_clock_that_was_set_back_while_the_station_was_off_is_said_by_the_next_process(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_process() -> None:
        real = clock.micros
        monkeypatch.setattr(clock, "micros", lambda: real() + 3600 * 1_000_000)
        monkeypatch.setattr(clock, "now", lambda: text_of(clock.micros()))
        act(FileAudit(paths.audit), 1)

    done = multiprocessing.get_context("fork").Process(target=other_process)
    done.start()
    done.join()
    act(FileAudit(paths.audit), 2)
    checkpoint(paths)
    assert (look(paths).set_back, findings(paths)) == (1, [])


@pytest.mark.parametrize("detail", [{}, {"from": 1, "to": 2}, {"from": None, "to": None}])
def test_an_event_that_says_something_else_of_the_clock_explains_nothing(
    paths: StationPaths, detail: dict[str, object]
) -> None:
    fill(paths, 2)
    checkpoint(paths)
    back_dated(paths, 3600, act="clock.set-back", detail=detail)
    assert len(findings(paths)) == 1


@pytest.mark.parametrize("time", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "", "yesterday"])
def test_an_event_whose_time_is_not_when_it_was_written_is_found(paths: StationPaths, time: str) -> None:
    fill(paths, 2)
    checkpoint(paths)
    back_dated(paths, -1, time=time)
    assert [text.partition(": ")[2] for text in findings(paths)] == ["its time and its micros are not the same"]
