"""What makes a person's signature count, and that nothing is released without enough of them."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.intake import approvals
from appliance.store.reads.intake import decisions_of, find_entry, history
from appliance.store.writes.entries import not_approved
from bundles.documents import signed
from bundles.documents.signed import Approval
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import revoke_key
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of, small_bundle

NAME = name_of()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Inside]:
    """A station where two people decide, with a bundle in quarantine."""
    with Inside(tmp_path / "strict", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public)
        station.bring(made.folder)
        yield station


@pytest.fixture
def quarantined(inside: Inside, bundle: SmallBundle) -> Inside:
    inside.bring(bundle.folder)
    return inside


def document(station: Inside, key: PrivateKey, **changes: Any) -> bytes:
    """The station's own document with fields changed, canonical again."""
    payload = approvals.draft(
        station.station, find_entry(station.station.reader, NAME), key.public.keyid, "approve", ""
    )
    return strict_json.canonical(json.loads(payload) | changes)


def test_one_person_suffices_on_an_open_station(quarantined: Inside) -> None:
    assert quarantined.decide(NAME, quarantined.officer()) == "approved"


def test_two_people_decide_elsewhere(strict: Inside) -> None:
    assert strict.decide(NAME, strict.officer("Anna")) == "quarantined"
    with pytest.raises(RefusedError, match="not approved"):
        strict.release(NAME)
    assert strict.decide(NAME, strict.officer("Boris")) == "approved"
    strict.release(NAME)


def test_two_keys_of_one_person_are_one_person(strict: Inside) -> None:
    strict.decide(NAME, strict.officer("Anna"))
    assert strict.decide(NAME, strict.officer("Anna")) == "quarantined"


def test_a_person_who_approves_twice_counts_once(strict: Inside) -> None:
    anna = strict.officer("Anna")
    strict.decide(NAME, anna)
    assert strict.decide(NAME, anna) == "quarantined"
    assert len(decisions_of(strict.station.reader, find_entry(strict.station.reader, NAME).digest)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"site": "charlie"},
        {"bundle": "alpha.bravo-000002"},
        {"digest": "sha256:" + "0" * 64},
        {"report": "sha256:" + "0" * 64},
        {"keyid": "0" * 16},
        {"decision": "wave through"},
        {"decision": "reject"},
        {"not_after": "2099-01-01T00:00:00Z"},
        {"created": "2020-01-01T00:00:00Z", "not_after": "2020-01-02T00:00:00Z"},
        {"created": "2098-01-01T00:00:00Z", "not_after": "2098-01-02T00:00:00Z"},
        {"created": "yesterday"},
        {"why": "x" * 2001},
        {"type": signed.RECEIPT_TYPE},
        {"extra": 1},
    ],
    ids=", ".join,
)
def test_any_other_document_does_not_count(quarantined: Inside, changes: dict[str, Any]) -> None:
    officer = quarantined.officer()
    payload = document(quarantined, officer, **changes)
    before = quarantined.everything()
    with pytest.raises(RefusedError):
        quarantined.hand_in(NAME, officer.public.keyid, payload, officer.sign(payload))
    assert quarantined.everything() == before


def test_the_same_words_in_other_bytes_do_not_count(quarantined: Inside) -> None:
    officer = quarantined.officer()
    payload = json.dumps(json.loads(document(quarantined, officer)), indent=1).encode()
    with pytest.raises(RefusedError):
        quarantined.hand_in(NAME, officer.public.keyid, payload, officer.sign(payload))


def _of_nobody(station: Inside) -> PrivateKey:
    return create_private()


def _of_a_builder(station: Inside) -> PrivateKey:
    key = create_private()
    station.trust(key.public, "bundle", "Builder")
    return key


def _revoked(station: Inside) -> PrivateKey:
    key = station.officer("Left")
    revoke_key(station.station.paths.trust, key.public.keyid, why="left", at=clock.now())
    return key


@pytest.mark.parametrize("make", [_of_nobody, _of_a_builder, _revoked])
def test_only_keys_that_are_pinned_for_releases_count(
    quarantined: Inside, make: Callable[[Inside], PrivateKey]
) -> None:
    with pytest.raises(RefusedError):
        quarantined.decide(NAME, make(quarantined))
    assert quarantined.state(NAME) == "quarantined"


def test_anothers_signature_does_not_count(quarantined: Inside) -> None:
    officer, other = quarantined.officer(), quarantined.officer("Other")
    payload = document(quarantined, officer)
    with pytest.raises(RefusedError, match="does not hold"):
        quarantined.hand_in(NAME, officer.public.keyid, payload, other.sign(payload))


def test_an_approval_whose_key_was_revoked_since_no_longer_counts(quarantined: Inside) -> None:
    officer = quarantined.officer()
    quarantined.decide(NAME, officer)
    before = quarantined.visible()
    revoke_key(quarantined.station.paths.trust, officer.public.keyid, why="stolen", at=clock.now())
    with pytest.raises(RefusedError, match="stolen"):
        quarantined.release(NAME)
    assert quarantined.visible() == before
    quarantined.decide(NAME, quarantined.officer("Second"))
    quarantined.release(NAME)


def test_an_approval_that_is_out_of_its_time_no_longer_counts(
    quarantined: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined.decide(NAME, quarantined.officer())
    later = clock.after(73 * 3600)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(RefusedError, match="out of its time"):
        quarantined.release(NAME)


def test_a_second_that_passes_while_an_approval_is_drafted_does_not_make_it_too_long(
    quarantined: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clock.after
    seconds = itertools.count()
    monkeypatch.setattr(clock, "now", lambda: real(next(seconds)))
    monkeypatch.setattr(clock, "after", lambda span: real(span + next(seconds)))
    assert quarantined.decide(NAME, quarantined.officer()) == "approved"


def test_an_approval_whose_stored_bytes_were_changed_no_longer_counts(quarantined: Inside) -> None:
    quarantined.decide(NAME, quarantined.officer())
    intruder = sqlite3.connect(quarantined.station.paths.database)
    with intruder:
        intruder.execute("UPDATE approvals SET signature = x'00'")
    intruder.close()
    with pytest.raises(RefusedError):
        quarantined.release(NAME)


def test_a_rejection_is_final_and_keeps_its_reason(quarantined: Inside) -> None:
    officer = quarantined.officer()
    quarantined.decide(NAME, officer, "reject", "not ordered")
    assert quarantined.state(NAME) == "rejected"
    for attempt in (lambda: quarantined.decide(NAME, officer), lambda: quarantined.release(NAME)):
        with pytest.raises(FailedError, match="rejected"):
            attempt()
    rows = quarantined.station.reader.execute("SELECT state, why FROM ledger ORDER BY entry").fetchall()
    assert rows == [("quarantined", ""), ("rejected", "not ordered")]
    assert quarantined.station.reader.execute("SELECT count(*) FROM pins").fetchone() == (0,)


def test_an_approved_bundle_may_still_be_rejected(quarantined: Inside) -> None:
    officer = quarantined.officer()
    quarantined.decide(NAME, officer)
    assert quarantined.decide(NAME, officer, "reject", "second thoughts") == "rejected"


def test_a_rejection_needs_a_reason(quarantined: Inside) -> None:
    with pytest.raises(UsageError, match="reason"):
        quarantined.decide(NAME, quarantined.officer(), "reject", " ")


def test_nothing_is_decided_about_what_is_still_receiving(inside: Inside, spread: SmallBundle) -> None:
    with pytest.raises(LockgateError):
        inside.bring(spread.out[0])
    with pytest.raises(FailedError, match="receiving"):
        inside.decide(NAME, inside.officer())


def test_the_ledger_keeps_every_step_and_its_latest_is_what_counts(quarantined: Inside) -> None:
    quarantined.decide(NAME, quarantined.officer())
    quarantined.release(NAME)
    states = quarantined.station.reader.execute("SELECT state FROM ledger ORDER BY entry").fetchall()
    assert states == [("quarantined",), ("approved",), ("released",)]
    assert [row.state for row in history(quarantined.station.reader, "alpha.bravo")] == ["released"]


def test_the_ledger_cannot_be_rewritten(quarantined: Inside) -> None:
    intruder = sqlite3.connect(quarantined.station.paths.database)
    for statement in ("UPDATE ledger SET state = 'released'", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            intruder.execute(statement)
    intruder.close()


def test_an_approval_names_the_bundle_the_report_the_site_and_the_key(quarantined: Inside) -> None:
    officer = quarantined.officer()
    entry = find_entry(quarantined.station.reader, NAME)
    made = signed.decode(document(quarantined, officer), Approval)
    assert (made.bundle, made.digest, made.report) == (entry.id, entry.digest, entry.report_digest)
    assert (made.site, made.keyid, made.decision) == ("bravo", officer.public.keyid, "approve")


def test_what_can_no_longer_be_decided_names_how_to_go_on(strict: Inside) -> None:
    """One status for too few approvals, whatever the state; where the state alone stands in the way it is another."""
    for state in ("quarantined", "withdrawn"):
        assert not_approved(NAME, state).exit_status == 3
    for owner in ("Anna", "Boris"):
        strict.decide(NAME, strict.officer(owner))
    strict.release(NAME)
    with pytest.raises(FailedError) as released:
        strict.decide(NAME, strict.officer("Clara"), "reject", "too late")
    assert f"lockgate intake withdraw {NAME} --why" in released.value.remedy
    strict.withdraw(NAME)
    strict.decide(NAME, strict.officer("Dora"), "reject", "recalled")
    for act in (lambda: strict.decide(NAME, strict.officer("Emil")), lambda: strict.release(NAME)):
        with pytest.raises(FailedError, match="final") as rejected:
            act()
        assert "carried in anew" in rejected.value.remedy
