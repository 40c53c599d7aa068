"""An import goes by the ledger and by restores as the audit log knows them, whatever somebody wrote in their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.release_check import changed_deeds as module
from appliance.release_check.changed_deeds import changed_deeds
from appliance.store.writes.intake import Quarantine, ResetStream
from appliance.store.writes.ledger import ShutImports
from appliance.store.writes.write import Guarded, Write
from bundles.errors import FailedError, RefusedError
from bundles.oci.digest import Digest
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle

STREAM = "alpha.bravo"
ADD = "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES (?, ?, ?, ?, ?, '', ?, 'x')"
OTHER = "sha256:" + "5" * 64


def digest_of(made: SmallBundle) -> str:
    return str(Digest.of(made.signed.sums))


@dataclass
class Ground:
    """A closed station with a bundle in quarantine."""

    inside: Inside
    folder: Path
    first: SmallBundle

    def bundle(self, sequence: int, previous: str | None = None, **changes: object) -> SmallBundle:
        made = small_bundle(
            self.folder / f"bundle{sequence}{len(list(self.folder.iterdir()))}", sequence=sequence,
            previous=digest_of(self.first) if previous is None else previous, **changes,
        )  # fmt: skip
        self.inside.trust(made.key.public)
        return made

    def sql(self, statement: str, *values: object) -> None:
        """Whoever has the file: no trigger holds them."""
        with sqlite3.connect(self.inside.station.paths.database) as intruder:
            kept = intruder.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in kept:
                intruder.execute(f"DROP TRIGGER {name}")
            intruder.execute(statement, values)
            for _, text in kept:
                intruder.execute(text)
        intruder.close()

    def say(self, act: Act, thing: str, **detail: object) -> None:
        self.inside.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))

    def restore(self) -> str:
        at = clock.now()
        self.say(Act.RESTORE, "bravo", why="a new disk", at=at)
        self.inside.writer.submit(ShutImports(actor="restore", at=at))
        return at

    def reset(self, restore: str, sequence: int = 1, digest: str = "") -> None:
        digest = digest or digest_of(self.first)
        self.say(Act.STREAM_RESET, STREAM, sequence=sequence, digest=digest, floor="", restore=restore)
        self.inside.writer.submit(
            ResetStream(stream=STREAM, sequence=sequence, digest=digest, why="x", actor="a", at=clock.now())
        )

    def found(self) -> list[tuple[str, str]]:
        return [(one["thing"], one["found"]) for one in changed_deeds(self.inside.station)]

    def repairs(self) -> list[dict[str, object]]:
        return [event["detail"] for event in self.inside.events("ledger.repair")]

    def triggers(self) -> int:
        reader = self.inside.station.reader
        return int(reader.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0])


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.setattr(module, "_SETTLES", 0)
    with Inside(tmp_path / "bravo", open_=False) as inside:
        first = small_bundle(tmp_path / "first")
        inside.trust(first.key.public)
        inside.bring(first.folder)
        yield Ground(inside, tmp_path, first)


MADE_UP = {
    "another bundle under its number": (2, OTHER, name_of(2), "quarantined"),
    "a later number": (7, OTHER, name_of(7), "released"),
    "a floor": (9, "", "", "reset"),
    "an honest bundle under its number": (2, "first", name_of(2), "quarantined"),
}


@pytest.mark.parametrize("what", list(MADE_UP))
def test_a_row_that_was_made_up_shuts_no_honest_bundle_out(ground: Ground, what: str) -> None:
    sequence, digest, name, state = MADE_UP[what]
    before = ground.triggers()
    digest = digest_of(ground.first) if digest == "first" else digest
    ground.sql(ADD, STREAM, sequence, digest, name, state, "2020-01-01T00:00:00Z")
    assert ground.found()
    ground.inside.bring(ground.bundle(2).folder)
    assert ground.inside.state(name_of(2)) == "quarantined"
    assert [one["rows_struck"] for one in ground.repairs()] == [1]
    assert ground.found() == []
    assert ground.triggers() == before, "the ledger is append-only again"


def test_a_restore_that_was_made_up_shuts_no_stream(ground: Ground) -> None:
    ground.sql("INSERT INTO restores (ledger_entry, created, actor) VALUES (99, ?, 'x')", clock.now())
    ground.inside.bring(ground.bundle(2).folder)
    assert ground.found() == []


def test_an_entry_and_steps_that_were_made_up_shut_no_bundle_out(ground: Ground) -> None:
    made = ground.bundle(2)
    ground.sql(
        "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, job, actor, received)"
        " VALUES (?, ?, ?, 2, 'rejected', 1, 1, '', '', ?)", digest_of(made), name_of(2), STREAM, clock.now(),
    )  # fmt: skip
    ground.sql(
        "INSERT INTO transitions (digest, id, state, at, actor, note) VALUES (?, ?, 'rejected', '', '', '')",
        digest_of(made), name_of(2),
    )  # fmt: skip
    assert (f"the entry of {name_of(2)}", "unexplained") in ground.found()
    ground.inside.bring(made.folder)
    assert ground.inside.state(name_of(2)) == "quarantined"
    assert ground.found() == []


def test_a_bundle_whose_rows_somebody_deleted_does_not_come_in_again(ground: Ground) -> None:
    second = ground.bundle(2)
    ground.inside.bring(second.folder)
    ground.sql("DELETE FROM ledger")
    with pytest.raises(RefusedError, match="a replay"):
        ground.inside.bring(ground.first.folder)
    assert ground.repairs()[0]["put_back"] == [name_of(1), name_of(2)]
    assert ground.found() == []
    with pytest.raises(RefusedError, match="a fork"):
        ground.inside.bring(ground.bundle(2, purpose="another").folder)


def test_a_bundle_whose_row_says_a_floor_does_not_come_in_again(ground: Ground) -> None:
    ground.sql("UPDATE ledger SET state = 'reset', sequence = 0, digest = ''")
    with pytest.raises(RefusedError, match="a replay"):
        ground.inside.bring(ground.first.folder)


OPENED = (
    "DELETE FROM restores", "UPDATE restores SET ledger_entry = 0",
    "UPDATE restores SET created = '2020-01-01T00:00:00Z', ledger_entry = 0",
)  # fmt: skip


@pytest.mark.parametrize("edit", OPENED)
def test_a_stream_that_a_restore_shut_is_opened_by_nobody_who_has_the_file(ground: Ground, edit: str) -> None:
    ground.reset(restore="")
    ground.restore()
    ground.sql(edit)
    assert ground.found()
    second = ground.bundle(2)
    with pytest.raises(RefusedError, match="imports are shut since the restore"):
        ground.inside.bring(second.folder)
    assert ground.found() == []
    reader = ground.inside.station.reader
    ground.reset(reader.execute("SELECT created FROM restores ORDER BY entry DESC").fetchone()[0])
    ground.inside.bring(second.folder)


@pytest.mark.parametrize("edit", ["DELETE FROM restores", "UPDATE restores SET ledger_entry = 1000000"])
def test_a_stream_that_people_opened_stays_open(ground: Ground, edit: str) -> None:
    ground.reset(ground.restore())
    assert ground.found() == []
    ground.sql(edit)
    assert ground.found()
    ground.inside.bring(ground.bundle(2).folder)
    assert ground.found() == []


def test_a_floor_from_before_a_restore_opens_nothing_when_it_is_copied(ground: Ground) -> None:
    ground.reset(restore="")
    ground.restore()
    ground.sql(ADD, STREAM, 1, digest_of(ground.first), "", "reset", clock.now())
    with pytest.raises(RefusedError, match="imports are shut"):
        ground.inside.bring(ground.bundle(2).folder)


def test_a_restore_that_failed_after_it_shut_imports_is_no_finding_and_keeps_them_shut(ground: Ground) -> None:
    ground.restore()
    error = RefusedError("this copy knows a later receipt")
    ground.inside.station.audit.record(refusal(Act.RESTORE, "tester(0)", "bravo", error, recorded=True))
    assert ground.found() == []
    with pytest.raises(RefusedError, match="imports are shut"):
        ground.inside.bring(ground.bundle(2).folder)
    assert ground.repairs() == []


class Killed(BaseException):
    """The process is gone: nothing more is recorded."""


class KilledAt:
    """A writer whose process is killed before one kind of write."""

    def __init__(self, inside: Inside, kind: type[Write]) -> None:
        self.inside, self.kind = inside, kind

    def submit(self, write: Write) -> object:
        if isinstance(write, self.kind):
            raise Killed
        return self.inside.writer.submit(write)


def bring_and_kill(ground: Ground, folder: Path) -> None:
    """The import is killed when its event is recorded and its transaction is not done."""
    whole = ground.inside.station
    ground.inside.station = replace(whole, writer=Guarded(KilledAt(ground.inside, Quarantine)))
    with pytest.raises(Killed):
        ground.inside.bring(folder, job_id="job-x")
    ground.inside.station = whole


def test_an_import_that_was_killed_between_its_event_and_its_row_is_gone_on_with(ground: Ground) -> None:
    second = ground.bundle(2)
    bring_and_kill(ground, second.folder)
    assert ground.found() == []
    ground.inside.bring(second.folder, job_id="job-x")
    assert ground.inside.state(name_of(2)) == "quarantined"
    assert ground.found() == []
    assert ground.repairs() == []


def test_an_import_that_was_killed_there_and_given_up_is_no_finding(ground: Ground) -> None:
    second = ground.bundle(2)
    bring_and_kill(ground, second.folder)
    ground.sql("DELETE FROM pins WHERE bundle = ?", digest_of(second))
    with pytest.raises(FailedError):
        ground.inside.bring(second.folder, job_id="job-x")
    assert ground.found() == []
    assert ground.repairs() == []


def test_people_decide_at_once_and_one_of_them_in_vain(ground: Ground) -> None:
    """What is taken back is the one's decision, and not the other's that was recorded later."""
    anna, boris = (ground.inside.officer(owner) for owner in ("Anna", "Boris"))
    digest = digest_of(ground.first)
    ground.say(Act.INTAKE_APPROVE, name_of(), digest=digest, keyid=anna.public.keyid, document="sha256:x")
    ground.inside.decide(name_of(), boris)
    error = FailedError("the bundle is rejected")
    undone = refusal(Act.INTAKE_APPROVE, "tester(0)", name_of(), error, recorded=True)
    detail = {**undone.detail, "keyid": anna.public.keyid}
    ground.inside.station.audit.record(AuditEvent(undone.act, undone.actor, undone.thing, undone.outcome, detail))
    assert ground.found() == []
    ground.sql("DELETE FROM decisions")
    assert ground.found() == [(f"the decision by {boris.public.keyid} about {name_of()}", "missing")]


def test_a_decision_that_a_kill_undid_is_no_finding(ground: Ground) -> None:
    anna = ground.inside.officer("Anna")
    ground.say(
        Act.INTAKE_APPROVE, name_of(), digest=digest_of(ground.first), keyid=anna.public.keyid, document="sha256:x"
    )
    assert ground.found() == []
    ground.inside.decide(name_of(), anna)
    assert ground.found() == []
