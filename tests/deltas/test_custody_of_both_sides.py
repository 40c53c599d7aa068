"""A receipt carries the inside's audit head and its part of each bundle's custody; the outside joins it to its own."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.reading import newest
from appliance.custody import record as custody
from appliance.limits import intake as limits
from appliance.outgoing.delta_base import take_files
from appliance.store.reads.intake import find_entry
from appliance.store.writes.custody import HandOver
from bundles.documents import custody_form, signed
from bundles.documents.custody import CustodyPart
from bundles.documents.signed import Receipt
from bundles.documents.statement import read_statement
from bundles.errors import MalformedError, RefusedError
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private, load_private
from bundles.signing.pinning import trust_key
from bundles.signing.signature_files import files_of
from tests.deltas.conftest import Road


def told(path: Path) -> Receipt:
    return signed.decode(path.read_bytes(), Receipt)


def record(road: Road, name: str) -> dict[str, object]:
    station = road.outside.station
    return dict(msgspec.to_builtins(custody.record_of(station, name, None, checkpoint_of(road))))


def checkpoint_of(road: Road) -> str:
    return "1-" + "0" * 64  # the outside of these tests has no audit key; its head is not what is looked at


def hand_over(station: object, name: str, giver: str, taker: str) -> None:
    station.writer.submit(  # type: ignore[attr-defined]
        HandOver(bundle=name, giver=giver, taker=taker, medium="USB-7", serial="S1", seal="0042", note="", actor="x",
                 at=clock.now())
    )  # fmt: skip


@pytest.fixture
def name(road: Road) -> str:
    """A bundle that went all the way."""
    folder = road.build(road.make("1", a=b"one"))
    hand_over(road.outside, folder.name, "Builder", "Courier")
    name = road.release(folder)
    hand_over(road.inside, name, "Courier", "Operator")
    return name


def test_a_receipt_has_the_logs_head_and_what_happened_to_each_bundle(road: Road, name: str) -> None:
    receipt = told(road.receipt())
    (part,) = receipt.custody or []
    entry = find_entry(road.inside.station.reader, name)
    assert (part.bundle, part.digest, part.state) == (name, entry.digest, "released")
    assert [step.state for step in part.steps] == [
        "received", "verified", "quarantined", "inspected", "approved", "released",
    ]  # fmt: skip
    assert [(one.owner, one.decision) for one in part.decisions] == [("Officer", "approve")]
    assert [(one.giver, one.seal) for one in part.handovers] == [("Courier", "0042")]
    heads = (road.inside.station.paths.audit / "checkpoints.jsonl").read_text().count("\n")
    assert receipt.head.partition("-")[0] == str(heads)


def test_the_outside_joins_it_to_its_own_record(road: Road, name: str) -> None:
    assert record(road, name)["other"] is None
    path = road.receipt()
    taken = take_files(road.outside.station, read_statement(path), "tester(0)")
    assert (taken.new, taken.custody, taken.head) == (True, (name,), told(path).head)
    assert take_files(road.outside.station, read_statement(path), "tester(0)").new is False
    joined = record(road, name)
    assert joined["made"]["source"] == "alpha"  # type: ignore[index]
    assert [one["giver"] for one in joined["handovers"]] == ["Builder"]  # type: ignore[attr-defined, index]
    other = joined["other"]
    assert isinstance(other, dict)
    assert (other["site"], other["state"], other["head"]) == ("bravo", "released", told(path).head)
    assert other["receipt"]["owner"] == "Bravo"
    timeline = [(one["site"], one["what"]) for one in joined["timeline"]]  # type: ignore[attr-defined, index]
    assert ("alpha", "bundle.build") in timeline
    assert timeline.index(("alpha", "bundle.build")) < timeline.index(("bravo", "received"))
    for side in ("alpha", "bravo"):
        assert (side, "handed over") in timeline
    form, page = custody_form.as_text(joined), custody_form.as_html(joined)
    for said in ("THE OTHER SIDE", "Builder to Courier", "Courier to Operator", "approve signed", told(path).head):
        assert said in form
        assert said.lower() in page.lower()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE custody_taken SET document = replace(document, 'Officer', 'Mallory')",
        "UPDATE custody_taken SET document = replace(document, 'released', 'rejected')",
        "UPDATE custody_taken SET head = '1-' || substr(head, 3)",
        "UPDATE custody_taken SET keyid = '0123456789abcdef'",
        "UPDATE custody_taken SET number = 9, receipt = 'sha256:' || hex(zeroblob(32))",
    ],
)
def test_the_other_sides_part_is_what_was_taken_or_no_record_is_given(road: Road, name: str, edit: str) -> None:
    take_files(road.outside.station, read_statement(road.receipt()), "tester(0)")
    assert record(road, name)["other"]
    with closing(sqlite3.connect(road.outside.station.paths.database)) as intruder, intruder:
        intruder.execute(edit)
    with pytest.raises(RefusedError, match="changed in the database"):
        record(road, name)


def test_the_other_sides_head_stands_in_this_sides_audit_log(road: Road, name: str) -> None:
    path = road.receipt()
    take_files(road.outside.station, read_statement(path), "tester(0)")
    event = next(one for one in newest(road.outside.station.paths.audit) if one["act"] == "receipt.take")
    assert event["detail"]["head"] == told(path).head


def test_the_latest_receipt_has_the_last_word(road: Road, name: str) -> None:
    take_files(road.outside.station, read_statement(road.receipt()), "tester(0)")
    road.inside.withdraw(name)
    take_files(road.outside.station, read_statement(road.receipt()), "tester(0)")
    other = record(road, name)["other"]
    assert isinstance(other, dict)
    assert (other["state"], other["steps"][-1]["note"]) == ("withdrawn", "recalled")


def test_a_receipt_of_sequences_alone_tells_nothing_of_custody(road: Road, name: str) -> None:
    receipt = told(road.receipt(sequence_only=True))
    assert (receipt.custody, receipt.blobs) == (None, None)
    assert receipt.head


def test_a_bundle_is_told_again_until_a_bundle_is_built_on_a_receipt_that_tells_it(
    road: Road, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [part.bundle for part in told(road.receipt()).custody or []] == [name]
    later = clock.after(60)
    monkeypatch.setattr(clock, "now", lambda: later)
    second = road.receipt()
    assert [part.bundle for part in told(second).custody or []] == [name]  # the first may have been lost
    reached = clock.after(120)
    monkeypatch.setattr(clock, "now", lambda: reached)
    built_on_it = road.release(road.build(road.make("2", a=b"one", b=b"two"), since=str(second)))
    assert [part.bundle for part in told(road.receipt()).custody or []] == [built_on_it]


def test_very_many_bundles_are_told_the_latest_first(road: Road, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECEIPT_CUSTODY", 1)
    second = road.release(road.build(road.make("2", a=b"two")))
    hand_over(road.inside, second, "Courier", "Operator")
    assert len(told(road.receipt()).custody or []) == 1


def forged(road: Road, path: Path, **changes: object) -> Path:
    """The receipt with a bundle's part changed, signed by the inside's own key."""
    fields = json.loads(path.read_bytes())
    fields["custody"][0] |= changes
    fields["number"] += 1
    fields["previous"] = str(Digest.of(path.read_bytes()))
    raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    key = load_private(road.inside.station.paths.keys / "receipt.pem", None)
    out = path.with_name(f"{path.name}-forged")
    out.write_bytes(raw)
    for file, data in files_of(out.name, key.public.keyid, key.sign(raw)).items():
        out.with_name(file).write_bytes(data)
    return out


def test_a_receipt_about_another_bundle_of_this_number_is_refused_whole(road: Road, name: str) -> None:
    path = road.receipt()
    changed = read_statement(forged(road, path, digest="sha256:" + "0" * 64))
    with pytest.raises(RefusedError, match="another bundle of this number"):
        take_files(road.outside.station, changed, "tester(0)")
    assert record(road, name)["other"] is None


def test_a_receipt_that_was_changed_is_refused(road: Road, name: str) -> None:
    path = road.receipt()
    path.write_bytes(path.read_bytes().replace(b"Courier", b"Nobody1"))
    with pytest.raises(RefusedError, match="does not hold"):
        take_files(road.outside.station, read_statement(path), "tester(0)")


PART = CustodyPart(bundle="alpha.bravo-000001", digest="sha256:" + "1" * 64, state="released", steps=[], decisions=[],
                   handovers=[])  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([{"bundle": "alpha.charlie-000001"}], "does not lead here"),
        ([{"bundle": "../x"}], "does not lead here"),
        ([{}, {}], "out of order"),
        ([{"digest": "sha512:" + "1" * 128}], "not a sha256"),
        ([{"steps": [{"state": "x", "at": "yesterday", "actor": "", "note": ""}]}], "time"),
        ([{"steps": [{"state": "x", "at": "2026-01-01T00:00:00Z", "actor": "", "note": "x" * 2_001}]}], "too long"),
    ],
)
def test_a_part_that_is_none_is_not_read(parts: list[dict[str, object]], said: str) -> None:
    made = [msgspec.convert(msgspec.to_builtins(PART) | part, CustodyPart) for part in parts]
    receipt = Receipt(site="bravo", number=1, previous=None, created="2026-01-01T00:00:00Z", streams=[], blobs=[],
                      custody=made)  # fmt: skip
    with pytest.raises(MalformedError, match=said):
        signed.encode(receipt)


def test_a_head_that_is_none_is_not_read() -> None:
    times = {"created": "2026-01-01T00:00:00Z", "previous": None}
    with pytest.raises(MalformedError, match="not a head"):
        signed.encode(Receipt(site="bravo", number=1, streams=[], blobs=[], head="x", **times))


def test_the_outsides_record_names_a_co_signer_before_and_after_it_signed(road: Road, tmp_path: Path) -> None:
    station, second = road.outside.station, create_private()
    trust_key(station.paths.trust, second.public, purpose="bundle", owner="Second", sites=["alpha"])
    keyid = second.public.keyid
    (tmp_path / "medium").mkdir()
    built = road.outside.build(tmp_path / "medium", road.make("1", a=b"one"), cosigners=[keyid])

    def notes() -> dict[str, tuple[str, str]]:
        found = record(road, str(built["id"]))["signatures"]
        assert isinstance(found, tuple)
        return {one["keyid"]: (one["owner"], one["note"]) for one in found}

    assert len(notes()) == 2
    assert notes()[keyid] == ("Second", "named as a signer; this station has not seen its signature")
    said = {"keyid": keyid, "folder": "/media/usb", "digest": built["digest"]}
    station.audit.record(AuditEvent(Act.BUNDLE_SIGN, "second(1000)", str(built["id"]), "done", said))
    assert notes()[keyid] == ("Second", "")
    assert {note for _, note in notes().values()} == {""}
