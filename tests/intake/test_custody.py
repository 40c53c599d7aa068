"""Custody and recall: one record of everything that happened to a bundle, and where it went."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.audit.checkpoints import checkpoint
from appliance.audit.event import AuditEvent
from appliance.audit.pulls import Pulls
from appliance.custody import record as custody
from appliance.custody.recall import recall
from appliance.limits import audit as limits
from appliance.store.reads.intake import find_entry
from appliance.store.writes.custody import HandOver
from bundles.documents import custody_form
from bundles.errors import NotFoundError, UsageError
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of

NAME = name_of()


@pytest.fixture
def released(inside: Inside, bundle: SmallBundle) -> Inside:
    inside.bring(bundle.folder)
    inside.decide(NAME, inside.officer("Anna <b>Berg</b>"))
    fields = {"giver": "Courier", "taker": "Operator", "medium": "USB-7", "serial": "S1", "seal": "0042", "note": ""}
    inside.writer.submit(HandOver(bundle=NAME, actor="tester(0)", at=clock.now(), **fields))
    inside.station.audit.record(AuditEvent("custody.hand-over", "tester(0)", NAME, "done", fields))
    inside.release(NAME)
    return inside


def record(station: Inside) -> dict[str, object]:
    head = checkpoint(station.station.paths)
    return dict(
        msgspec.to_builtins(custody.record_of(station.station, NAME, find_entry(station.station.reader, NAME), head))
    )


def test_a_record_has_steps_signers_decisions_hand_overs_and_the_logs_head(released: Inside) -> None:
    form = custody_form.as_text(record(released))
    for word in ("received", "verified", "quarantined", "inspected", "approved", "released", "Engineering", "USB-7",
                 "0042", "intake.import", "custody.hand-over", checkpoint(released.station.paths)):  # fmt: skip
        assert word in form


def test_the_page_shows_names_as_text(released: Inside, tmp_path: Path) -> None:
    custody_form.write_form(tmp_path / "form.html", record(released))
    page = (tmp_path / "form.html").read_text()
    assert "Anna &lt;b&gt;Berg&lt;/b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize("missing", ["giver", "taker", "medium"])
def test_a_hand_over_says_who_and_what(missing: str) -> None:
    fields = {"giver": "a", "taker": "b", "medium": "m"} | {missing: " "}
    with pytest.raises(UsageError, match=missing):
        custody.check_handover(custody.HandOverFields(**fields))


@pytest.mark.parametrize("taker", ["Anna Berg ", "\uff21nna Berg", "anna  berg", "Anna\u2800Berg", "\u0410nna Berg"])
def test_nobody_hands_a_medium_to_themselves(taker: str) -> None:
    with pytest.raises(UsageError, match="themselves"):
        custody.check_handover(custody.HandOverFields(giver="Anna Berg", taker=taker, medium="m"))


def test_a_recall_of_a_key_names_bundles_tags_and_who_pulled_them(released: Inside, bundle: SmallBundle) -> None:
    artifact = next(one for one in bundle.artifacts if one.repository == "files/thing")
    detail = {"from": "192.0.2.7", "reference": "1", "count": 3}
    thing = f"files/thing@{artifact.digest}"
    released.station.audit.record(AuditEvent("pull", "cluster", thing, "done", detail))
    released.station.audit.record(AuditEvent("pull", "other", "files/unrelated@sha256:00", "done", detail))
    found = msgspec.to_builtins(recall(released.station.reader, released.station.paths, bundle.key.public.keyid))
    assert [(one["id"], one["state"], one["as"]) for one in found["bundles"]] == [(NAME, "released", "signed it")]
    assert {one["reference"]: one["shown"] for one in found["tags"]}["files/thing:1"] == "yes"
    assert [(one["actor"], one["count"], one["from"]) for one in found["pulls"]] == [("cluster", 3, ("192.0.2.7",))]


def test_a_recall_of_an_artifact_names_only_what_it_became(released: Inside, bundle: SmallBundle) -> None:
    artifact = next(one for one in bundle.artifacts if one.repository == "files/thing")
    found = msgspec.to_builtins(recall(released.station.reader, released.station.paths, artifact.digest))
    assert [one["reference"] for one in found["tags"]] == ["files/thing:1"]
    released.withdraw(NAME)
    assert [
        one["shown"]
        for one in msgspec.to_builtins(recall(released.station.reader, released.station.paths, artifact.digest))["tags"]
    ] == ["no"]


def test_a_recall_of_what_nobody_brought_says_so(released: Inside) -> None:
    with pytest.raises(NotFoundError, match="no bundle"):
        recall(released.station.reader, released.station.paths, "0" * 16)


def test_counted_pulls_are_written_when_their_hour_is_over_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    pulls = Pulls(lambda: moment)

    def pull(actor: str) -> bool:
        return pulls.note(actor, "a@sha256:1", "192.0.2.7", "v1") is not None

    def due(**how: bool) -> list[tuple[str, object]]:
        return [(one.actor, one.detail["count"]) for one in pulls.due(**how)]

    assert [pull("cluster"), pull("cluster"), pulls.again("cluster", "a@sha256:1", "192.0.2.7")] == [True, False, True]
    assert not pulls.again("other", "a@sha256:1", "192.0.2.7")
    moment = limits.AUDIT_PULLS - 1
    assert [pull("other"), due()] == [True, []]
    moment += 2
    assert due() == [("cluster", 2)]
    assert [pull("cluster"), pull("other"), due()] == [True, False, []]
    assert [due(all_of_them=True), due(all_of_them=True)] == [[("other", 1)], []]
    monkeypatch.setattr(limits, "AUDIT_PULLED", 1)
    assert [pull("one"), pull("one"), pull("two")] == [True, False, True]
    assert due() == [("one", 1)]  # the oldest is forgotten, its count is not


def test_a_clients_pulls_are_one_event_and_a_count() -> None:
    pulls = Pulls()
    first = pulls.note("cluster", "a@sha256:1", "192.0.2.7", "v1")
    assert first is not None
    assert first.detail["count"] == 1
    assert [pulls.note("cluster", "a@sha256:1", "192.0.2.7", "v1") for _ in range(5)] == [None] * 5
    assert pulls.note("other", "a@sha256:1", "192.0.2.7", "v1") is not None
