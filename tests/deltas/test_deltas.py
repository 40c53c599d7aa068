"""A delta carries what the inside does not hold: by receipt, or by sequence; a wrong assumption is named and fixed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.outgoing.delta_base import base_of
from appliance.store.writes.deltas import VoidBundle
from bundles.documents.signed import Receipt, WantList, decode
from bundles.documents.statement import read_statement
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError
from bundles.format import manifest_codec
from bundles.format.manifest import BundleManifest
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road

STREAM = "alpha.bravo"
BASE, CHANGE, OTHER = os.urandom(700_000), os.urandom(3_000), os.urandom(5_000)


def manifest(folder: Path) -> BundleManifest:
    return manifest_codec.decode((folder / "manifest.json").read_bytes())


def carried(folder: Path) -> set[str]:
    return {blob.digest for blob in manifest(folder).blobs}


def required(folder: Path) -> set[str]:
    return {blob.digest for blob in manifest(folder).requires}


def of(data: bytes) -> str:
    return str(Digest.of(data))


def pinned(road: Road, holder: str) -> set[str]:
    rows = road.inside.station.reader.execute("SELECT digest FROM pins WHERE bundle = ?", (holder,))
    return {digest for (digest,) in rows}


def held(road: Road, reference: str) -> bool:
    """Whether the inside shows the very artifact that the outside shows."""
    parsed = Reference.parse(reference)
    facts = road.inside.station.metadata.tagged_manifest(parsed.repository, parsed.tag or "")
    return facts is not None and facts.digest == road.outside.shows(reference)


def test_by_receipt_only_the_change_is_carried(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    changed = road.make("2", base=BASE, change=CHANGE)
    folder = road.build(changed, since=str(road.receipt()))
    assert of(CHANGE) in carried(folder)
    assert of(BASE) in required(folder)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 50_000
    road.release(folder)
    assert held(road, changed)


def test_by_sequence_what_earlier_bundles_carried_is_taken_to_be_inside(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    changed = road.make("2", base=BASE, change=CHANGE)
    folder = road.build(changed, since="last")
    assert of(BASE) in required(folder)
    road.release(folder)
    assert held(road, changed)


def test_a_stream_s_first_bundle_is_full_whatever_it_is_to_stand_on(road: Road) -> None:
    folder = road.build(road.make("1", base=BASE), since="last")
    assert not required(folder)
    assert road.bring(folder)


def test_a_delta_of_nothing_new_still_sets_its_tags(road: Road) -> None:
    first = road.make("1", base=BASE)
    road.release(road.build(first))
    folder = road.build(first, since="last")
    assert not carried(folder)
    road.release(folder)
    assert held(road, first)


def test_a_receipt_counts_what_it_lists_and_last_adds_what_came_since(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    receipt = road.receipt()
    road.build(road.make("2", base=BASE, change=CHANGE), since=str(receipt))
    third = road.make("3", base=BASE, change=CHANGE, other=OTHER)
    assert {of(BASE), of(CHANGE)} <= required(road.build(third, since="last"))
    assert of(CHANGE) not in required(road.build(third, since=str(receipt)))


def test_a_receipt_only_of_sequences_names_no_blob_and_is_a_base_all_the_same(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    receipt = road.receipt(sequence_only=True)
    assert of(BASE) not in receipt.read_text()
    assert decode(receipt.read_bytes(), Receipt).blobs is None
    folder = road.build(road.make("2", base=BASE, change=CHANGE), since=str(receipt))
    assert of(BASE) in required(folder)
    assert road.bring(folder)


def test_a_receipt_that_was_superseded_is_a_replay(road: Road) -> None:
    first, second = road.receipt(), road.receipt()
    reference = road.make("1", base=BASE)
    road.build(reference, since=str(second))
    with pytest.raises(RefusedError, match="replay"):
        road.build(reference, since=str(first))
    with pytest.raises(RefusedError, match="replay"):
        base_of(road.outside.station, STREAM, str(first), read_statement(first))


def test_a_receipt_that_was_changed_is_refused(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    receipt = road.receipt()
    receipt.write_bytes(receipt.read_bytes().replace(of(BASE).encode(), of(CHANGE).encode()))
    with pytest.raises(RefusedError, match="signature does not hold"):
        road.build(road.make("2", base=BASE, change=CHANGE), since=str(receipt))


def test_a_receipt_by_a_key_that_is_not_trusted_for_it_is_refused(road: Road) -> None:
    receipt = road.receipt()
    signature = next(receipt.parent.glob(f"{receipt.name}.*.sig"))
    signature.rename(receipt.parent / f"{receipt.name}.{road.outside.key.public.keyid}.sig")
    with pytest.raises(RefusedError, match="unknown"):
        road.build(road.make("1", base=BASE), since=str(receipt))


def test_what_a_receipt_states_is_kept_until_a_bundle_stands_on_a_later_one(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    road.receipt()
    assert of(BASE) in pinned(road, "receipt:1")
    second = road.receipt()
    assert of(BASE) in pinned(road, "receipt:1")
    road.release(road.build(road.make("2", base=BASE, change=CHANGE), since=str(second)))
    assert not pinned(road, "receipt:1")
    assert of(BASE) in pinned(road, "receipt:2")


def test_a_quarantined_delta_keeps_what_it_requires(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    folder = road.build(road.make("2", base=BASE, change=CHANGE), since="last")
    road.bring(folder)
    holder = road.inside.station.reader.execute("SELECT digest FROM intake WHERE state = 'quarantined'").fetchone()[0]
    assert of(BASE) in pinned(road, holder)


def wrong(road: Road) -> tuple[str, Path]:
    """A delta by sequence onto an inside that has lost its base: the reference, and the want-list."""
    road.release(road.build(road.make("1", base=BASE, other=OTHER)))
    road.lose(of(BASE))
    changed = road.make("2", base=BASE, other=OTHER, change=CHANGE)
    before = road.inside.everything()
    with pytest.raises(FailedError, match="stands on blobs that are not here") as caught:
        road.bring(road.build(changed, since="last"))
    assert of(BASE) in caught.value.thing
    assert road.inside.everything() == before
    return changed, road.inside.station.paths.wants / "alpha.bravo-000002.wants"


def test_a_wrong_assumption_is_named_in_a_want_list(road: Road) -> None:
    _, wants = wrong(road)
    document = decode(wants.read_bytes(), WantList)
    assert [blob.digest for blob in document.blobs] == [of(BASE)]
    assert document.bundle == "alpha.bravo-000002"


def test_the_next_plan_reads_the_want_list_and_carries_just_what_was_missing(road: Road) -> None:
    changed, wants = wrong(road)
    folder = road.build(changed, since=str(wants))
    assert {of(BASE), of(CHANGE)} <= carried(folder)
    assert of(OTHER) in required(folder)
    assert manifest(folder).voided == [2]
    road.release(folder)
    assert held(road, changed)


def test_a_want_list_is_taken_once_and_counts_for_later_plans_too(road: Road) -> None:
    changed, wants = wrong(road)
    road.build(changed, since=str(wants))
    again = road.build(road.make("3", base=BASE, other=OTHER), since=str(wants))
    assert manifest(again).sequence == 4
    assert manifest(again).voided == [2]
    assert road.outside.bundles()["alpha.bravo-000003"] == "written"


def test_a_base_that_rotted_is_wanted_too_and_nothing_is_admitted(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    path = road.inside.station.paths.blob(Digest.parse(of(BASE)))
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    before = road.inside.visible()
    with pytest.raises(FailedError, match="not here"):
        road.bring(road.build(road.make("2", base=BASE, change=CHANGE), since="last"))
    wants = road.inside.station.paths.wants / "alpha.bravo-000002.wants"
    assert [blob.digest for blob in decode(wants.read_bytes(), WantList).blobs] == [of(BASE)]
    assert road.inside.visible() == before


def test_a_bundle_lost_on_its_way_is_voided_and_the_next_names_it(road: Road) -> None:
    road.release(road.build(road.make("1", base=BASE)))
    road.build(road.make("2", base=BASE, other=OTHER), since="last")
    road.outside.writer.submit(VoidBundle(id="alpha.bravo-000002"))
    third = road.make("3", base=BASE, other=OTHER, change=CHANGE)
    folder = road.build(third, since="last")
    assert manifest(folder).voided == [2]
    assert of(OTHER) in carried(folder)
    road.release(folder)
    assert held(road, third)


def test_only_a_signed_bundle_can_be_voided(road: Road) -> None:
    with pytest.raises(NotFoundError, match="no signed bundle"):
        road.outside.writer.submit(VoidBundle(id="alpha.bravo-000001"))


def test_a_voided_bundle_that_came_in_after_all_counts_again(road: Road) -> None:
    first = road.build(road.make("1", base=BASE))
    road.outside.writer.submit(VoidBundle(id="alpha.bravo-000001"))
    road.release(first)
    folder = road.build(road.make("2", base=BASE, change=CHANGE), since=str(road.receipt()))
    assert road.outside.bundles()["alpha.bravo-000001"] == "written"
    road.release(folder)


def test_what_does_not_count_changes_nothing(road: Road) -> None:
    reference = road.make("1", base=BASE)
    for since in (str(road.root / "nothing"), str(road.outside.station.paths.config)):
        with pytest.raises(LockgateError):
            road.build(reference, since=since)
    assert road.outside.station.reader.execute("SELECT count(*) FROM receipts_taken").fetchone() == (0,)
    assert set(road.outside.bundles().values()) <= {"voided"}
