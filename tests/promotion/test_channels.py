"""What stands in each channel is told with who put it there, and with what the policy says of it now."""

from __future__ import annotations

import sqlite3
from typing import Any

import requests

from appliance.audit.acts import Act
from appliance.clock import now
from appliance.control.api import CONTROL
from appliance.metrics import render
from appliance.store.writes.lifecycle import Block, Unblock
from appliance.store.writes.registry import PutTag
from tests.gates.known import critical, harmless, load
from tests.observe.counted import parse
from tests.promotion.desk import Desk, record


def channels(at: Desk, **query: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{at.base}/v1/channels", {"under": f"staging/{at.name}", **query}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_channel_is_told_as_it_stands(at: Desk) -> None:
    one, two = at.image("1"), at.image("2")
    for tag in ("1", "2"):
        at.promote(f"dev:{tag}", "staging", tag="next", reason=f"number {tag}")
    at.promote("dev:1", "staging")
    first, second = channels(at)
    assert first["reference"] == f"staging/{at.name}:1"
    assert second | {
        "reference": f"staging/{at.name}:next", "stage": "staging", "digest": str(two.digest), "act": "promote",
        "actor": "owner", "source": f"dev/{at.name}:2", "reason": "number 2", "seal": "good", "verdict": "passes",
    } == second  # fmt: skip
    assert channels(at, limit="1") == [first]
    assert channels(at, after=first["reference"]) == [second]
    at.rollback(f"staging/{at.name}:next")
    assert [(told["digest"], told["act"]) for told in channels(at)][1] == (str(one.digest), "rollback")


def test_what_is_no_beginning_of_a_channels_name_is_refused(at: Desk) -> None:
    for under, status in (("a b", 400), ("Staging", 400), ("staging/", 200), ("", 200)):
        assert requests.get(f"{at.base}/v1/channels", {"under": under}, timeout=30).status_code == status


def test_durations_of_promotions_and_rollbacks_are_counted_by_how_they_ended(at: Desk) -> None:
    measures = at.app[CONTROL].measures

    def counts() -> dict[str, float]:
        found = parse(render({}, measures.slots).decode())
        name = 'lockgate_promotion_seconds_count{{act="{}",result="{}"}}'.format
        ends = [(act, result) for act in ("promote", "rollback") for result in ("done", "refused", "failed")]
        return {f"{act} {result}": found.get(name(act, result), 0.0) for act, result in ends}

    before = counts()
    at.image("1")
    at.promote("dev:1", "staging")
    at.promote("dev:1", "production")
    at.rollback(f"staging/{at.name}:1")
    gained = {name: value - before[name] for name, value in counts().items() if value != before[name]}
    assert gained == {"promote done": 1, "promote refused": 1, "rollback refused": 1}


def test_what_would_not_pass_now_is_named(at: Desk) -> None:
    content = at.image("1")
    at.promote("dev:1", "staging")
    load(at.submit, at.paths, harmless(), critical())
    (told,) = channels(at)
    assert (told["verdict"], "PYSEC-2026-1" in told["why"]) == ("refused", True)
    load(at.submit, at.paths, harmless())
    record(at, Act.BLOCK, str(content.digest), Block(digest=str(content.digest), why="bad", actor="x", at=now()))
    assert channels(at)[0]["verdict"] == "refused"
    record(at, Act.UNBLOCK, str(content.digest), Unblock(digest=str(content.digest)))
    at.image("2")
    body = {"reference": f"dev/{at.name}:1", "successor": f"dev/{at.name}:2", "after": "2020-01-01T00:00:00Z"}
    at.post("/v1/retirements", **body)
    assert channels(at)[0]["verdict"] == "warns"


def test_what_something_else_put_there_and_a_damaged_history_are_told(at: Desk) -> None:
    at.image("1")
    other = at.image("2")
    for tag in ("1", "2"):
        at.promote(f"dev:{tag}", "staging", tag="next")
    name = f"staging/{at.name}"
    put = PutTag(repository=name, tag="next", digest=at.target("dev", "1") or "", at=now())
    record(at, Act.COPY_MANIFEST, f"{name}@{put.digest}", put, source=name, tags="next")
    (told,) = channels(at)
    assert (told["since"], told["actor"], told["verdict"]) == ("", "", "passes")
    intruder = sqlite3.connect(at.root / "metadata.sqlite", timeout=30)
    intruder.execute("UPDATE promotions SET actor = 'x' WHERE repository = ? AND digest = ?", (name, str(other.digest)))
    intruder.commit()
    intruder.close()
    assert channels(at)[0]["seal"] == "damaged"
    try:
        at.be(("reader", "dev/**"))
        assert channels(at) == []
    finally:
        at.callers.now = type(at.callers.now)("owner", everything=True)
