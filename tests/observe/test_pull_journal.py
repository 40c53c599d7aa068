"""Repeated pulls outlive a worker that is killed, but for those of about a second."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.audit.pull_journal import PullJournal, Repeated
from appliance.audit.pulls import Pulls
from appliance.limits import audit as limits
from tests.access.live import Live

ONE = Repeated("robot-ci", "team/app@sha256:00", "192.0.2.7", "1", 5)


def test_the_last_note_about_a_pull_counts_and_what_an_event_told_is_gone(tmp_path: Path) -> None:
    journal = PullJournal(tmp_path / "worker-1.pulls")
    journal.begin()
    journal.add([ONE])
    journal.add([ONE._replace(more=7), ONE._replace(actor="ada")])
    assert sorted(PullJournal(tmp_path / "worker-1.pulls").load()) == [ONE._replace(actor="ada"), ONE._replace(more=7)]
    journal.add([ONE._replace(more=0, reference="")])
    assert journal.load() == [ONE._replace(actor="ada")]
    journal.begin()
    assert (journal.load(), (tmp_path / "worker-1.pulls").stat().st_mode & 0o777) == ([], 0o600)


@pytest.mark.parametrize(
    "line",
    [b'["a", "b", "c", "d"', b"[1, 2, 3, 4, 5]", b'["a","b","c","d",-1]', b'["a","b","c","d",true]', b"[" * 99_999],
)
def test_what_is_no_note_is_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "worker-1.pulls"
    path.write_bytes(json.dumps(ONE).encode() + b"\n" + line)
    assert PullJournal(path).load() == [ONE]


def test_notes_of_workers_that_are_no_more_are_taken_up_once(tmp_path: Path) -> None:
    left = tmp_path / "worker-3.pulls"
    PullJournal(left).begin([ONE])
    journal = PullJournal(tmp_path / "worker-1.pulls", [left])
    assert journal.load() == [ONE]
    journal.begin()
    assert (journal.load(), left.exists()) == ([], False)


def test_pulls_say_what_changed_and_owe_what_was_taken_up() -> None:
    moment = 0.0
    pulls = Pulls(lambda: moment)
    pulls.take_up([ONE])
    assert (pulls.has_waiting, [one.detail["count"] for one in pulls.due()], pulls.has_waiting) == (True, [5], False)
    key = ("robot-ci", "team/app@sha256:00", "192.0.2.7")
    pulls.note(*key, "1")
    assert pulls.changed() == []  # the event has it
    pulls.note(*key, "1")
    assert pulls.again(*key)
    assert (pulls.changed(), pulls.changed(), pulls.counted()) == ([ONE._replace(more=2)], [], [ONE._replace(more=2)])
    moment = limits.AUDIT_PULLS + 1
    assert len(pulls.due()) == 1
    assert (pulls.changed(), pulls.counted()) == ([ONE._replace(more=0, reference="")], [])


def test_a_killed_workers_pulls_are_in_the_log(live: Live) -> None:
    (live.root / "keys/robot-canary.secret").rename(live.root / "keys/probe.secret")
    for _ in range(3):
        live.call("probe")
    notes = live.root / "run/worker-1.pulls"
    until(lambda: b"base/canary" in notes.read_bytes())
    noted = sum(one.more for one in PullJournal(notes).load())
    assert live.process is not None
    supervisor = live.process.pid
    _, *workers = sorted(map(int, Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()))
    for worker in workers:  # the control process was started before them
        os.kill(worker, signal.SIGKILL)
    until(lambda: not notes.read_bytes())
    lines = [line for path in (live.root / "audit/lanes").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    pulls = [event for event in map(json.loads, lines) if event["act"] == "pull"]
    assert sum(event["detail"]["count"] for event in pulls) > noted > 0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
