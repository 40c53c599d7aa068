"""A release with one person is impossible: by the console's and the command line's way in (the control API), by a
database edited by hand, and by one brought back from a backup."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.intake import approvals
from appliance.store.reads.intake import find_entry, steps_of
from appliance.store.writes.custody import HandOver
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import revoke_key
from tests.intake.inside import Inside, name_of, small_bundle

NAME = name_of()
POLICY = """
[break_glass]
keys = [{}]
[[rule]]
streams = ["alpha.*"]
kinds = ["file"]
approvals = 3
"""


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Inside]:
    """A station where two people decide, with a bundle in quarantine."""
    with Inside(tmp_path / "strict", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        yield station


def edit(station: Inside, *statements: str) -> None:
    """Somebody with the database's file and sqlite3, who drops what stands in the way first."""
    intruder = sqlite3.connect(station.station.paths.database)
    with intruder:
        for (name,) in intruder.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            intruder.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            intruder.execute(statement)
    intruder.close()


def refuses(station: Inside, match: str = ".") -> None:
    before = station.visible()
    with pytest.raises(LockgateError, match=match):
        station.release(NAME)
    assert station.visible() == before


APPROVED = "UPDATE intake SET state = 'approved'"
STEP = "INSERT INTO transitions (digest, id, state, at, actor, note) SELECT digest, id, 'approved', at, actor, ''"
STEPPED = f"{STEP} FROM transitions LIMIT 1"


@pytest.mark.parametrize(
    "statements",
    [
        (APPROVED,),
        (APPROVED, STEPPED),
        (APPROVED, STEPPED, "INSERT INTO approvals SELECT digest, 'ffffffffffffffff', 'Boris', document, signature,"
         " created, 0 FROM approvals"),
        (APPROVED, STEPPED, "UPDATE approvals SET owner = 'Boris'"),
        (APPROVED, STEPPED, "UPDATE approvals SET sealed = 1"),
        (APPROVED, STEPPED, "UPDATE intake_documents SET report = '{}'"),
        (APPROVED, STEPPED, "UPDATE intake SET stream = 'alpha.open'"),
    ],
    ids=["state", "state and step", "a copied approval", "another owner", "a sealed one", "the report", "the stream"],
)  # fmt: skip
def test_a_row_edited_by_hand_releases_nothing(strict: Inside, statements: tuple[str, ...]) -> None:
    strict.decide(NAME, strict.officer("Anna"))
    edit(strict, *statements)
    refuses(strict)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE intake_documents SET manifest = replace(manifest, 'files/thing', 'files/other')",
        "UPDATE intake_documents SET report = replace(report, '\"ok\"', '\"note\"')",
        "DELETE FROM intake_documents",
        "UPDATE intake_sums SET sums = x'00'",
        "UPDATE intake_signatures SET signature = x'00'",
        "DELETE FROM intake_signatures",
        "DELETE FROM intake_sums",
        "UPDATE approvals SET document = replace(document, 'approve', 'reject')",
        "UPDATE transitions SET state = 'rejected' WHERE state = 'approved'",
    ],
)
def test_what_two_people_approved_is_not_released_as_something_else(strict: Inside, statement: str) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    edit(strict, statement)
    refuses(strict)


def test_two_people_release(strict: Inside) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    assert strict.release(NAME)
    steps = [step["state"] for step in steps_of(strict.station.reader, find_entry(strict.station.reader, NAME).digest)]
    assert steps == ["received", "verified", "quarantined", "inspected", "approved", "released"]


@pytest.mark.parametrize("again", ["anna ", "ANNA", "Anna", "Аnnа", "ΑΝΝΑ"])
def test_one_person_under_two_spellings_is_one_person(strict: Inside, again: str) -> None:
    """The trust folder refuses a second spelling; where a record was written by hand, the release counts one person."""
    strict.decide(NAME, strict.officer("Anna"))
    second = strict.officer("Somebody")
    record = strict.station.paths.trust / f"{second.public.keyid}.json"
    record.write_text(record.read_text().replace('"Somebody"', f'"{again}"'))
    assert strict.decide(NAME, second) == "quarantined"
    refuses(strict, "not approved")


def test_who_imported_it_may_not_approve_it(strict: Inside) -> None:
    with pytest.raises(RefusedError, match="may not approve"):
        strict.decide(NAME, strict.officer("Tester"))


def test_an_account_is_the_person_the_policy_names(strict: Inside) -> None:
    strict.station.paths.approvals.write_text('[people]\n"Anna Berg" = ["tester"]\n')
    with pytest.raises(RefusedError, match="may not approve"):
        strict.decide(NAME, strict.officer("Anna Berg"))


@pytest.mark.parametrize(("apart", "actor"), [("importer-releaser", "tester(0)"), ("approver-releaser", "anna(7)")])
def test_who_releases_is_set_apart_where_the_policy_says_so(strict: Inside, apart: str, actor: str) -> None:
    strict.station.paths.approvals.write_text(f'separate = ["{apart}"]\n')
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    with pytest.raises(RefusedError, match="may not release"):
        strict.release(NAME, actor=actor)
    assert strict.release(NAME, actor="carla(9)")


def test_a_backup_from_before_a_withdrawal_releases_nothing(
    strict: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    kept = sqlite3.connect(tmp_path / "backup.sqlite")
    source = sqlite3.connect(strict.station.paths.database)
    source.backup(kept)
    kept.close()
    source.close()
    strict.release(NAME)
    later = clock.after(5)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: later)
        strict.withdraw(NAME)
    strict.__exit__()
    for suffix in ("-wal", "-shm"):
        Path(f"{strict.station.paths.database}{suffix}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.sqlite", strict.station.paths.database)
    with Inside(strict.root) as restored:
        assert restored.state(NAME) == "approved"
        refuses(restored, "taken back")


def test_a_backup_with_one_approval_takes_another_person(strict: Inside) -> None:
    strict.decide(NAME, strict.officer("Anna"))
    strict.__exit__()
    with Inside(strict.root) as restored:
        refuses(restored, "not approved")
        restored.decide(NAME, restored.officer("Boris"))
        assert restored.release(NAME)


def test_a_signer_of_the_bundle_who_was_revoked_since_stops_it(strict: Inside) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    signer = next(record for record in strict.station.trust().records if record.owner == "Builder")
    revoke_key(strict.station.paths.trust, signer.keyid, why="stolen", at=clock.now())
    refuses(strict, "stolen")


@pytest.fixture
def guarded(strict: Inside) -> tuple[Inside, list[PrivateKey]]:
    """Three people by rule, and two keys in envelopes."""
    keys = [create_private(), create_private()]
    for key, owner in zip(keys, ("Duty Officer", "Site Manager"), strict=True):
        strict.trust(key.public, "release", owner)
    named = ", ".join(f'"{key.public.keyid}"' for key in keys)
    strict.station.paths.approvals.write_text(POLICY.format(named))
    return strict, keys


def test_a_rule_raises_the_number_of_people(guarded: tuple[Inside, list[PrivateKey]]) -> None:
    station, _ = guarded
    for owner in ("Anna", "Boris"):
        assert station.decide(NAME, station.officer(owner)) == "quarantined"
    assert station.decide(NAME, station.officer("Carla")) == "approved"
    assert station.release(NAME)


def test_sealed_keys_of_two_others_open_once(guarded: tuple[Inside, list[PrivateKey]]) -> None:
    station, (one, other) = guarded
    assert station.decide(NAME, one) == "quarantined"
    assert station.decide(NAME, station.officer("Anna")) == "quarantined"
    assert station.decide(NAME, other) == "approved"
    assert station.release(NAME)
    station.withdraw(NAME)
    with pytest.raises(RefusedError, match="opens once"):
        station.decide(NAME, one)


def test_who_releases_does_not_count_among_the_others(guarded: tuple[Inside, list[PrivateKey]]) -> None:
    station, keys = guarded
    for key in keys:
        station.decide(NAME, key)
    with pytest.raises(RefusedError, match="too few others"):
        station.release(NAME, actor="duty officer")
    assert station.release(NAME)


def test_a_sealed_keys_approval_ends_after_its_hours(
    guarded: tuple[Inside, list[PrivateKey]], monkeypatch: pytest.MonkeyPatch
) -> None:
    station, keys = guarded
    for key in keys:
        station.decide(NAME, key)
    later = clock.after(5 * 3600)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(RefusedError):
        station.release(NAME)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[rule]]\napprovals = 0\n", "rule 1: approvals"),
        ('[[rule]]\napprovals = "two"\n', "rule"),
        ("[[rule]]\n", "approvals"),
        ('[[rule]]\napprovals = 2\nkinds = ["imgae"]\n', "imgae"),
        ("[[rule]]\napprovals = 2\nstreams = []\n", "streams is empty"),
        ('separate = ["nobody"]\n', "separate"),
        ('[break_glass]\nkeys = ["0123456789abcdef"]\n', "fewer keys"),
        ("[break_glass]\nkeys = []\npeople = 1\n", "people"),
        ('[people]\na = ["x"]\nb = ["x"]\n', "two people"),
        ("aprovals = 2\n", "aprovals"),
        ("[[", "approvals.toml"),
    ],
)
def test_a_slip_in_the_rules_stops_decisions_and_names_itself(strict: Inside, text: str, named: str) -> None:
    strict.station.paths.approvals.write_text(text)
    with pytest.raises(UsageError) as caught:
        strict.decide(NAME, strict.officer("Anna"))
    assert named in caught.value.diagnostics()
    assert strict.state(NAME) == "quarantined"


def test_withdrawn_content_is_gone_and_comes_back_when_it_is_approved_anew(strict: Inside) -> None:
    people = [strict.officer("Anna"), strict.officer("Boris")]
    before = strict.visible()
    for key in people:
        strict.decide(NAME, key)
    released = strict.release(NAME)
    assert set(strict.withdraw(NAME)) >= set(released)
    shown = strict.visible()
    assert {name: shown[name] for name in ("repositories", "links", "tags")} == {
        name: before[name] for name in ("repositories", "links", "tags")
    }
    refuses(strict, "withdrawn, not approved")
    for key in people:
        strict.decide(NAME, key)
    assert strict.release(NAME) == released


def test_chosen_artifacts_are_released_and_the_rest_later(strict: Inside) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    with pytest.raises(UsageError, match="does not hold"):
        strict.release(NAME, ["files/none:1"])
    assert strict.release(NAME, ["files/thing:1"]) == ["files/thing:1"]
    assert [row[1] for row in strict.visible()["repositories"]] == ["files/thing"]
    assert strict.release(NAME) == ["files/big:1", "files/empty:1", "files/twin:1"]
    with pytest.raises(FailedError, match="not approved"):
        strict.release(NAME)


def test_every_document_that_was_handed_in_is_kept(strict: Inside) -> None:
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    strict.release(NAME)
    strict.withdraw(NAME)
    rows = strict.station.reader.execute("SELECT owner, document FROM decisions ORDER BY entry").fetchall()
    assert [owner for owner, _ in rows] == ["Anna", "Boris"]
    assert all(json.loads(text)["decision"] == "approve" for _, text in rows)


@pytest.mark.parametrize("table", ["transitions", "decisions", "handovers"])
def test_the_records_cannot_be_rewritten(strict: Inside, table: str) -> None:
    strict.decide(NAME, strict.officer("Anna"))
    event = AuditEvent(Act.CUSTODY_HAND_OVER, "x", NAME)
    with recording(strict.station.audit, event):
        strict.station.writer.submit(
            HandOver(
                bundle=NAME, giver="a", taker="b", medium="m", serial="", seal="", note="", actor="x", at=clock.now()
            )
        )
    intruder = sqlite3.connect(strict.station.paths.database)
    for statement in (f"UPDATE {table} SET actor = 'x'", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            intruder.execute(statement)
    intruder.close()


def test_no_step_can_be_skipped(strict: Inside) -> None:
    intruder = sqlite3.connect(strict.station.paths.database)
    with pytest.raises(sqlite3.IntegrityError, match="skipped"):
        intruder.execute(STEPPED.replace("'approved'", "'released'"))
    intruder.close()


def test_an_approval_made_elsewhere_counts_as_one_made_here(strict: Inside) -> None:
    entry, anna = find_entry(strict.station.reader, NAME), strict.officer("Anna")
    payload = approvals.draft(strict.station, entry, anna.public.keyid, "approve", "")
    assert strict.hand_in(NAME, anna.public.keyid, payload, anna.sign(payload)) == "quarantined"


def test_an_approval_of_the_open_station_counts_no_more_once_it_is_closed(strict: Inside) -> None:
    """Nobody was logged in then, so whoever ran the station may be the one officer who goes on alone."""
    first, second = create_private(), create_private()
    for key, owner in ((first, "Anna Berg"), (second, "Boris Lind")):
        strict.trust(key.public, "release", owner)
    entry = find_entry(strict.station.reader, NAME)
    payload = approvals.draft(strict.station, entry, first.public.keyid, "approve", "")
    signature = first.sign(payload)
    strict.hand_in(NAME, first.public.keyid, payload, signature, "root(0)")
    strict.station.audit.record(AuditEvent(Act.CLOSE, "root(0)", "bravo", "done", {"administrator": "ada"}))
    strict.decide(NAME, second)
    refuses(strict, "open when the approval by Anna Berg")
    strict.hand_in(NAME, first.public.keyid, payload, signature, "anna")
    strict.decide(NAME, strict.officer("Carla"))
    assert strict.release(NAME)


def test_who_imported_while_the_station_was_open_may_be_any_of_those_who_approve(strict: Inside) -> None:
    """So one more must approve: whoever of them imported it, two others did not."""
    strict.station.audit.record(AuditEvent(Act.CLOSE, "root(0)", "bravo", "done", {"administrator": "ada"}))
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    refuses(strict, "2 of 3 count")
    strict.station.paths.approvals.write_text('separate = ["importer-approver", "importer-releaser"]\n')
    strict.decide(NAME, strict.officer("Carla"))
    refuses(strict, "nobody was logged in when it was imported")
    strict.station.paths.approvals.write_text('separate = ["approver-releaser"]\n')
    assert strict.release(NAME)


def test_sealed_keys_take_one_more_for_an_importer_whom_nobody_knows(guarded: tuple[Inside, list[PrivateKey]]) -> None:
    station, keys = guarded
    station.station.audit.record(AuditEvent(Act.CLOSE, "root(0)", "bravo", "done", {"administrator": "ada"}))
    for key in keys:
        station.decide(NAME, key)
    refuses(station, "2 of 3")


def test_the_newest_approval_of_each_key_says_whether_it_counts(strict: Inside) -> None:
    first, second = create_private(), create_private()
    for key, owner in ((first, "Anna Berg"), (second, "Boris Lind")):
        strict.trust(key.public, "release", owner)
    strict.decide(NAME, second)
    strict.station.audit.record(AuditEvent(Act.CLOSE, "root(0)", "bravo", "done", {"administrator": "ada"}))
    strict.decide(NAME, first)
    said = approvals.logged(strict.station, find_entry(strict.station.reader, NAME))
    assert set(said.while_open) == {second.public.keyid}
    assert set(said.hands) == {first.public.keyid, second.public.keyid}
    strict.decide(NAME, second)
    assert approvals.logged(strict.station, find_entry(strict.station.reader, NAME)).while_open == set()
    strict.decide(NAME, strict.officer("Carla"))
    assert strict.release(NAME)
