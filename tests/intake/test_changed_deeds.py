"""Rows about floors, restores, receipts, hand-overs and sealed keys are what the audit log says, or are found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock, limits
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.intake.approvals import _check_unused
from appliance.lifecycle.prune import prune_log
from appliance.release_check import changed_deeds as module
from appliance.release_check.changed_deeds import alarms, changed_deeds
from appliance.store.writes.custody import HandOver
from appliance.store.writes.intake import ResetStream
from appliance.store.writes.ledger import SetClockFloor, ShutImports
from bundles.errors import FailedError, RefusedError
from tests.intake.inside import Inside, name_of, small_bundle

STREAM, NAME = "alpha.bravo", name_of()
KEYID = "0123456789abcdef"
HANDED = {"giver": "Anna", "taker": "Boris", "medium": "stick", "serial": "1", "seal": "A7", "note": ""}


class Deeds:
    """A station with one bundle, two receipts, a hand-over, floors that people set and a sealed key that was opened."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "bravo", open_=False)
        made = small_bundle(folder / "carried")
        self.inside.trust(made.key.public, owner="Builder")
        self.inside.bring(made.folder)
        for number in (1, 2):
            self.inside.receipt(folder / f"receipt{number}")
        self.say(Act.CUSTODY_HAND_OVER, NAME, **HANDED)
        self.inside.writer.submit(HandOver(bundle=NAME, actor="tester(0)", at=clock.now(), **HANDED))
        self.digest = "sha256:" + "7" * 64
        self.say(Act.STREAM_RESET, STREAM, sequence=5, digest=self.digest, floor="")
        self.inside.writer.submit(
            ResetStream(stream=STREAM, sequence=5, digest=self.digest, why="lost", actor="a", at=clock.now())
        )
        floor = clock.after(-600)
        self.say(Act.STREAM_RESET, STREAM, sequence=0, digest="", floor=floor)
        self.inside.writer.submit(
            SetClockFloor(floor=floor, stream=STREAM, why="a wrong clock", actor="a", at=clock.now())
        )
        self.say(Act.BREAK_GLASS_RELEASE, NAME, approved_by=[KEYID], digest="")
        self.sql("INSERT INTO sealed_keys_used (keyid, digest, id, at, actor) VALUES (?, '', ?, ?, 'a')",
                 KEYID, NAME, clock.now())  # fmt: skip

    def say(self, act: Act, thing: str, **detail: object) -> None:
        self.inside.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))

    def sql(self, statement: str, *values: object) -> None:
        """Whoever has the file: no trigger holds them."""
        with sqlite3.connect(self.inside.station.paths.database) as intruder:
            for (name,) in intruder.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                intruder.execute(f"DROP TRIGGER {name}")
            intruder.execute(statement, values)
        intruder.close()

    def prune(self) -> None:
        for number in range(16):
            self.say(Act.JOB_READ, f"{number}", pad="x" * 400)
        paths = self.inside.station.paths
        export.export(paths, paths.root.parent / "out", {}, site="bravo", at=clock.now())
        assert prune_log(paths, paths.root.parent / "out")[0] > 0

    def found(self) -> list[tuple[str, str]]:
        return [(one["thing"], one["found"]) for one in changed_deeds(self.inside.station)]


@pytest.fixture(params=[False, True], ids=["whole", "pruned"])
def deeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Deeds]:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 1_000)
    monkeypatch.setattr(module, "_SETTLES", 0)
    made = Deeds(tmp_path)
    with made.inside:
        if request.param:
            made.prune()
        yield made


EDITS = {
    "the ledger forgets": ("DELETE FROM ledger WHERE state <> 'reset'", f"the ledger's entry of {NAME}", "missing"),
    "another number": ("UPDATE ledger SET sequence = 9 WHERE state <> 'reset'", f"the ledger's entry of {NAME}",
                       "missing"),
    "a stream opened": ("INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
                        " VALUES ('alpha.bravo', 9, '', '', 'reset', 'x', '2999-01-01T00:00:00Z', 'x')",
                        "the floor 9 of alpha.bravo", "unexplained"),
    "the clock": ("INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES ('', '2020-01-01T00:00:00Z',"
                  " '', '', '')", "the clock's floor 2020-01-01T00:00:00Z", "unexplained"),
    "a stream's clock": ("INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES ('alpha.bravo',"
                         " '2020-01-01T00:00:00Z', '', '', '')",
                         "the clock's floor 2020-01-01T00:00:00Z of alpha.bravo", "unexplained"),
    "no clock": ("DELETE FROM clock_floors", "the clock's floor since the import", "missing"),
    "a receipt's text": ("UPDATE receipts SET document = document || ' ' WHERE number = 1", "receipt 1", "changed"),
    "a receipt's digest": ("UPDATE receipts SET digest = 'sha256:' || hex(zeroblob(32)) WHERE number = 2", "receipt 2",
                           "changed"),
    "a receipt gone": ("DELETE FROM receipts WHERE number = 1", "receipt 1", "missing"),
    "a hand-over gone": ("DELETE FROM handovers", f"a hand-over of {NAME} from Anna to Boris", "missing"),
    "another taker": ("UPDATE handovers SET taker = 'Mallory'", f"a hand-over of {NAME} from Anna to Mallory",
                      "unexplained"),
    "another seal": ("UPDATE handovers SET seal = 'B8'", f"a hand-over of {NAME} from Anna to Boris", "unexplained"),
    "an envelope that nobody opened": ("INSERT INTO sealed_keys_used (keyid, digest, id, at, actor) VALUES"
                                       f" ('aaaaaaaaaaaaaaaa', '', '{NAME}', '2999-01-01T00:00:00Z', 'x')",
                                       f"the use of the sealed key aaaaaaaaaaaaaaaa for {NAME}", "unexplained"),
    "an envelope": ("DELETE FROM sealed_keys_used", f"the use of the sealed key {KEYID} for {NAME}", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("edit", list(EDITS))
def test_a_row_that_was_changed_by_hand_is_found(deeds: Deeds, edit: str) -> None:
    assert deeds.found() == []
    statement, thing, how = EDITS[edit]
    deeds.sql(statement)
    assert [found for found in deeds.found() if found[0].startswith(thing) and found[1] == how]
    assert any(thing in line for line in alarms(changed_deeds(deeds.inside.station)))


def test_a_restore_that_somebody_deleted_is_found(deeds: Deeds) -> None:
    deeds.say(Act.RESTORE, "bravo", why="a new disk")
    deeds.inside.writer.submit(ShutImports(actor="restore", at=clock.now()))
    assert deeds.found() == []
    deeds.sql("DELETE FROM restores")
    assert [how for thing, how in deeds.found() if thing.startswith("the restore")] == ["missing"]


def test_what_was_recorded_and_did_not_happen_is_no_deed(deeds: Deeds) -> None:
    deeds.say(Act.STREAM_RESET, STREAM, sequence=7, digest="", floor="")
    deeds.inside.station.audit.record(
        refusal(Act.STREAM_RESET, "tester(0)", STREAM, FailedError("another word came"), recorded=True)
    )
    assert deeds.found() == []
    deeds.sql("INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
              " VALUES (?, 7, '', '', 'reset', 'x', ?, 'x')", STREAM, clock.now())  # fmt: skip
    assert deeds.found() == [(f"the floor 7 of {STREAM}", "unexplained")]


def test_a_sealed_key_opens_once_whatever_the_database_says(deeds: Deeds) -> None:
    deeds.sql("DELETE FROM sealed_keys_used")
    with pytest.raises(RefusedError, match="opens once"):
        _check_unused(deeds.inside.station, name_of(2), KEYID, sealed=True)
    _check_unused(deeds.inside.station, name_of(2), "fedcba9876543210", sealed=True)
    _check_unused(deeds.inside.station, NAME, KEYID, sealed=True)
