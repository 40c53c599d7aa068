"""A key rotation from the station that makes it, in a bundle, to the trust folder of another: by two people, never
silently."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.rotations import accepting, making
from appliance.rotations.folder import ACCEPTED, CAME, MADE, ids, load
from appliance.store.reads.intake import find_entry, report_text
from bundles import build
from bundles.documents import signed
from bundles.documents.rotation_carried import CarriedRotation, of_manifest, to_extension
from bundles.errors import FORK, GAP, ROLLBACK, MalformedError, RefusedError, UsageError
from bundles.format.manifest import ROTATIONS_EXTENSION
from bundles.signing.keys import PrivateKey, create_private, save_private
from bundles.signing.pinning import revoke_key
from bundles.signing.trust import TrustFolder
from tests.bundles.small import MemoryStore, manifest_of
from tests.intake.inside import Inside, carry, name_of
from tests.outgoing.outside import Outside


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with Outside(tmp_path / "alpha") as station:
        yield station


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo") as station:
        yield station


def made(outside: Outside, old: PrivateKey, new: PrivateKey, *, sign: bool = True) -> CarriedRotation:
    """A key rotation of alpha, signed by both keys."""
    kept = making.make(outside.root, [(old.public.keyid, new.public)], (), "each year", 30)
    for key in (old, new) if sign else ():
        kept = making.sign(outside.root, kept.id, key)
    return kept


def keyids(inside: Inside) -> set[str]:
    return {one.keyid for one in TrustFolder.load(inside.station.paths.trust).records if "bundle" in one.purposes}


def test_a_bundle_carries_it_and_two_people_change_what_is_pinned(
    outside: Outside, inside: Inside, tmp_path: Path
) -> None:
    new = create_private()
    save_private(outside.station.paths.keys / "next.pem", new, None)
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    references = outside.collect({"kind": "file", "path": str(file)})
    inside.trust(outside.key.public, owner="Anna")
    made(outside, outside.key, new)
    folder = outside.build(tmp_path / "medium", *references)["path"]
    inside.bring(Path(folder))
    before = keyids(inside)
    assert before == {outside.key.public.keyid}

    section = integrity(inside)
    (said,) = section.details["key_rotations"]
    assert (section.outcome, said["id"], said["state"]) == ("note", "alpha-000001", "waits")
    assert new.public.keyid in said["why"]
    assert inside.events("key.rotation-take")[-1]["thing"] == "alpha-000001"

    anna, boris = inside.officer("Rita"), inside.officer("Boris")
    assert not accepting.accept(inside.root, "alpha-000001", anna).applied
    assert keyids(inside) == before
    with pytest.raises(UsageError, match="the same person"):
        accepting.accept(inside.root, "alpha-000001", anna_again(inside))
    assert accepting.accept(inside.root, "alpha-000001", boris).applied
    assert keyids(inside) == {outside.key.public.keyid, new.public.keyid}
    trust = TrustFolder.load(inside.station.paths.trust)
    record, old = trust.find(new.public.keyid), trust.find(outside.key.public.keyid)
    assert record is not None
    assert old is not None
    assert (record.owner, record.sites, record.purposes) == ("Anna", ("alpha",), ("bundle",))
    assert old.not_after is not None
    assert clock.now() < old.not_after <= clock.after(31 * 24 * 3600)
    (event,) = inside.events("key.rotation-apply")
    assert sorted(event["detail"]["owners"]) == ["Boris", "Rita"]
    assert event["detail"]["follows"] == {outside.key.public.keyid: new.public.keyid}
    assert (ids(inside.station.paths, CAME), ids(inside.station.paths, ACCEPTED)) == ([], ["alpha-000001"])
    assert len(load(inside.station.paths, ACCEPTED, "alpha-000001").acceptances) == 2

    outside.key = new  # the next bundle is signed by the new key alone, and carries what was accepted
    folder = outside.build(tmp_path / "second", *references)["path"]
    inside.bring(Path(folder))
    assert inside.state(name_of(2)) == "quarantined"
    assert ids(inside.station.paths, CAME) == []
    assert "key_rotations" not in integrity(inside, 2).details


def integrity(inside: Inside, sequence: int = 1) -> signed.Section:
    """The section of a bundle's report."""
    text = report_text(inside.station.reader, find_entry(inside.station.reader, name_of(sequence)).digest)
    assert text is not None
    report = signed.decode(text.encode(), signed.Report)
    return next(one for one in report.sections if one.inspector == "integrity")


def anna_again(inside: Inside) -> PrivateKey:
    """Another key of the person who accepted first."""
    return inside.officer("Rita")


def bring(inside: Inside, tmp_path: Path, *carried: CarriedRotation, sequence: int = 1, **extension: object) -> None:
    store = MemoryStore()
    bundle = carry(
        tmp_path / f"medium {sequence}", store, [], sequence=sequence,
        extensions=extension or to_extension(carried), previous=None,
    )  # fmt: skip
    inside.trust(bundle.key.public, owner=f"Engineer {sequence}")
    inside.bring(bundle.folder)


def test_what_another_site_made_is_not_kept_of_a_bundle(outside: Outside, inside: Inside, tmp_path: Path) -> None:
    one = made(outside, outside.key, create_private())
    other = CarriedRotation(one.raw.replace(b'"site":"alpha"', b'"site":"gamma"'), one.files)
    bring(inside, tmp_path, other)
    assert ids(inside.station.paths, CAME) == []
    assert accepting.describe(inside.station.paths, "alpha", other)["state"] == "refused"


def test_a_bundle_whose_rotations_are_malformed_comes_in_and_its_report_says_so(inside: Inside, tmp_path: Path) -> None:
    bring(inside, tmp_path, **{ROTATIONS_EXTENSION: [{"document": "x"}]})
    (said,) = integrity(inside).details["key_rotations"]
    assert (said["state"], ids(inside.station.paths, CAME)) == ("refused", [])


@pytest.mark.parametrize(
    "signatures", [{"x.sig": "eA=="}, {f"{'0' * 16}.sig": "eA"}, {f"{'0' * 16}.sig": "eB=="}, {f"{'0' * 16}.sig": ""},
                   {f"{'0' * 16}.sig": " eA=="}, {f"{'0' * 16}.cms": "eA=="}],
)  # fmt: skip
def test_a_signature_in_a_manifest_has_one_form(signatures: dict[str, str]) -> None:
    extension = {ROTATIONS_EXTENSION: [{"document": "x", "signatures": signatures}]}
    with pytest.raises(MalformedError):
        of_manifest(manifest_of(build.Content([], []), build.LaidOut([], []), [], extensions=extension))


@pytest.fixture
def people(inside: Inside) -> tuple[PrivateKey, PrivateKey]:
    return inside.officer("Rita"), inside.officer("Boris")


def test_an_older_one_and_a_fork_are_refused_and_nothing_changes(
    outside: Outside, inside: Inside, people: tuple[PrivateKey, PrivateKey], tmp_path: Path
) -> None:
    second = create_private()
    inside.trust(outside.key.public, owner="Anna")
    first = made(outside, outside.key, second)
    shutil.copytree(outside.station.paths.rotations, tmp_path / "copy")
    save_private(outside.station.paths.keys / "second.pem", second, None)
    other = made(outside, second, create_private())
    name = accepting.take(inside.root, first).id
    with pytest.raises(RefusedError, match="nobody who counts here"):
        accepting.take(inside.root, other)
    for key in people:
        accepting.accept(inside.root, name, key)
    pinned = keyids(inside)
    for key in people:
        with pytest.raises(UsageError):
            accepting.accept(inside.root, name, key)
    with pytest.raises(RefusedError) as refused:
        accepting.take(inside.root, first)
    assert refused.value.code == ROLLBACK
    accepting.take(inside.root, other)
    shutil.rmtree(outside.station.paths.rotations)  # the outside's copy went back: it makes another number 1, then a 2
    forked = made(outside, second, create_private())
    with pytest.raises(RefusedError) as refused:
        accepting.take(inside.root, forked)
    assert refused.value.code == FORK
    again = made(outside, second, create_private())
    with pytest.raises(RefusedError) as refused:
        accepting.take(inside.root, again)
    assert (refused.value.code, keyids(inside)) == (FORK, pinned)


def test_one_that_comes_before_another_waits_for_it(
    outside: Outside, inside: Inside, people: tuple[PrivateKey, PrivateKey]
) -> None:
    second, third = create_private(), create_private()
    save_private(outside.station.paths.keys / "second.pem", second, None)
    inside.trust(outside.key.public, owner="Anna")
    documents = [
        made(outside, outside.key, second),
        made(outside, outside.key, third),
    ]
    for key in people:
        accepting.accept(inside.root, accepting.take(inside.root, documents[0]).id, key)
    fourth = made(outside, outside.key, create_private())
    with pytest.raises(RefusedError) as refused:
        accepting.accept(inside.root, accepting.take(inside.root, fourth).id, people[0])
    assert refused.value.code == GAP
    accepting.take(inside.root, documents[1])
    with pytest.raises(RefusedError, match="alpha-000002 first"):
        accepting.accept(inside.root, fourth.id, people[0])


def test_a_key_that_was_revoked_between_two_words_makes_no_second_person(
    outside: Outside, inside: Inside, people: tuple[PrivateKey, PrivateKey]
) -> None:
    inside.trust(outside.key.public)
    name = accepting.take(inside.root, made(outside, outside.key, create_private())).id
    accepting.accept(inside.root, name, people[0])
    revoke_key(inside.station.paths.trust, people[0].public.keyid, why="stolen", at=clock.now())
    assert not accepting.accept(inside.root, name, people[1]).applied


def test_an_acceptance_is_over_one_document_at_one_station(
    outside: Outside, inside: Inside, people: tuple[PrivateKey, PrivateKey]
) -> None:
    """The files of one, laid beside another of the same number, count for nothing."""
    inside.trust(outside.key.public)
    name = accepting.take(inside.root, made(outside, outside.key, create_private())).id
    accepting.accept(inside.root, name, people[0])
    folder = inside.station.paths.rotations / CAME
    acceptance = {one.name: one.read_bytes() for one in folder.iterdir() if ".accepted." in one.name}
    shutil.rmtree(outside.station.paths.rotations)
    accepting.take(inside.root, made(outside, outside.key, create_private()))
    assert not [one for one in folder.iterdir() if ".accepted." in one.name]
    for file, data in acceptance.items():
        (folder / file).write_bytes(data)
    assert not accepting.accept(inside.root, name, people[1]).applied


@pytest.mark.parametrize("purpose", ["bundle", "image"])
def test_who_accepts_has_a_release_key(outside: Outside, inside: Inside, purpose: str) -> None:
    inside.trust(outside.key.public)
    key = create_private()
    inside.trust(key.public, purpose, "Mallory")
    name = accepting.take(inside.root, made(outside, outside.key, create_private())).id
    with pytest.raises(RefusedError, match="does not count"):
        accepting.accept(inside.root, name, key)
    with pytest.raises(RefusedError, match="unknown"):
        accepting.accept(inside.root, name, create_private())


def test_one_that_is_not_signed_by_its_keys_is_not_carried_and_stops_the_next(outside: Outside) -> None:
    paths = outside.station.paths
    made(outside, outside.key, create_private())
    second = made(outside, outside.key, create_private(), sign=False)
    assert [one.id for one in making.carried(paths)] == ["alpha-000001"]
    with pytest.raises(UsageError, match="before is not signed"):
        made(outside, outside.key, create_private())
    with pytest.raises(RefusedError, match="does not hold"):
        making.add_signature(outside.root, second.id, outside.key.public, b"x" * 70)  # type: ignore[attr-defined]
    assert not load(paths, MADE, second.id).files  # type: ignore[attr-defined]


def test_two_people_at_once_are_two(outside: Outside, inside: Inside, people: tuple[PrivateKey, PrivateKey]) -> None:
    inside.trust(outside.key.public)
    name = accepting.take(inside.root, made(outside, outside.key, create_private())).id
    found: list[bool] = []
    both = [
        threading.Thread(target=lambda key=key: found.append(accepting.accept(inside.root, name, key).applied))
        for key in people
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(found) == [False, True]
    assert Act.KEY_ROTATION_APPLY in {event["act"] for event in inside.events("key.rotation-apply")}
