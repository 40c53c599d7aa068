"""Withdrawn, rejected, superseded, void: both sides' lists tell them apart, with times."""

from __future__ import annotations

import re

import pytest

from appliance import clock
from appliance.intake.outcome import came_to
from appliance.outgoing.delta_base import take_files
from appliance.store.reads.bundles_out import listed
from appliance.store.reads.intake import list_entries
from appliance.store.writes.deltas import VoidBundle
from appliance.store.writes.write import under_event
from bundles.documents.statement import read_statement
from tests.deltas.conftest import Road

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = (f"alpha.bravo-{number:06}" for number in range(1, 7))


@pytest.fixture
def apart(road: Road) -> Road:
    """Six bundles that became six different things."""
    road.release(road.build(road.make("1", a=b"one")))
    rejected = road.bring(road.build(road.make("2", a=b"two")))
    road.inside.decide(rejected, road.officer, "reject", "not wanted")
    road.inside.withdraw(road.release(road.build(road.make("3", a=b"three"))), "recalled by the vendor")
    road.release(road.build(road.make("1", a=b"one again"), road.make("4", a=b"four")))
    road.bring(road.build(road.make("5", a=b"five")))
    road.build(road.make("6", a=b"six"))
    with under_event():
        road.outside.writer.submit(VoidBundle(id=SIXTH, at=clock.now(), why="lost with the courier"))
    return road


def test_the_inside_lists_what_became_of_each(apart: Road) -> None:
    reader = apart.inside.station.reader
    found = {entry.id: came_to(reader, entry) for entry in list_entries(reader, 10)}
    assert {name: (one.standing, one.why, one.by) for name, one in found.items()} == {
        FIRST: ("superseded", f"by {FOURTH}", FOURTH),
        SECOND: ("rejected", "not wanted", None),
        THIRD: ("withdrawn", "recalled by the vendor", None),
        FOURTH: ("released", "", None),
        FIFTH: ("quarantined", "", None),
    }
    for one in found.values():
        assert all(TIME.fullmatch(time) for time in (one.since, *one.dates.values()))
    assert {"quarantined", "rejected"} < found[SECOND].dates.keys()
    assert found[THIRD].since == found[THIRD].dates["withdrawn"]


def test_a_bundle_is_superseded_only_where_every_tag_of_it_is(apart: Road) -> None:
    apart.release(apart.build(apart.make("4", a=b"four again")))
    reader = apart.inside.station.reader
    found = {entry.id: came_to(reader, entry).standing for entry in list_entries(reader, 10)}
    assert found[FOURTH] == "released", "its other tag stands"
    apart.inside.withdraw(FOURTH)
    found = {entry.id: came_to(reader, entry).standing for entry in list_entries(reader, 10)}
    assert (found[FIRST], found[FOURTH]) == ("released", "withdrawn"), "nothing stands in the first one's place now"


def test_the_outside_lists_the_same_by_the_receipt(apart: Road) -> None:
    outside = apart.outside.station
    before = {one.id: one.standing for one in listed(outside.reader, 10)}
    assert before == {
        FIRST: "superseded", SECOND: "written", THIRD: "written", FOURTH: "written", FIFTH: "written", SIXTH: "voided",
    }  # fmt: skip
    take_files(outside, read_statement(apart.receipt()), "tester")
    found = {one.id: one for one in listed(outside.reader, 10)}
    assert {name: (one.standing, one.why) for name, one in found.items()} == {
        FIRST: ("superseded", f"by {FOURTH}"),
        SECOND: ("rejected", "not wanted"),
        THIRD: ("withdrawn", "recalled by the vendor"),
        FOURTH: ("released", ""),
        FIFTH: ("quarantined", ""),
        SIXTH: ("voided", "lost with the courier"),
    }
    for one in found.values():
        assert TIME.fullmatch(one.since)
        assert all(time is None or TIME.fullmatch(time) for time in (one.signed, one.written, one.voided))
    inside = {
        entry.id: came_to(apart.inside.station.reader, entry) for entry in list_entries(apart.inside.station.reader, 10)
    }
    assert found[THIRD].since == inside[THIRD].since
