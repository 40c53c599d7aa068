"""A bundle's state and its inspection report are those that the audit log recorded, whatever the database says."""

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
from appliance.release_check import changed_entries as module
from appliance.release_check.changed_entries import alarms, changed_entries
from appliance.store.reads.intake import find_entry, report_text
from bundles.errors import FailedError, RefusedError
from bundles.oci.digest import Digest
from tests.intake.inside import Inside, name_of, small_bundle

NAME = name_of()


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    monkeypatch.setattr(module, "_SETTLES", 0.0)
    with Inside(tmp_path / "strict", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        yield station


def edit(station: Inside, statement: str, *values: object) -> None:
    with sqlite3.connect(station.station.paths.database) as intruder:
        intruder.execute(statement, values)
    intruder.close()


def forge_report(station: Inside) -> tuple[str, str]:
    """Another report with its own right digest in the place of the station's; the station's, and its digest."""
    entry = find_entry(station.station.reader, NAME)
    before = report_text(station.station.reader, entry.digest) or ""
    forged = before.replace('"outcome":"ok"', '"outcome":"note"', 1)
    assert forged != before
    put_report(station, forged)
    return before, str(entry.report_digest)


def put_report(station: Inside, text: str) -> None:
    edit(station, "UPDATE intake_documents SET report = ?", text)
    edit(station, "UPDATE intake SET report_digest = ?", str(Digest.of(text.encode())))


def approved(station: Inside) -> None:
    for owner in ("Anna", "Boris"):
        station.decide(NAME, station.officer(owner))


def kinds(station: Inside) -> list[tuple[str, str, str]]:
    return [(one["kind"], one["found"], one["expected"]) for one in changed_entries(station.station)]


def prune(station: Inside) -> None:
    for number in range(16):
        station.station.audit.record(AuditEvent(Act.JOB_READ, "vera", f"{number}", "done", {"pad": "x" * 400}))
    paths = station.station.paths
    export.export(paths, paths.root.parent / "out", {}, site="bravo", at=clock.now())
    assert prune_log(paths, paths.root.parent / "out")[0] > 0


def test_each_step_of_a_bundle_is_what_the_log_says(inside: Inside) -> None:
    assert kinds(inside) == []
    approved(inside)
    assert kinds(inside) == []
    inside.release(NAME)
    assert kinds(inside) == []
    inside.withdraw(NAME)
    assert kinds(inside) == []
    approved(inside)
    assert kinds(inside) == []


def test_a_released_bundle_that_says_another_state_is_found(inside: Inside) -> None:
    approved(inside)
    inside.release(NAME)
    for state in ("withdrawn", "rejected", "quarantined", "approved", "receiving"):
        edit(inside, "UPDATE intake SET state = ?", state)
        assert kinds(inside) == [("state", state, "released")]
    (line,) = alarms(changed_entries(inside.station))
    assert NAME in line


def test_a_bundle_in_quarantine_that_says_it_was_decided_about_is_found(inside: Inside) -> None:
    for state in ("released", "withdrawn", "rejected"):
        edit(inside, "UPDATE intake SET state = ?", state)
        assert kinds(inside) == [("state", state, "quarantined")]


def test_a_rejected_bundle_that_says_another_state_is_found(inside: Inside) -> None:
    inside.decide(NAME, inside.officer("Anna"), "reject", "no use")
    assert kinds(inside) == []
    edit(inside, "UPDATE intake SET state = 'approved'")
    assert kinds(inside) == [("state", "approved", "rejected")]


def test_nobody_approves_by_a_report_that_the_station_did_not_record(inside: Inside) -> None:
    before, recorded = forge_report(inside)
    ((kind, found, expected),) = kinds(inside)
    assert (kind, expected) == ("report", recorded)
    assert found != recorded
    with pytest.raises(RefusedError, match="report was changed"):
        inside.decide(NAME, inside.officer("Anna"))
    put_report(inside, before)
    assert kinds(inside) == []
    approved(inside)
    inside.release(NAME)


def test_a_text_that_was_exchanged_beneath_its_digest_is_not_approved(inside: Inside) -> None:
    edit(inside, 'UPDATE intake_documents SET report = replace(report, \'"outcome":"ok"\', \'"outcome":"note"\')')
    with pytest.raises(RefusedError, match="report was changed"):
        inside.decide(NAME, inside.officer("Anna"))
    assert inside.decide(NAME, inside.officer("Boris"), "reject", "somebody changed its report") == "rejected"


def test_what_was_approved_before_the_report_was_forged_is_not_released(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as blind:  # as approvals of an earlier version, which asked the database alone
        blind.setattr("appliance.intake.approvals.require_recorded_report", lambda *_: None)
        forge_report(inside)
        approved(inside)
    with pytest.raises(RefusedError, match="report was changed"):
        inside.release(NAME)


def test_an_inspection_that_failed_to_be_kept_counts_for_nothing(inside: Inside) -> None:
    entry = find_entry(inside.station.reader, NAME)
    detail = {"digest": entry.digest, "report": str(Digest.of(b"another"))}
    inside.station.audit.record(AuditEvent(Act.INTAKE_REINSPECT, "carl", NAME, "done", detail))
    assert [kind for kind, _, _ in kinds(inside)] == ["report"]
    failed = refusal(Act.INTAKE_REINSPECT, "carl", NAME, FailedError("the disk is full"), recorded=True)
    inside.station.audit.record(failed)
    assert kinds(inside) == []
    approved(inside)


def test_a_cut_of_the_log_keeps_which_report_was_recorded(inside: Inside) -> None:
    prune(inside)
    assert inside.events(Act.INTAKE_INSPECT) == []
    assert kinds(inside) == []
    forge_report(inside)
    assert [kind for kind, _, _ in kinds(inside)] == ["report"]
    with pytest.raises(RefusedError, match="report was changed"):
        inside.decide(NAME, inside.officer("Anna"))
