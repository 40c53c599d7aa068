"""What is retired is shown with its successor, is promoted by nobody after its date, and is collectable."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
import requests

from appliance.audit.acts import Act
from appliance.control.api import CONTROL
from appliance.control.threads import on_own_station
from appliance.lifecycle.gc_retired import RetiredTags, take_retired
from appliance.release_check import changed_retirements as module
from appliance.release_check.changed_retirements import changed_retirements
from appliance.release_check.deed_record import DeedRecord
from tests.conformance.shapes import index
from tests.control.test_recorded_first import FullLog
from tests.promotion.desk import Desk

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


def retire(at: Desk, reference: str, successor: str, after: str = PAST, **more: Any) -> tuple[int, Any]:
    return at.post(
        "/v1/retirements", reference=f"dev/{at.name}{reference}", successor=f"dev/{at.name}{successor}", after=after,
        **more,
    )  # fmt: skip


def undo(at: Desk, reference: str) -> int:
    return at.post("/v1/retirements/undo", reference=f"dev/{at.name}{reference}")[0]


def get(at: Desk, path: str, **query: str) -> Any:
    return requests.get(f"{at.base}{path}", query, timeout=30).json()


def test_a_retirement_is_shown_at_once_and_refuses_from_its_date_on_until_it_is_undone(at: Desk) -> None:
    old, _ = at.image("1"), at.image("2")
    status, said = retire(at, ":1", ":2", FUTURE, reason="no more fixes")
    assert (status, said["over"], said["digest"]) == (201, False, str(old.digest))
    assert at.promote("dev:1", "staging")[0] == 201
    assert retire(at, ":1", ":2", reason="no more fixes")[0] == 201
    shown = get(at, "/v1/artifact", ref=f"dev/{at.name}:1")["retired"]
    assert (shown["successor"], shown["reason"], shown["over"]) == (f"dev/{at.name}:2", "no more fixes", True)
    tags = {one["tag"]: one["retired"] for one in get(at, f"/v1/repositories/dev/{at.name}/tags")["items"]}
    assert (tags["1"], tags["2"]) == (shown, None)
    assert shown in get(at, "/v1/retirements")["items"]
    status, refused = at.promote("staging:1", "production")
    assert (status, refused["code"]) == (403, "retired")
    assert f"dev/{at.name}:2" in refused["what"]
    assert (undo(at, ":1"), undo(at, ":1")) == (200, 404)
    assert at.promote("staging:1", "production")[0] == 201
    assert {one["detail"]["after"] for one in at.events(Act.RETIRE)} == {PAST, FUTURE}
    assert len(at.events(Act.UNRETIRE)) == 1


@pytest.mark.parametrize("way", ["tag", "digest", "another tag", "a copy", "an index", "rollback", "repository"])
def test_what_is_retired_is_promoted_under_no_other_name(at: Desk, way: str) -> None:
    old = at.image("1", "other")
    listing = at.push(index([old]), "listed")
    at.image("2")
    assert at.promote("dev:1", "staging", tag="next")[0] == 201
    assert at.promote("dev:2", "staging", tag="next")[0] == 201
    if way == "repository":
        at.post("/v1/copies", source=f"dev/{at.name}:2", target=f"dev/{at.name}-new:2")
        assert retire(at, "", "-new")[0] == 201
        status, refused = at.promote("dev:2", "staging")
    else:
        assert retire(at, ":1", ":2")[0] == 201
        if way == "rollback":
            status, refused = at.rollback(f"staging/{at.name}:next")
        elif way == "a copy":
            at.post("/v1/copies", source=f"dev/{at.name}:1", target=f"dev/{at.name}/copy:1")
            status, refused = at.post("/v1/promotions", source=f"dev/{at.name}/copy:1", to="staging")
        else:
            names = {"tag": ":1", "digest": f"@{old.digest}", "another tag": ":other", "an index": ":listed"}
            status, refused = at.promote(f"dev{names[way]}", "staging", tag="x")
    assert (status, refused["code"]) == (403, "retired"), refused
    assert str(listing.digest) not in at.links("staging")
    assert at.promote("dev:2", "staging", tag="next")[0] == (403 if way == "repository" else 201)


def test_a_retirement_that_makes_no_sense_is_refused(at: Desk) -> None:
    for tag in ("1", "2", "3"):
        at.image(tag)
    assert retire(at, ":1", ":1")[0] == 400
    assert retire(at, ":9", ":2")[0] == 404
    assert retire(at, ":1", ":9")[0] == 404
    assert retire(at, "", ":2")[0] == 400
    assert retire(at, ":1", ":2", after="tomorrow")[0] == 400
    assert retire(at, ":1", ":2", reason="x" * 100_000)[0] == 400
    assert retire(at, ":2", ":3")[0] == 201
    assert retire(at, ":1", ":2")[0] == 403  # the successor is retired itself
    try:
        at.be(("reader", "**"), ("writer", "**"))
        assert retire(at, ":1", ":3")[0] == 403
        assert undo(at, ":2") == 403
    finally:
        at.callers.now = type(at.callers.now)("owner", everything=True)


def test_a_collection_takes_the_tags_of_what_is_retired_where_they_may_go(at: Desk) -> None:
    at.name = f"{at.name}x"
    old, other = at.image("1", "also", stage="free"), at.image("2", stage="free")
    for tag in ("1", "2"):
        at.image(tag)  # in dev, whose tags stay

    def collect(*, dry_run: bool) -> RetiredTags:
        def work(own: Any) -> RetiredTags:
            return take_retired(own, "anna", contextlib.nullcontext, print, dry_run=dry_run)

        return on_own_station(at.app[CONTROL].station, work)

    for after in (FUTURE, PAST):
        for stage in ("free", "dev"):
            body = {"reference": f"{stage}/{at.name}:1", "successor": f"{stage}/{at.name}:2", "after": after}
            assert at.post("/v1/retirements", **body)[0] == 201
        if after == FUTURE:
            assert [one for one in collect(dry_run=True).named if at.name in one["repository"]] == []
    would = collect(dry_run=True)
    assert {"repository": f"free/{at.name}", "tag": "1", "digest": str(old.digest)} in would.named
    assert would.kept["immutable"] >= 1
    assert at.target("free", "1") == str(old.digest)
    edit(at, f"UPDATE retirements SET digest = '{other.digest}', tag = '2' WHERE reference = 'free/{at.name}:1'")
    assert collect(dry_run=False).kept["not as recorded"] == 1
    edit(at, f"UPDATE retirements SET digest = '{old.digest}', tag = '1' WHERE reference = 'free/{at.name}:1'")
    assert collect(dry_run=False).tags == 1
    assert (at.target("free", "1"), at.target("free", "also")) == (None, str(old.digest))
    assert at.target("dev", "1") is not None
    assert [one["thing"] for one in at.events(Act.DELETE_TAG)] == [f"free/{at.name}:1"]


def edit(at: Desk, statement: str) -> None:
    intruder = sqlite3.connect(at.root / "metadata.sqlite", timeout=30)
    intruder.executescript(statement)
    intruder.close()


def test_a_retirement_that_was_changed_by_hand_is_named_after_a_prune_too(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLES", 0.0)
    for tag in ("1", "2", "3"):
        at.image(tag)
    retire(at, ":1", ":3")
    retire(at, ":2", ":3")
    undo(at, ":2")
    own, mine = f"dev/{at.name}:1", at.app[CONTROL].station

    def found() -> list[tuple[str, str]]:
        listed = on_own_station(mine, changed_retirements)
        return [(one["thing"], one["found"]) for one in listed if at.name in one["thing"]]

    assert found() == []
    edit(at, f"UPDATE retirements SET after = '{FUTURE}' WHERE reference = '{own}'")
    assert found() == [(own, "changed")]
    edit(at, f"UPDATE retirements SET reference = 'dev/{at.name}:2' WHERE reference = '{own}'")
    assert found() == [(own, "missing"), (f"dev/{at.name}:2", "unexplained")]
    edit(at, f"DELETE FROM retirements WHERE reference = 'dev/{at.name}:2'")
    assert found() == [(own, "missing")]
    assert retire(at, ":1", ":3")[0] == 201
    assert found() == []
    log = on_own_station(mine, lambda own: module.read_log(own.paths, own.config.site))
    kept = DeedRecord()
    for line in log.deeds.lines():
        kept.take(json.loads(line))
    later = DeedRecord()
    later.go_on_from(kept, {(Act.UNRETIRE, own)})
    assert later.retirements.said[own] == log.deeds.retirements.said[own] is not None
    assert (own in later.retirements.unsure, f"dev/{at.name}:2" in later.retirements.said) == (True, False)


def test_a_retirement_that_cannot_be_recorded_does_not_count(at: Desk) -> None:
    for tag in ("1", "2"):
        at.image(tag)
    control = at.app[CONTROL]
    station = control.station

    def failing(reference: str, *more: str) -> Any:
        control.station = replace(station, audit=FullLog())
        try:
            return retire(at, reference, *more)[1]["what"] if more else undo(at, reference)
        finally:
            control.station = station

    assert failing(":1", ":2") == "the audit log cannot be written"
    assert undo(at, ":1") == 404
    assert retire(at, ":1", ":2")[0] == 201
    assert failing(":1") == 409
    assert undo(at, ":1") == 200
