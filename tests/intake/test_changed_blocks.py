"""The check of what is shown holds the blocks in the database against the audit log, before and after a prune."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.release_check import changed_blocks as module
from appliance.release_check.changed_blocks import alarms, changed_blocks
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.intake.inside import Inside

BAD, WORSE = (str(Digest.of(name)) for name in (b"bad", b"worse"))
OFFICER = "vera (uid 0)"


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    monkeypatch.setattr(module, "_SETTLES", 0.0)
    with Inside(tmp_path / "strict", open_=False) as station:
        yield station


def block(station: Inside, digest: str = BAD, why: str = "CVE-2026-1", *, says_when: bool = True) -> None:
    """As the control API does: recorded, then done. Earlier versions did not record the block's own time."""
    at = clock.now()
    detail = {"thing": digest, "why": why} | ({"at": at} if says_when else {})
    station.station.audit.record(AuditEvent(Act.BLOCK, OFFICER, digest, "done", detail))
    station.writer.submit(Block(digest=digest, why=why, actor=OFFICER, at=at))


def unblock(station: Inside, digest: str = BAD) -> None:
    station.station.audit.record(AuditEvent(Act.UNBLOCK, OFFICER, digest))
    station.writer.submit(Unblock(digest=digest))


def edit(station: Inside, *statements: str) -> None:
    with sqlite3.connect(station.station.paths.database) as intruder:
        for statement in statements:
            intruder.execute(statement)
    intruder.close()


def prune(station: Inside, out: str = "out") -> None:
    """Everything that was said so far is exported and goes."""
    for number in range(16):
        station.station.audit.record(AuditEvent(Act.JOB_READ, OFFICER, f"{out}{number}", "done", {"pad": "x" * 400}))
    paths = station.station.paths
    export.export(paths, paths.root.parent / out, {}, site="bravo", at=clock.now())
    assert prune_log(paths, paths.root.parent / out)[0] > 0
    assert not any(b'"act":"block"' in path.read_bytes() for path in (paths.audit / "lanes").glob("*.jsonl"))


def found(station: Inside) -> list[tuple[str, str]]:
    return [(one["digest"], one["found"]) for one in changed_blocks(station.station)]


EDITS = [
    ("DELETE FROM blocks", [(BAD, "missing")]),
    (f"UPDATE blocks SET digest = '{WORSE}'", [(BAD, "missing"), (WORSE, "unexplained")]),
    ("UPDATE blocks SET digest = upper(digest)", [(BAD, "missing"), (BAD.upper(), "unexplained")]),
    ("UPDATE blocks SET why = 'tested, harmless'", [(BAD, "changed")]),
    ("UPDATE blocks SET why = why || ' '", [(BAD, "changed")]),
    ("UPDATE blocks SET why = CAST(x'ff' AS TEXT)", [(BAD, "changed")]),
    ("UPDATE blocks SET actor = 'nobody'", [(BAD, "changed")]),
    ("UPDATE blocks SET created = '2020-01-01T00:00:00Z'", [(BAD, "changed")]),
    ("UPDATE blocks SET created = ''", [(BAD, "changed")]),
    (f"INSERT INTO blocks SELECT '{WORSE}', why, actor, created FROM blocks", [(WORSE, "unexplained")]),
]


@pytest.mark.parametrize("pruned", [0, 1, 2])
def test_a_block_that_was_changed_by_hand_is_found_whatever_was_pruned(inside: Inside, pruned: int) -> None:
    block(inside)
    for number in range(pruned):
        prune(inside, f"out{number}")
    assert found(inside) == []
    kept = list(inside.station.reader.execute("SELECT digest, why, actor, created FROM blocks"))
    for statement, expected in EDITS:
        edit(inside, statement)
        assert found(inside) == expected, statement
        edit(inside, "DELETE FROM blocks", "INSERT INTO blocks VALUES ('{}', '{}', '{}', '{}')".format(*kept[0]))
    assert found(inside) == []


def test_a_block_that_an_earlier_version_recorded_is_near_its_event(inside: Inside) -> None:
    block(inside, says_when=False)
    prune(inside)
    assert found(inside) == []
    edit(inside, "UPDATE blocks SET created = '2020-01-01T00:00:00Z'")
    assert found(inside) == [(BAD, "changed")]


@pytest.mark.parametrize("pruned", [False, True])
def test_what_was_unblocked_explains_no_row_and_misses_none(inside: Inside, pruned: bool) -> None:
    block(inside)
    row = next(inside.station.reader.execute("SELECT digest, why, actor, created FROM blocks"))
    unblock(inside)
    if pruned:
        prune(inside)
    assert found(inside) == []
    edit(inside, "INSERT INTO blocks VALUES ('{}', '{}', '{}', '{}')".format(*row))
    assert found(inside) == [(BAD, "unexplained")]


@pytest.mark.parametrize("pruned", [False, True])
def test_of_two_blocks_of_one_digest_the_later_one_counts(inside: Inside, pruned: bool) -> None:
    block(inside, why="first")
    if pruned:
        prune(inside)
    block(inside, why="second")
    assert found(inside) == []
    edit(inside, "UPDATE blocks SET why = 'first'")
    assert found(inside) == [(BAD, "changed")]


def test_a_block_that_was_recorded_and_taken_back_is_not_missed(inside: Inside) -> None:
    inside.station.audit.record(AuditEvent(Act.BLOCK, OFFICER, BAD, "done", {"why": "x", "at": clock.now()}))
    inside.station.audit.record(refusal(Act.BLOCK, OFFICER, BAD, FailedError("the disk is full"), recorded=True))
    assert found(inside) == []


def test_a_cut_of_an_earlier_version_hides_no_block_made_since(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """It kept nothing of blocks: those before it explain themselves, those after it are asked for."""
    block(inside)
    monkeypatch.setattr("appliance.release_check.block_record.BlockRecord.lines", lambda _: ())
    prune(inside)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    monkeypatch.setattr(module, "_SETTLES", 0.0)
    assert found(inside) == []
    block(inside, WORSE)
    prune(inside, "later")
    assert found(inside) == []
    edit(inside, f"DELETE FROM blocks WHERE digest = '{WORSE}'")
    assert found(inside) == [(WORSE, "missing")]


def test_a_block_on_its_way_to_the_database_is_no_finding(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """An act is recorded before its transaction, which may wait behind a long one."""
    at = clock.now()
    detail = {"thing": BAD, "why": "x", "at": at}
    inside.station.audit.record(AuditEvent(Act.BLOCK, OFFICER, BAD, "done", detail))
    write = Block(digest=BAD, why="x", actor=OFFICER, at=at)
    monkeypatch.setattr("time.sleep", lambda _: inside.writer.enqueue(write))
    assert found(inside) == []


def test_the_missing_ones_come_first_and_each_has_an_alarm(inside: Inside) -> None:
    block(inside)
    edit(
        inside,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO blocks"
        " SELECT 'sha256:' || printf('%064x', i), 'x', 'x', 'x' FROM n",
        f"DELETE FROM blocks WHERE digest = '{BAD}'",
    )
    listed = changed_blocks(inside.station)
    assert listed[0] == {"repository": "", "digest": BAD, "kind": "block", "bundle": "", "found": "missing"}
    assert len(listed) == 1_000
    assert BAD in alarms(listed)[0]
    assert len(alarms(listed)) < 20
