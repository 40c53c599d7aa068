"""A channel's history is what the station wrote, or it leads no rollback anywhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest

from appliance.advisories.seals import index_key
from appliance.audit.acts import Act
from appliance.channel_seals import chain_of, row_seal
from appliance.control.api import CONTROL
from appliance.control.threads import on_own_station
from appliance.release_check import changed_promotions as module
from appliance.release_check.changed_promotions import alarms, changed_promotions, proved
from appliance.release_check.deed_record import DeedRecord
from appliance.release_check.log_facts import LogRecord
from appliance.store.reads.promotions import Promoted
from tests.promotion.desk import Desk

OWN = "repository = '{channel}' AND tag = 'next'"
CHANGES = {
    "another digest": "UPDATE promotions SET digest = '{other}' WHERE {own} AND place = 1",
    "another before": "UPDATE promotions SET before = '{other}' WHERE {own} AND place = 1",
    "another reason": "UPDATE promotions SET reason = 'x' WHERE {own} AND place = 3",
    "a flipped bit": "UPDATE promotions SET digest = replace(digest, 'sha256:', 'sha257:') WHERE {own} AND place = 2",
    "another act": "UPDATE promotions SET act = 'rollback' WHERE {own} AND place = 3",
    "another order": "UPDATE promotions SET number = 900000 - number WHERE {own}",
    "one gone": "DELETE FROM promotions WHERE {own} AND place = 2",
    "the first gone": "DELETE FROM promotions WHERE {own} AND place = 1",
    "the last gone": "DELETE FROM promotions WHERE {own} AND place = 3",
    "the head gone": "DELETE FROM channel_heads WHERE {own}",
    "all rows gone": "DELETE FROM promotions WHERE {own}",
    "all of it gone": "DELETE FROM promotions WHERE {own}; DELETE FROM channel_heads WHERE {own}",
    "one made up": "INSERT INTO promotions (act, repository, tag, digest, before, source, actor, reason, policy,"
    " summary, at) SELECT act, repository, tag, '{other}', before, source, actor, reason, policy, summary, at"
    " FROM promotions WHERE {own} AND place = 3",
    "one repeated": "INSERT INTO promotions (act, repository, tag, digest, before, source, actor, reason, policy,"
    " summary, at, place, seal) SELECT act, repository, tag, digest, before, source, actor, reason, policy, summary,"
    " at, place, seal FROM promotions WHERE {own} AND place = 1",
    "unsealed and edited": "UPDATE promotions SET place = 0, seal = '', digest = CASE digest WHEN '{second}' THEN"
    " '{other}' ELSE digest END WHERE {own}; DELETE FROM channel_heads WHERE {own}",
    "of another channel": "UPDATE promotions SET repository = '{channel}x' WHERE {own} AND place = 2",
}


def edit(at: Desk, script: str) -> None:
    intruder = sqlite3.connect(at.root / "metadata.sqlite", timeout=30)
    intruder.executescript(script)
    intruder.close()


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLES", 0.0)


@pytest.fixture
def filled(at: Desk) -> Iterator[Desk]:
    """`staging/…:next` stood at three digests, and a fourth is in dev."""
    for tag in ("1", "2", "3", "4"):
        at.image(tag)
    for tag in ("1", "2", "3"):
        assert at.promote(f"dev:{tag}", "staging", tag="next")[0] == 201
    yield at
    edit(at, f"DELETE FROM promotions WHERE repository LIKE 'staging/{at.name}%'; DELETE FROM channel_heads")


def found(at: Desk) -> list[tuple[str, str]]:
    listed = on_own_station(at.app[CONTROL].station, changed_promotions)
    return [(one["digest"], one["found"]) for one in listed if one["repository"] == f"staging/{at.name}"]


@pytest.mark.parametrize("way", CHANGES)
def test_a_history_that_was_changed_leads_no_rollback(filled: Desk, way: str) -> None:
    at, channel = filled, f"staging/{filled.name}"
    own, other = OWN.format(channel=channel), at.target("dev", "4")
    assert found(at) == []
    third = at.target("staging", "next")
    edit(at, CHANGES[way].format(own=own, other=other, channel=channel, second=at.target("dev", "2")))

    status, refused = at.rollback(f"{channel}:next")
    assert (status, refused["code"]) == (403, "channel-damaged"), refused
    assert "--anew" in refused["remedy"]
    assert at.target("staging", "next") == third
    assert found(at) != []
    assert any(channel in line for line in alarms(on_own_station(at.app[CONTROL].station, changed_promotions)))

    status, _ = at.promote("dev:4", "staging", tag="next", anew=True)
    assert (status, found(at)) == (201, [])
    assert at.rollback(f"{channel}:next")[1]["digest"] == third
    assert at.rollback(f"{channel}:next")[0] == 404  # nothing of before is followed
    assert [one["seal"] for one in at.history(f"{channel}:next")["items"]][:2] == ["good", "good"]


def test_a_damaged_chain_takes_no_promotion_that_does_not_begin_it_anew(filled: Desk) -> None:
    at = filled
    edit(at, f"UPDATE promotions SET actor = 'x' WHERE {OWN.format(channel=f'staging/{at.name}')} AND place = 2")
    status, refused = at.promote("dev:4", "staging", tag="next")
    assert (status, refused["code"]) == (403, "channel-damaged")
    items = at.history(f"staging/{at.name}:next")["items"]
    assert [one["seal"] for one in items] == ["good", "damaged", "good"]
    try:
        at.be(("reader", "**"), ("writer", "staging/**"))
        assert at.promote("dev:4", "staging", tag="next", anew=True)[0] == 403
    finally:
        at.callers.now = type(at.callers.now)("owner", everything=True)
    assert at.events(Act.PROMOTE, "refused")


def unseal(at: Desk) -> None:
    own = OWN.format(channel=f"staging/{at.name}")
    edit(at, f"UPDATE promotions SET place = 0, seal = '' WHERE {own}; DELETE FROM channel_heads WHERE {own}")


def test_rows_of_an_earlier_version_count_where_the_log_proves_them(filled: Desk) -> None:
    at, channel = filled, f"staging/{filled.name}:next"
    unseal(at)
    assert found(at) == []
    assert [one["seal"] for one in at.history(channel)["items"]] == ["none"] * 3
    assert at.promote("dev:4", "staging", tag="next")[0] == 201
    for tag in ("3", "2", "1"):
        assert at.rollback(channel)[1]["digest"] == at.target("dev", tag)
    assert at.rollback(channel)[0] == 404
    assert [one["seal"] for one in at.history(channel)["items"]] == ["good"] * 4 + ["none"] * 3


def test_what_the_log_does_not_hold_proves_nothing(filled: Desk) -> None:
    at = filled
    unseal(at)
    station = at.app[CONTROL].station
    forgotten = LogRecord(since="2999-01-01T00:00:00Z")
    forgotten.deeds.whole = forgotten.deeds.promotions.whole = False
    key = index_key(at.paths)
    said = on_own_station(station, lambda own: proved(own, forgotten, key, f"staging/{at.name}", "next"))
    assert (list(said.rows), said.unproved, list(said.found)) == ([], 3, [])


def test_a_cut_keeps_what_the_log_said_of_promotions(filled: Desk) -> None:
    station = filled.app[CONTROL].station
    log = on_own_station(station, lambda own: module.read_log(own.paths, own.config.site))
    kept = DeedRecord()
    for line in log.deeds.lines():
        kept.take(json.loads(line))
    assert kept.promotions.told == log.deeds.promotions.told != {}
    later = DeedRecord()
    later.go_on_from(kept, {(Act.PROMOTE, f"staging/{filled.name}:next")})
    assert later.promotions.whole
    told = later.promotions.told[f"staging/{filled.name}:next"]
    assert [one.moved.digest for one in told] == [filled.target("dev", tag) for tag in ("2", "1")]


def test_a_seal_is_over_every_field_and_the_row_before() -> None:
    row = Promoted(1, "promote", "r", "t", "d", "b", "s", "a", "why", 1, "sum", "now", 1, "")
    good = row_seal(b"k" * 32, row, "")
    for name in set(Promoted._fields) - {"number", "seal"}:
        value = getattr(row, name)
        other = row._replace(**{name: value + 1 if isinstance(value, int) else value + "x"})
        assert row_seal(b"k" * 32, other, "") != good, name
    assert row_seal(b"k" * 32, row, "x") != good != row_seal(b"l" * 32, row, "")
    assert chain_of(b"k" * 32, [row._replace(seal=good)], "").damaged == "missing"  # without its head
    assert chain_of(b"k" * 32, [], "anything").damaged == "missing"
    assert chain_of(b"k" * 32, [], "") == ((), [], "", "")
