"""Rows about what happened (the ledger, floors, restores, steps, decisions, receipts, hand-overs, sealed keys) are what
the audit log says, or are found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.intake.approvals import _check_unused
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.release_check import changed_deeds as module
from appliance.release_check.changed_deeds import alarms, changed_deeds
from appliance.store.writes.custody import HandOver
from appliance.store.writes.duties import FirstOfficer
from appliance.store.writes.intake import ResetStream
from appliance.store.writes.ledger import SetClockFloor, ShutImports
from bundles.errors import FailedError, RefusedError
from bundles.oci.digest import Digest
from tests.intake.inside import Inside, name_of, small_bundle

STREAM, NAME = "alpha.bravo", name_of()
KEYID = "0123456789abcdef"
HANDED = {"giver": "Anna", "taker": "Boris", "medium": "stick", "serial": "1", "seal": "A7", "note": ""}


class Deeds:
    """A station with one bundle that two people approved, two receipts, a hand-over, floors that people set and a
    sealed key that was opened."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "bravo", open_=False)
        made = small_bundle(folder / "carried")
        self.inside.trust(made.key.public, owner="Builder")
        self.inside.bring(made.folder)
        for number in (1, 2):
            self.inside.receipt(folder / f"receipt{number}")
        for owner in ("Anna", "Boris"):
            self.inside.decide(NAME, self.inside.officer(owner))
        self.say(Act.ACCOUNT_FIRST_OFFICER, "anna")
        self.inside.writer.submit(FirstOfficer(officer="anna", at=clock.now()))
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


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "pruned"])
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deeds]:
    """One station for every edit."""
    with pytest.MonkeyPatch.context() as patch:
        yield from _station(tmp_path_factory.mktemp("deeds"), patch, pruned=request.param)


@pytest.fixture(params=[False, True], ids=["whole", "pruned"])
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Deeds]:
    """A station of one's own, for what is recorded besides."""
    yield from _station(tmp_path, monkeypatch, pruned=request.param)


def _station(folder: Path, patch: pytest.MonkeyPatch, *, pruned: bool) -> Iterator[Deeds]:
    patch.setattr(limits, "AUDIT_SEGMENT", 1_000)
    patch.setattr(module, "_SETTLES", 0)
    made = Deeds(folder)
    with made.inside:
        if pruned:
            made.prune()
        yield made


@pytest.fixture
def deeds(made: Deeds) -> Iterator[Deeds]:
    """The station; what a test writes into its database is undone."""
    with closing(sqlite3.connect(":memory:")) as kept:
        with closing(sqlite3.connect(made.inside.station.paths.database)) as database:
            database.backup(kept)
        yield made
        with closing(sqlite3.connect(made.inside.station.paths.database)) as database:
            kept.backup(database)


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
    "a bundle that never came": (
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES"
        f" ('{STREAM}', 2, 'sha256:0', '{name_of(2)}', 'quarantined', '', '2020-01-01T00:00:00Z', '')",
        f"the ledger's entry of {name_of(2)}", "unexplained"),
    "a bundle under another's number": (
        f"INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) SELECT stream, 2, digest,"
        f" '{name_of(2)}', state, '', created, actor FROM ledger WHERE state = 'quarantined'",
        f"the ledger's entry of {name_of(2)}", "unexplained"),
    "a release that nobody made": (
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) SELECT stream, sequence, digest,"
        " id, 'released', '', created, actor FROM ledger WHERE state = 'quarantined'",
        f"the ledger's entry of {NAME}", "unexplained"),
    "a floor that was set once, twice": (
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) SELECT stream, sequence, digest,"
        " id, state, why, created, actor FROM ledger WHERE state = 'reset'",
        f"the floor 5 of {STREAM}", "unexplained"),
    "an entry that never came": (
        "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, job, actor, received) SELECT"
        f" 'sha256:other', '{name_of(2)}', stream, 2, 'rejected', 1, 1, '', '', received FROM intake",
        f"the entry of {name_of(2)}", "unexplained"),
    "a clock ahead": (
        "INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES ('', '2999-01-01T00:00:00Z', '', '', '')",
        "the clock's floor 2999-01-01T00:00:00Z", "unexplained"),
    "a clock ahead in a bundle's name": (
        "INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES ('', '2999-01-01T00:00:00Z',"
        f" '{NAME}', '2999-01-01T00:00:00Z', '')", "the clock's floor 2999-01-01T00:00:00Z", "unexplained"),
    "a stream's clock ahead": (
        "INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES ('alpha.bravo', '2999-01-01T00:00:00Z',"
        f" '{NAME}', '', '')", "the clock's floor 2999-01-01T00:00:00Z of alpha.bravo", "unexplained"),
    "the clock that people set, again": (
        "INSERT INTO clock_floors (stream, floor, why, created, actor) SELECT stream, floor, why, created, actor FROM"
        " clock_floors WHERE stream = '' AND why = 'a wrong clock'", "the clock's floor", "unexplained"),
    "the clock of the import, again": (
        "INSERT INTO clock_floors (stream, floor, why, created, actor) SELECT stream, floor, why, created, actor FROM"
        f" clock_floors WHERE stream = '' AND why = '{NAME}'", "the clock's floor", "unexplained"),
    "a restore that nobody made": (
        "INSERT INTO restores (ledger_entry, created, actor) VALUES (99, '2020-01-01T00:00:00Z', 'x')",
        "the restore of 2020-01-01T00:00:00Z", "unexplained"),
    "a decision that nobody made": (
        "INSERT INTO decisions (digest, keyid, owner, document, signature, actor, created) SELECT digest,"
        " 'aaaaaaaaaaaaaaaa', owner, document, signature, actor, created FROM decisions LIMIT 1",
        f"the decision by aaaaaaaaaaaaaaaa about {NAME}", "unexplained"),
    "a decision twice": (
        "INSERT INTO decisions (digest, keyid, owner, document, signature, actor, created) SELECT digest, keyid, owner,"
        " document, signature, actor, created FROM decisions LIMIT 1", "the decision by", "unexplained"),
    "another reason": ("UPDATE decisions SET document = replace(document, '\"why\":\"\"', '\"why\":\"x\"')",
                       "the decision by", "missing"),
    "whose log-in": ("UPDATE decisions SET actor = 'mallory'", "the decision by", "unexplained"),
    "a decision gone": ("DELETE FROM decisions WHERE entry = 2", "the decision by", "missing"),
    "every decision gone": ("DELETE FROM decisions", "the decision by", "missing"),
    "an approval gone": ("DELETE FROM approvals WHERE owner = 'Boris'", "the standing decision by", "missing"),
    "another's signature": ("UPDATE approvals SET signature = x'00'", "the standing decision by", "changed"),
    "a step that nobody took": (
        "INSERT INTO transitions (digest, id, state, at, actor, note) SELECT digest, id, 'released', at, actor, ''"
        " FROM transitions WHERE state = 'approved'", f"the step released of {NAME}", "unexplained"),
    "a step twice": (
        "INSERT INTO transitions (digest, id, state, at, actor, note) SELECT digest, id, state, at, actor, note FROM"
        " transitions WHERE state = 'inspected'", f"the step inspected of {NAME}", "unexplained"),
    "who brought it": ("UPDATE transitions SET actor = 'mallory' WHERE state = 'quarantined'",
                       f"the step quarantined of {NAME}", "unexplained"),
    "the first step gone": ("DELETE FROM transitions WHERE state = 'received'", f"a step of {NAME}", "missing"),
    "a middle step gone": ("DELETE FROM transitions WHERE state = 'inspected'", f"a step of {NAME}", "missing"),
    "the last step gone": ("DELETE FROM transitions WHERE state = 'approved'", f"a step of {NAME}", "missing"),
    "a report": (
        "UPDATE reports SET report = report || ' '",
        "the report sha256:",
        "changed",
    ),
    "a report that is no text": (
        "UPDATE reports SET report = CAST(x'ff' AS TEXT)", "the report sha256:", "changed",
    ),
    "a report gone": ("DELETE FROM reports", "the report sha256:", "missing"),
    "every step gone": ("DELETE FROM transitions", f"a step of {NAME}", "missing"),
    "the signatures gone": ("DELETE FROM intake_signatures", f"the signatures of {NAME}", "missing"),
    "a signature": ("UPDATE intake_signatures SET signature = x'00'", f"the signed files of {NAME}", "changed"),
    "the page beside them": ("UPDATE intake_sums SET readme = x'00'", f"the signed files of {NAME}", "changed"),
    "the first officer's call": ("DELETE FROM duties", "the first call of a security-officer", "missing"),
    "an envelope": ("DELETE FROM sealed_keys_used", f"the use of the sealed key {KEYID} for {NAME}", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("edit", list(EDITS))
def test_a_row_that_was_changed_by_hand_is_found(deeds: Deeds, edit: str) -> None:
    assert deeds.found() == []
    statement, thing, how = EDITS[edit]
    deeds.sql(statement)
    assert [found for found in deeds.found() if found[0].startswith(thing) and found[1] == how]
    assert any(thing in line for line in alarms(changed_deeds(deeds.inside.station)))


def test_a_report_that_was_exchanged_with_all_that_names_it_is_found(fresh: Deeds) -> None:
    """Its text, its digest and its step: the log has another one, also after a cut."""
    text = '{"sections":[]}'
    named = str(Digest.of(text.encode()))
    for statement in ("UPDATE reports SET report = ?, report_digest = ?", "UPDATE intake_documents SET report = ?"):
        fresh.sql(statement, *((text, named) if "reports" in statement else (text,)))
    fresh.sql("UPDATE transitions SET note = ? WHERE state = 'inspected'", named)
    fresh.sql("UPDATE intake SET report_digest = ?", named)
    expected = (f"the report {named} of {NAME}", "unexplained")
    assert expected in fresh.found()


def test_a_restore_that_somebody_deleted_is_found(fresh: Deeds) -> None:
    fresh.say(Act.RESTORE, "bravo", why="a new disk")
    fresh.inside.writer.submit(ShutImports(actor="restore", at=clock.now()))
    assert fresh.found() == []
    fresh.sql("DELETE FROM restores")
    assert [how for thing, how in fresh.found() if thing.startswith("the restore")] == ["missing"]


def test_what_was_recorded_and_did_not_happen_is_no_deed(fresh: Deeds) -> None:
    fresh.say(Act.STREAM_RESET, STREAM, sequence=7, digest="", floor="")
    fresh.inside.station.audit.record(
        refusal(Act.STREAM_RESET, "tester(0)", STREAM, FailedError("another word came"), recorded=True)
    )
    assert fresh.found() == []
    fresh.sql("INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
              " VALUES (?, 7, '', '', 'reset', 'x', ?, 'x')", STREAM, clock.now())  # fmt: skip
    assert fresh.found() == [(f"the floor 7 of {STREAM}", "unexplained")]


def test_a_sealed_key_opens_once_whatever_the_database_says(deeds: Deeds) -> None:
    deeds.sql("DELETE FROM sealed_keys_used")
    with pytest.raises(RefusedError, match="opens once"):
        _check_unused(deeds.inside.station, name_of(2), KEYID, sealed=True)
    _check_unused(deeds.inside.station, name_of(2), "fedcba9876543210", sealed=True)
    _check_unused(deeds.inside.station, NAME, KEYID, sealed=True)
