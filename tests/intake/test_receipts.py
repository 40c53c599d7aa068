"""A receipt states what the inside shows and where each stream stands; numbered, chained, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.intake import receipts
from appliance.store.writes.intake import AddReceipt, ResetStream
from bundles.documents import signed
from bundles.documents.signed import Receipt
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.signing.keys import load_private
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder
from tests.bundles.small import SmallBundle
from tests.intake.inside import Inside, name_of


def read(path: Path) -> Receipt:
    return signed.decode(path.read_bytes(), Receipt)


def released(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())


def test_a_receipt_lists_what_is_released(inside: Inside, bundle: SmallBundle, tmp_path: Path) -> None:
    released(inside, bundle)
    inside.receipt(tmp_path / "r1")
    receipt = read(tmp_path / "r1")
    assert {held.digest: held.size for held in receipt.blobs} == {
        str(digest): len(data) for digest, data in bundle.store.blobs.items()
    }
    (head,) = receipt.streams
    assert (head.stream, head.sequence, head.digest) == ("alpha.bravo", 1, str(Digest.of(bundle.signed.sums)))


def test_what_is_in_quarantine_is_not_held(inside: Inside, bundle: SmallBundle, tmp_path: Path) -> None:
    inside.bring(bundle.folder)
    inside.receipt(tmp_path / "r1")
    receipt = read(tmp_path / "r1")
    assert receipt.blobs == []
    assert receipt.streams[0].sequence == 1


def test_receipts_are_numbered_and_each_names_the_one_before(inside: Inside, tmp_path: Path) -> None:
    results = [inside.receipt(tmp_path / f"r{number}") for number in (1, 2)]
    assert [result["number"] for result in results] == [1, 2]
    assert read(tmp_path / "r1").previous is None
    assert read(tmp_path / "r2").previous == str(Digest.of((tmp_path / "r1").read_bytes()))


def test_the_stations_receipt_key_signs(inside: Inside, tmp_path: Path) -> None:
    result = inside.receipt(tmp_path / "r1")
    key = load_private(inside.station.paths.keys / "receipt.pem", None)
    assert result["keyid"] == key.public.keyid
    raw, signature = (tmp_path / "r1").read_bytes(), (tmp_path / f"r1.{key.public.keyid}.sig").read_bytes()
    outside = tmp_path / "outside"
    init_trust(outside, "alpha")
    trust_key(outside, key.public, purpose="receipt", owner="Bravo", sites=["bravo"])
    trust = TrustFolder.load(outside)
    signer = signed.check_signature(raw, key.public.keyid, signature, trust, at=clock.now(), site="bravo")
    assert signer.owner == "Bravo"
    with pytest.raises(RefusedError):
        signed.check_signature(raw, key.public.keyid, signature, trust, at=clock.now(), site="charlie")


def test_a_job_that_is_run_again_states_the_same_under_the_same_number(inside: Inside, tmp_path: Path) -> None:
    first = inside.receipt(tmp_path / "r1", job_id="the-job")
    raw = (tmp_path / "r1").read_bytes()
    (tmp_path / f"r1.{first['keyid']}.sig").unlink()
    assert inside.receipt(tmp_path / "r1", job_id="the-job") == first
    assert (tmp_path / "r1").read_bytes() == raw
    assert inside.receipt(tmp_path / "r2")["number"] == 2


def test_a_file_that_is_there_is_left_alone_and_no_number_is_spent(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "r1").write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        inside.receipt(tmp_path / "r1")
    assert (tmp_path / "r1").read_text() == "mine"
    assert inside.receipt(tmp_path / "other")["number"] == 1


def test_an_export_that_is_killed_leaves_no_receipt_without_its_signature_and_the_command_works_again(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each of its writes in turn: a new job, as the same command starts one, then makes it whole."""
    write, out = receipts.write_atomic, tmp_path / "r1"
    for survived in range(3):
        left = [survived]

        def dying(path: Path, data: bytes, *rest: Any, left: list[int] = left, **named: Any) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            write(path, data, *rest, **named)

        monkeypatch.setattr(receipts, "write_atomic", dying)
        with pytest.raises(KeyboardInterrupt):
            inside.receipt(out, job_id=f"killed-{survived}")
        assert not out.exists()
    monkeypatch.setattr(receipts, "write_atomic", write)
    made = inside.receipt(out, job_id="again")
    key = load_private(inside.station.paths.keys / "receipt.pem", None)
    assert key.public.verify(out.read_bytes(), out.with_name(f"r1.{made['keyid']}.sig").read_bytes())


def test_a_number_is_taken_once(inside: Inside) -> None:
    inside.writer.submit(AddReceipt(number=1, digest="sha256:a", document="{}", at=clock.now()))
    inside.writer.submit(AddReceipt(number=1, digest="sha256:a", document="{}", at=clock.now()))
    for number in (1, 3):
        with pytest.raises(FailedError, match="took the number"):
            inside.writer.submit(AddReceipt(number=number, digest="sha256:b", document="{}", at=clock.now()))


def test_a_floor_that_people_set_stands_in_the_receipt(inside: Inside, bundle: SmallBundle, tmp_path: Path) -> None:
    released(inside, bundle)
    inside.writer.submit(
        ResetStream(stream="alpha.bravo", sequence=7, digest="", why="lost", actor="x", at=clock.now())
    )
    inside.receipt(tmp_path / "r1")
    (head,) = read(tmp_path / "r1").streams
    assert (head.sequence, head.digest) == (7, "")


def test_a_floor_is_never_set_below_where_the_stream_is(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    with pytest.raises(RefusedError, match="already"):
        inside.writer.submit(
            ResetStream(stream="alpha.bravo", sequence=0, digest="", why="x", actor="x", at=clock.now())
        )


def test_an_export_is_one_event(inside: Inside, tmp_path: Path) -> None:
    inside.receipt(tmp_path / "r1")
    (event,) = inside.events("receipt.export")
    assert event["outcome"] == "done"
