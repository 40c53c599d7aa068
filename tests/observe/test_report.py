"""Reports: what the audit log says of a period, in memory that depends on nothing that callers choose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from appliance import clock
from appliance.api.report import Report
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.audit.tally import Most, Tally
from appliance.control.report import DAYS
from appliance.limits import station as limits
from tests.control.test_openapi import serving
from tests.intake.inside import make_station

SINCE, UNTIL, STOP = "2026-01-08T00:00:00Z", "2026-01-15T00:00:00Z", "2026-01-07T00:00:00Z"


def event(act: str, thing: str = "", outcome: str = "done", time: str = "2026-01-10T00:00:00Z", **detail: Any) -> Any:
    return {"act": act, "thing": thing, "outcome": outcome, "time": time, "actor": "robot-ci", "detail": detail}


def tally(*events: Any) -> Tally:
    made = Tally(SINCE, UNTIL)
    made.take(events, STOP)
    return made


def test_repositories_are_named_by_paths_and_by_references() -> None:
    found = tally(
        event("registry.refuse", "/v2/team/app/manifests/1", "refused", method="GET", repeated=4),
        event("registry.refuse", "/v2/team/app/blobs/uploads/", "refused", method="POST"),
        event("push-manifest", "team/app@sha256:00", "failed"),
        event("push-blob", "team/other@sha256:00", "failed"),
        event("registry.refuse", "/v2/", "refused", method="GET"),
        event("registry.refuse", "team/third:1", "refused", method="GET"),
        event("pull", "GET /v1/repositories", "refused"),
        event("delete-manifest", "POST /v1/repositories/team/app/delete", "refused"),
    )
    assert found.denied.first(9) == [("team/app", 6, 0), ("team/other", 1, 0), ("team/third", 1, 0)]
    assert found.failed_pushes.first(9) == [("team/app", 2, 0), ("team/other", 1, 0)]
    assert found.refused.first(9) == [("robot-ci", 9, 0)]


def test_bytes_pulls_and_incidents_are_counted_and_numbers_that_are_none_are_not() -> None:
    found = tally(
        event("pull", "team/app@sha256:00", count=7),
        event("pull", "team/app:1"),
        event("push-blob", "a@sha256:00", size="64"),
        event("push-blob", "a@sha256:00", size="-1"),
        event("push-blob", "a@sha256:00", size="9" * 400),
        event("intake.import", "alpha.bravo-000001", bytes=1_000),
        event("gc", "store", bytes=64),
        *(event("block", f"sha256:{number}") for number in range(limits.REPORT_INCIDENTS + 5)),
        event("an act of a later version"),
    )
    assert (found.pulled.first(1), found.came, found.collected) == ([("team/app", 8, 0)], 1_064, 64)
    assert (len(found.incidents), found.incident_count) == (limits.REPORT_INCIDENTS, limits.REPORT_INCIDENTS + 5)
    assert found.incidents[0]["thing"] == "sha256:0"


def test_only_the_period_counts_and_what_is_older_than_a_day_before_it_is_not_read() -> None:
    def read() -> Iterator[Any]:
        for time in ("2026-01-15T00:00:00Z", "2026-01-14T23:59:59Z", "2026-01-07T23:00:00Z", "2026-01-08T00:00:00Z"):
            yield event("gc", time=time)
        yield event("gc", time="2026-01-06T23:59:59Z")
        pytest.fail("it reads on")

    made = Tally(SINCE, UNTIL)
    made.take(read(), STOP)
    assert (made.events, made.acts["gc", "done"]) == (2, 2)


def test_names_that_callers_choose_take_bounded_memory_and_the_frequent_ones_stay() -> None:
    most = Most(kept=50)
    for number in range(5_000):
        most.add(f"chosen-{number}")
        if number % 10 == 0:
            most.add("team/broken", 5)
    assert len(most._counts) == 50
    name, count, over = most.first(1)[0]
    assert (name, count - over <= 2_500 <= count) == ("team/broken", True)


def test_the_station_reports_what_its_log_and_its_accounts_say(tmp_path: Path) -> None:
    root = tmp_path / "bravo"
    make_station(root, open_=True)
    audit = FileAudit(root / "audit")
    audit.record(AuditEvent("block", "ada", "sha256:00", detail={"why": "\x1b[31m"}))  # type: ignore[arg-type]
    audit.record(AuditEvent("push-blob", "ci", "team/app@sha256:00", "failed"))  # type: ignore[arg-type]
    with serving(root) as (url, _):
        for period in DAYS:
            found = requests.get(f"{url}/v1/report", params={"period": period}, timeout=30).json()
            assert set(found) == set(Report.__struct_fields__)
        wrong = requests.get(f"{url}/v1/report", params={"period": "year"}, timeout=30)
    assert (wrong.status_code, "quarter" in wrong.json()["remedy"]) == (400, True)
    assert found["denied"] == [{"name": "team/app", "count": 1, "over": 0}]
    assert ([one["act"] for one in found["incidents"]], found["log_begins"]) == (["block"], "")
    assert found["until"] <= clock.now()
    assert found["storage"]["size"] > found["storage"]["free"] > 0
    assert {one["objective"] for one in found["objectives"]} <= {"pulls", "pushes", "fast_pulls"}
    json.dumps(found)
