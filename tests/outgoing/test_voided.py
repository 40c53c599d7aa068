"""How many void numbers in a row a stream may have before the outside builds nothing more."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from appliance import clock
from appliance.store.migrations.runner import migrate
from appliance.store.writes.outgoing import TakeSequence
from bundles import limits
from bundles.errors import FailedError
from bundles.format.manifest import bundle_id

STREAM = "alpha.bravo"


def outside(path: Path, signed: int, voided: int) -> Database:
    """A database whose stream has `signed` signed bundles, and `voided` numbers after them that are void."""
    connection = sqlite3.connect(path)
    migrate(connection)
    db = Database(connection)
    states = ["signed"] * signed + ["voided"] * voided
    db.execute("INSERT INTO streams_out (stream, last_sequence) VALUES (?, ?)", (STREAM, len(states)))
    for number, state in enumerate(states, 1):
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created) VALUES (?, ?, ?, ?, ?, ?)",
            (bundle_id(STREAM, number), STREAM, number, state, str(number), clock.now()),
        )
    return db


def taken(db: Database) -> dict[str, object]:
    return TakeSequence(stream=STREAM, job_id="next", at=clock.now()).apply(db.conn)


def test_the_last_number_that_the_inside_would_take_is_built(tmp_path: Path) -> None:
    db = outside(tmp_path / "m.sqlite", 2, limits.SEQUENCE_STEP - 1)
    facts = taken(db)
    assert facts["sequence"] == 2 + limits.SEQUENCE_STEP
    assert facts["voided"] == list(range(3, 2 + limits.SEQUENCE_STEP))


def test_a_number_that_the_inside_would_refuse_is_not_built(tmp_path: Path) -> None:
    db = outside(tmp_path / "m.sqlite", 2, limits.SEQUENCE_STEP)
    with pytest.raises(FailedError, match="last 1000 numbers are void"):
        taken(db)


def test_void_numbers_too_far_back_to_matter_are_not_named(tmp_path: Path) -> None:
    """A stream that voided many over the years names fewer than a manifest may have."""
    db = outside(tmp_path / "m.sqlite", 0, limits.SEQUENCE_STEP - 1)
    for number in range(limits.SEQUENCE_STEP, limits.SEQUENCE_STEP + 500):
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created) VALUES (?, ?, ?, ?, ?, ?)",
            (bundle_id(STREAM, number), STREAM, number, "signed" if number % 2 else "voided", "x", clock.now()),
        )
    db.execute("UPDATE streams_out SET last_sequence = ?", (limits.SEQUENCE_STEP + 499,))
    voided = taken(db)["voided"]
    assert isinstance(voided, list)
    assert len(voided) < limits.SEQUENCE_STEP
    assert voided[-1] == limits.SEQUENCE_STEP + 498
