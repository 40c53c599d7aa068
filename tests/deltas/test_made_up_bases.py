"""Rows that deltas are built on follow no log. Whoever makes them up gains a larger bundle, or one that the inside
refuses by naming what is missing; the next bundle, on that want-list, brings it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.lifecycle import gc
from appliance.outgoing.delta_base import base_of, take_files
from bundles.documents.statement import read_statement
from bundles.errors import FailedError
from tests.deltas.conftest import Road
from tests.deltas.test_deltas import BASE, OTHER, carried, held, of, required

LACKING = of(OTHER)
MADE_UP = {
    "known inside": f"INSERT INTO known_inside (site, digest, size) VALUES ('bravo', '{LACKING}', {len(OTHER)})",
    "carried by a bundle that never was": "INSERT INTO carried_out (stream, sequence, digest, size) VALUES"
    f" ('alpha.bravo', 99, '{LACKING}', 5000)",
}
LARGER = {
    "known inside forgotten": "DELETE FROM known_inside",
    "a head further on": "UPDATE receipt_heads SET sequence = 99, digest = ''",
    "no head": "DELETE FROM receipt_heads",
    "no receipt": "DELETE FROM receipts_taken",
    "a receipt without its inventory": "UPDATE receipts_taken SET inventory = 0",
    "carried forgotten": "DELETE FROM carried_out",
}


def edit(database: Path, statement: str) -> None:
    """Whoever has the file."""
    with closing(sqlite3.connect(database)) as intruder:
        intruder.execute(statement)
        intruder.commit()


def first(road: Road) -> None:
    """The first bundle is released inside, and its receipt taken."""
    road.release(road.build(road.make("1", base=BASE)))
    assert take_files(road.outside.station, read_statement(road.receipt()), "tester(0)").new


@pytest.mark.parametrize("what", MADE_UP)
def test_what_the_inside_was_never_said_to_hold_is_named_by_it(road: Road, what: str) -> None:
    first(road)
    edit(road.outside.station.paths.database, MADE_UP[what])
    changed = road.make("2", base=BASE, other=OTHER)
    folder = road.build(changed, since="last")
    assert LACKING in required(folder)
    before = road.inside.visible()
    with pytest.raises(FailedError, match="stands on blobs that are not here") as refused:
        road.bring(folder)
    assert LACKING in refused.value.thing
    assert road.inside.visible() == before
    (wants,) = road.inside.station.paths.wants.glob("*.wants")
    corrected = road.build(changed, since=str(wants))
    assert LACKING in carried(corrected)
    road.release(corrected)
    assert held(road, changed)


def test_what_was_taken_away_or_set_back_leaves_nothing_out_that_the_inside_lacks(road: Road) -> None:
    first(road)
    database = road.outside.station.paths.database
    there = {str(digest) for (digest,) in road.inside.station.reader.execute("SELECT digest FROM links")}
    with closing(sqlite3.connect(":memory:")) as kept, closing(sqlite3.connect(database)) as intruder:
        intruder.backup(kept)
        assert base_of(road.outside.station, "alpha.bravo", "last", None).digests == there
        for what, statement in LARGER.items():
            edit(database, statement)
            assert base_of(road.outside.station, "alpha.bravo", "last", None).digests <= there, what
            kept.backup(intruder)


def test_a_base_made_up_inside_lets_go_of_pins_and_of_nothing_that_is_shown(road: Road) -> None:
    first(road)
    edit(road.inside.station.paths.database, "INSERT OR REPLACE INTO stream_bases VALUES ('alpha.bravo', 999)")
    gc.run(road.inside.context(now=True))
    changed = road.make("2", base=BASE, change=os.urandom(3_000))
    folder = road.build(changed, since="last")
    assert of(BASE) in required(folder)
    road.release(folder)
    assert held(road, changed)
