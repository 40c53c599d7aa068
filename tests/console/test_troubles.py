"""What went wrong stands until the same was done, or a person has seen to it."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.api.errors import ErrorDocument
from appliance.api.jobs import Dismissed, Job
from tui.guides.recover import steps
from tui.guides.steps import GuideFacts
from tui.station.troubles import unresolved
from tui.wording.checklists import of_import
from tui.wording.job_results import after_job

GOOD = "alpha.bravo-000003"


def job(number: int, state: str, code: str = "refused", thing: str = GOOD, **named: Any) -> Job:
    error = None if state == "done" else ErrorDocument(code=code, what="it went wrong", thing=thing, remedy="look")
    told = {"kind": "import", "params": {"paths": [f"/media/usb/{GOOD}"]}, **named}
    return Job(id=f"j{number}", state=state, error=error, created=f"2026-05-04T10:00:{number:02d}Z", **told)


def left(*jobs: Job) -> list[tuple[str, int]]:
    return [(one.job.id, one.count) for one in unresolved(jobs)]


def test_equal_ones_are_one_with_a_count_and_the_newest_stands_for_them() -> None:
    jobs = [job(1, "refused", "gap"), job(2, "refused", "gap"), job(3, "refused", "replay"), job(4, "refused", "gap")]
    assert left(*jobs) == [("j4", 3), ("j3", 1)]
    assert left(*jobs, jobs[0]) == [("j4", 3), ("j3", 1)]


@pytest.mark.parametrize(("state", "code"), [("failed", "no-space"), ("incomplete", "incomplete"), ("refused", "gap")])
def test_an_import_of_the_same_bundle_resolves_what_it_could_not_do_before(state: str, code: str) -> None:
    done = job(2, "done", result={"id": GOOD})
    assert left(job(1, state, code), done) == []
    assert left(done, job(3, state, code)) == [("j3", 1)]


@pytest.mark.parametrize("code", ["refused", "replay", "fork", "rollback", "jump", "other-site", "malformed"])
def test_a_refusal_is_not_resolved_by_a_good_bundle_of_the_same_name(code: str) -> None:
    assert left(job(1, "refused", code), job(2, "done", result={"id": GOOD})) == [("j1", 1)]


def test_another_bundle_from_the_same_medium_resolves_nothing() -> None:
    paths = {"paths": ["/media/usb"]}
    first = job(1, "failed", "no-space", "/media/usb", params=paths)
    assert left(first, job(2, "done", params=paths, result={"id": "alpha.bravo-000004"})) == [("j1", 1)]


def test_another_job_of_the_kind_resolves_nothing_and_the_same_words_do() -> None:
    failed = job(1, "failed", "failed", "x", kind="build", params={"to": "bravo", "references": ["a:1"]})
    other = job(2, "done", kind="build", params={"to": "bravo", "references": ["b:1"]})
    again = job(3, "done", kind="build", params={"references": ["a:1"], "to": "bravo"})
    assert left(failed, other) == [("j1", 1)]
    assert left(failed, other, again) == []
    assert left(job(1, "failed", "failed", "x", kind="scrub", params={}), job(2, "done", kind="scrub", params={})) != []


def test_a_person_dismisses_it() -> None:
    seen = job(1, "refused", "replay", dismissed=Dismissed(by="olga", at="2026-05-04T11:00:00Z"))
    assert left(seen, job(2, "refused", "replay")) == [("j2", 1)]
    assert after_job(seen) == ("note", "dismissed by olga at 2026-05-04 11:00")


async def test_recover_names_each_and_says_what_it_could_not_see(drive: Any) -> None:
    async with drive() as console:
        status = console.app.status
        named = steps(GuideFacts(status, troubles=unresolved([job(1, "refused", "gap"), job(2, "failed", "no-space")])))
        assert [step.act for step in named if step.act.startswith("job:")] == ["job:j2", "job:j1"]
        (none,) = [step for step in steps(GuideFacts(status, intake_hidden=True)) if step.name == "Nothing to recover"]
        assert none.role == "note"
        assert "not for this account to see" in none.text


def test_a_full_disk_is_no_verdict_of_a_check() -> None:
    checks = of_import(job(1, "failed", "no-space"))
    assert [(one.role, one.name) for one in checks if one.role == "bad"] == [("bad", "stopped by")]
    assert "not finished" in checks[0].detail
    refused = of_import(job(1, "refused"))
    assert [(one.role, one.name) for one in refused if one.role == "bad"] == [("bad", "signatures")]


def test_what_an_import_stored_before_it_ended_is_said() -> None:
    parts = ({"name": "volumes/0001.7z", "state": "verified"}, {"name": "volumes/0002.7z", "state": "damaged"})
    import msgspec

    from appliance.api.jobs import Part

    ended = job(1, "refused", parts=tuple(msgspec.convert(one, Part) for one in parts), phase="verify and store")
    assert after_job(ended)[1].startswith("1 volume was verified and is kept")
    assert after_job(job(1, "refused"))[1].startswith("nothing of it was taken in")
