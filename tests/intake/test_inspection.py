"""Inspection on demand: a required inspector that is down or missing blocks, and a new report is a new question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.custody.record import signed_documents
from appliance.intake import approvals, inspection, inspectors
from appliance.intake.inspectors.port import Named, Subject
from appliance.store.reads.intake import find_entry, steps_of
from bundles.documents.signed import Section
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import revoke_key
from tests.bundles.small import SmallBundle
from tests.intake.inside import Context, Inside, name_of, small_bundle

NAME = name_of()
SANDBOX = 'required_inspectors = ["sandbox"]\n'


@pytest.fixture
def made(tmp_path: Path) -> SmallBundle:
    return small_bundle(tmp_path / "carried")


@pytest.fixture
def strict(tmp_path: Path, made: SmallBundle) -> Iterator[Inside]:
    """A station where two people decide."""
    with Inside(tmp_path / "strict", open_=False) as station:
        station.trust(made.key.public, owner="Builder")
        yield station


@pytest.fixture
def people(strict: Inside) -> list[PrivateKey]:
    return [strict.officer("Anna"), strict.officer("Boris")]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every look at the clock is a second later: two reports are never of the same second."""
    began = clock.now()
    seconds = iter(range(1, 10_000))
    real = clock.seconds

    def now() -> str:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(real(began) + next(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    monkeypatch.setattr(clock, "now", now)
    return iter(())  # type: ignore[return-value]


def context(station: Inside, **params: Any) -> Context:
    return station.context(**({"id": NAME} | params))


def down(_: Subject) -> Section:
    raise FailedError("the sandbox does not answer", thing="/run/sandbox")


def clean(subject: Subject) -> Section:
    return Section(inspector="sandbox", outcome="ok", summary=f"{len(subject.checked)} artifacts", details={})


def with_inspector(monkeypatch: pytest.MonkeyPatch, look: Any, *, always: bool = False) -> None:
    monkeypatch.setattr(inspectors, "INSPECTORS", (*_OWN, Named("sandbox", look, always)))


_OWN = inspectors.INSPECTORS


def refused(station: Inside, key: PrivateKey, match: str) -> None:
    with pytest.raises(LockgateError, match=match):
        station.decide(NAME, key)


def test_a_required_inspector_that_is_missing_blocks_and_is_named(
    strict: Inside, made: SmallBundle, people: list[PrivateKey]
) -> None:
    strict.station.paths.approvals.write_text(SANDBOX)
    with pytest.raises(FailedError) as caught:
        strict.bring(made.folder)
    said = caught.value.diagnostics()
    assert "a required inspector is missing on this station: alpha.bravo-000001: sandbox" in said
    assert f"lockgate intake inspect {NAME}" in said
    entry = find_entry(strict.station.reader, NAME)
    assert (entry.state, entry.report_digest) == ("quarantined", None)
    refused(strict, people[0], "quarantined")
    with pytest.raises(FailedError, match="missing"):
        inspection.run(context(strict))
    assert strict.events("intake.inspect")[-1]["outcome"] == "failed"


def test_a_required_inspector_that_is_down_blocks_until_it_is_mended(
    strict: Inside, made: SmallBundle, people: list[PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.station.paths.approvals.write_text(SANDBOX)
    with_inspector(monkeypatch, down)
    with pytest.raises(FailedError, match="the required inspector sandbox could not look") as caught:
        strict.bring(made.folder)
    assert "the sandbox does not answer" in caught.value.diagnostics()
    refused(strict, people[0], "quarantined")
    with_inspector(monkeypatch, clean)
    result = inspection.run(context(strict))
    assert {"inspector": "sandbox", "outcome": "ok"} in result["sections"]
    for key in people:
        strict.decide(NAME, key)
    assert strict.release(NAME)


def test_an_inspector_that_is_not_required_and_down_says_so_and_blocks_nothing(
    strict: Inside, made: SmallBundle, people: list[PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_inspector(monkeypatch, down)
    strict.bring(made.folder)
    raw = strict.station.reader.execute("SELECT report FROM intake_documents").fetchone()[0]
    (section,) = [one for one in json.loads(raw)["sections"] if one["inspector"] == "sandbox"]
    assert section["outcome"] == "fail"
    assert "could not look: the sandbox does not answer" in section["summary"]
    assert strict.decide(NAME, people[0]) == "quarantined"


def test_what_is_always_required_blocks_whatever_the_policy_says(
    strict: Inside, made: SmallBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_inspector(monkeypatch, down, always=True)
    with pytest.raises(FailedError, match="the required inspector sandbox could not look"):
        strict.bring(made.folder)


def test_a_rule_that_came_after_the_report_stops_approvals_and_the_release(
    strict: Inside, made: SmallBundle, people: list[PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.bring(made.folder)
    entry = find_entry(strict.station.reader, NAME)
    drafted = approvals.draft(strict.station, entry, people[1].public.keyid, "approve", "")
    strict.decide(NAME, people[0])
    strict.decide(NAME, people[1])
    strict.station.paths.approvals.write_text(SANDBOX)
    with pytest.raises(RefusedError, match="a required inspector has not looked at it: sandbox"):
        strict.release(NAME)
    refused(strict, people[0], "has not looked")
    with pytest.raises(RefusedError, match="has not looked"):
        strict.hand_in(NAME, people[1].public.keyid, drafted, people[1].sign(drafted))
    assert strict.decide(NAME, strict.officer("Clara"), "reject", "not scanned") == "rejected"


@pytest.mark.usefixtures("later")
def test_a_new_report_voids_every_approval_and_every_report_is_kept(
    strict: Inside, made: SmallBundle, people: list[PrivateKey]
) -> None:
    strict.bring(made.folder)
    first = find_entry(strict.station.reader, NAME).report_digest
    for key in people:
        strict.decide(NAME, key)
    result = inspection.run(context(strict))
    assert (result["state"], result["report_digest"] != first) == ("quarantined", True)
    with pytest.raises(RefusedError, match="not approved"):
        strict.release(NAME)
    entry = find_entry(strict.station.reader, NAME)
    assert [step["state"] for step in steps_of(strict.station.reader, entry.digest)][-2:] == ["approved", "inspected"]
    assert strict.events("intake.reinspect")[-1]["detail"]["report"] == entry.report_digest
    assert strict.events("intake.inspect")[-1]["detail"]["report"] == first
    kept = {row[0] for row in strict.station.reader.execute("SELECT report_digest FROM reports")}
    assert kept == {first, entry.report_digest}
    documents = signed_documents(strict.station.reader, strict.station.trust())
    shown = {name: data for name, data in documents.items() if "/reports/" in name}
    assert {str(Digest.of(data)) for data in shown.values()} == kept
    for key in people:
        strict.decide(NAME, key)
    assert strict.release(NAME)


@pytest.mark.usefixtures("later")
def test_withdrawn_content_is_inspected_anew_and_released_content_is_not(
    strict: Inside, made: SmallBundle, people: list[PrivateKey]
) -> None:
    strict.bring(made.folder)
    for key in people:
        strict.decide(NAME, key)
    strict.release(NAME)
    with pytest.raises(FailedError, match="the bundle is released"):
        inspection.run(context(strict))
    strict.withdraw(NAME)
    assert inspection.run(context(strict))["state"] == "quarantined"
    for key in people:
        strict.decide(NAME, key)
    assert strict.release(NAME)


@pytest.mark.usefixtures("later")
def test_a_job_that_was_cut_off_voids_nothing_twice(
    strict: Inside, made: SmallBundle, people: list[PrivateKey]
) -> None:
    strict.bring(made.folder)
    job = context(strict)
    first = inspection.run(job)
    for key in people:
        strict.decide(NAME, key)
    again = Context(strict.station, job.params, job.folder, job.job_id)
    assert inspection.run(again)["report_digest"] == first["report_digest"]
    assert strict.release(NAME)


def test_what_was_rejected_is_not_inspected(strict: Inside, made: SmallBundle, people: list[PrivateKey]) -> None:
    strict.bring(made.folder)
    strict.decide(NAME, people[0], "reject", "not ordered")
    with pytest.raises(FailedError, match="the bundle is rejected"):
        inspection.run(context(strict))


def test_what_is_no_longer_believed_is_not_inspected(strict: Inside, made: SmallBundle) -> None:
    strict.bring(made.folder)
    revoke_key(strict.station.paths.trust, made.key.public.keyid, why="stolen", at=clock.now())
    with pytest.raises(RefusedError, match="stolen"):
        inspection.run(context(strict))


def test_a_job_without_a_bundle_is_a_slip(strict: Inside) -> None:
    with pytest.raises(UsageError, match="no bundle was named"):
        inspection.run(context(strict, id=""))


@pytest.mark.parametrize("name", ["Malware", "", "a b", "x" * 40])
def test_a_name_that_is_no_inspectors_is_a_slip_in_the_rules(strict: Inside, name: str) -> None:
    strict.station.paths.approvals.write_text(f'required_inspectors = ["{name}"]\n')
    with pytest.raises(UsageError, match="required_inspectors"):
        strict.station.policy()
