"""Signatures cross from outside to inside as they are, whichever form they have, and are verified there.

What was signed by cosign (below tags; as bundles) and by notation is collected from a layout, built into a bundle,
imported, reported about and released; and the fallback indexes of an index and its children go along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.image_signatures.search import Search
from appliance.image_signatures.states import Found, worst
from appliance.lifecycle import log_replay
from appliance.release_check import replay
from appliance.release_check.log_record import read_log
from bundles.image_signatures.pins import Pins
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, Manifest, parse_manifest
from bundles.signing.trust import Revocation, TrustFolder
from tests.image_signatures.signer import INDEX, Layout
from tests.intake.inside import Inside, name_of
from tests.outgoing.outside import Outside

LEGACY, BUNDLE, NOTATION = Layout("legacy"), Layout("bundle"), Layout("notation")
CHILDREN = [child.digest for child in LEGACY.manifests[INDEX].manifests]


def fallback(digest: Digest) -> str:
    return f"sha256-{digest.hex}"


@dataclass
class Across:
    outside: Outside
    inside: Inside
    sections: dict[str, Any]

    def find(self, repository: str, pins: Pins | None = None, digest: Digest = INDEX) -> list[Found]:
        """What the inside finds about an artifact."""
        station = self.inside.station
        facts = station.metadata.linked_manifest(repository, digest)
        assert facts is not None
        known = pins or Pins.of(station.trust(), clock.now())
        return Search(station.blobs, station.metadata, repository, known).all_of(facts)

    def tags(self, repository: str) -> dict[str, Digest]:
        return {one.tag: one.digest for one in self.inside.station.metadata.tags(repository, 100)}


@pytest.fixture(scope="module")
def across(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Across]:
    """Released inside: three repositories of the tools' signatures."""
    root = tmp_path_factory.mktemp("across")
    with Outside(root / "alpha") as outside, Inside(root / "bravo", approvals_needed=1) as inside:
        references = []
        for layout in (LEGACY, BUNDLE, NOTATION):
            folder = layout.unpack(root)
            assert outside.collect_layout(folder, as_=f"vec/{folder.name}:1") == [f"vec/{folder.name}:1"]
            references.append(f"vec/{folder.name}:1")
        (root / "stick").mkdir()
        outside.build(root / "stick", *references)
        inside.trust(outside.key.public)
        inside.trust(LEGACY.cosign, "image", "Team Alpha")
        inside.trust(NOTATION.root, "image", "Notation Test")
        inside.bring(root / "stick" / name_of())
        inside.decide(name_of(), inside.officer())
        inside.release(name_of())
        (text,) = inside.station.reader.execute("SELECT report FROM intake_documents").fetchone()
        report = json.loads(text)
        yield Across(outside, inside, {one["inspector"]: one for one in report["sections"]})


def test_every_manifest_and_document_of_the_layouts_is_served_inside(across: Across) -> None:
    for layout in (LEGACY, BUNDLE, NOTATION):
        repository = f"vec/{next(iter(layout.files)).partition('/')[0]}"
        for digest in layout.store.blobs:
            assert across.inside.station.blobs.has_blob(digest)
        for digest in layout.manifests:
            assert across.inside.station.metadata.linked_manifest(repository, digest) is not None
        assert across.tags(repository) == layout.tags


def test_cosigns_and_notations_signatures_are_verified_inside(across: Across) -> None:
    for repository, formats in (("vec/legacy", {"cosign", "dsse"}), ("vec/bundle", {"sigstore-bundle"})):
        index, *children = across.find(repository)
        assert (index.digest, index.state, index.signed_by) == (INDEX, "signed", ["Team Alpha"])
        assert {one.format.value for one in index.verdicts if one.verified} == formats
        assert {one.digest for one in children} == set(CHILDREN)
        own = "signed" if repository == "vec/bundle" else "through-index"
        assert {one.state for one in children} == {own}
        assert {one.platform for one in children} == {"linux/amd64", "linux/arm64"}
        assert worst(across.find(repository)) == "signed"
    known = Pins.of(across.inside.station.trust(), "2026-11-29T12:00:00Z")
    assert across.find("vec/notation", known)[0].signed_by == ["Notation Test"]


def test_a_child_asked_for_alone_has_its_own_signatures_alone(across: Across) -> None:
    (alone,) = across.find("vec/legacy", digest=CHILDREN[0])
    assert (alone.state, alone.verdicts) == ("unsigned", ())
    (alone,) = across.find("vec/bundle", digest=CHILDREN[0])
    assert alone.state == "signed"


def test_the_report_says_of_each_image_who_signed_it(across: Across) -> None:
    section = across.sections["signatures"]
    details = section["details"]
    signed = {(one["image"], one["by"], one["format"]) for one in details["signed"]}
    assert (f"vec/legacy@{INDEX}", "Team Alpha", "cosign") in signed
    assert {(f"vec/bundle@{digest}", "Team Alpha", "sigstore-bundle") for digest in (INDEX, *CHILDREN)} <= signed
    assert {one["image"] for one in details["through_index"]} >= {f"vec/legacy@{digest}" for digest in CHILDREN}
    assert {one["predicate"] for one in details["attested"]} == {
        "https://cyclonedx.org/bom", "https://slsa.dev/provenance/v0.2",
    }  # fmt: skip
    # A fallback index is no image, and needs no signature. The certificate of Notation's vectors is valid for a day.
    assert {name.partition("@")[0] for name in details.get("unsigned", ())} <= {"vec/notation"}
    assert across.sections["differences"]["details"]["images_without_signature"] == []


def test_a_key_that_is_revoked_inside_verifies_nothing_from_then_on(across: Across) -> None:
    folder = across.inside.station.trust()
    gone = Revocation(at="2026-06-01T00:00:00Z", why="lost")
    records = tuple(replace(one, revoked=gone) if "image" in one.purposes else one for one in folder.records)
    known = Pins.of(TrustFolder("bravo", records), clock.now())
    found = across.find("vec/bundle", known)
    assert {one.state for one in found} == {"refused"}
    assert {verdict.refusal for one in found for verdict in one.verdicts} == {"key-revoked"}


def test_what_a_collect_attached_is_in_the_log(across: Across) -> None:
    events = {event["thing"]: event["detail"] for event in across.outside.events("collect")}
    detail = events["vec/legacy:1"]
    assert detail["attached"] == {tag: str(digest) for tag, digest in LEGACY.tags.items() if tag != "1"}
    assert set(detail["referrers"]) == set(detail["attached"].values())
    assert set(events["vec/bundle:1"]["attached"]) == {fallback(digest) for digest in (INDEX, *CHILDREN)}


def test_by_the_log_what_was_attached_stands_at_its_tags(across: Across) -> None:
    """A rebuild and the check of what is shown replay the log: neither forgets a signature's tag."""
    station = across.outside.station

    def read(digest: str) -> Manifest | None:
        with station.blobs.open_blob(Digest.parse(digest)) as file:
            return parse_manifest(file.read())

    logged = log_replay.replay(station.paths, read).repositories["vec/bundle"]
    assert {tag: digest for tag, (digest, _) in logged.tags.items()} == {
        tag: str(digest) for tag, digest in BUNDLE.tags.items()
    }
    shown = {digest for digest, kind in logged.links if kind == "manifest"}
    assert shown >= {str(one) for one in BUNDLE.manifests}
    log = read_log(station.paths, "alpha")
    standing = replay.replay(station.paths, log, station.blobs, station.reader).repositories["vec/legacy"]
    assert {tag: settings[-1][1] for tag, settings in standing.tags.items()} == {
        tag: str(digest) for tag, digest in LEGACY.tags.items()
    }


def test_a_layout_is_collected_by_its_images_and_what_is_attached_goes_along(across: Across, tmp_path: Path) -> None:
    """Whole, without a name; and a fallback index that lists what is not there stays behind."""
    folder = LEGACY.unpack(tmp_path)
    assert across.outside.collect_layout(folder) == ["legacy:1"]
    assert across.outside.shows(f"legacy:sha256-{INDEX.hex}.sig") is not None
    (folder / "blobs" / "sha256" / INDEX.hex).rename(tmp_path / "kept")
    named = json.loads((folder / "index.json").read_text())
    other = next(one for one in named["manifests"] if one["digest"] == str(INDEX))
    other |= {"mediaType": OCI_MANIFEST, "digest": str(CHILDREN[0]), "size": len(LEGACY.store.blobs[CHILDREN[0]])}
    (folder / "index.json").write_text(json.dumps(named))  # what is signed is not there, its signatures are
    alone = [f"legacy:sha256-{INDEX.hex}.{suffix}" for suffix in ("att", "sig")]
    assert sorted(across.outside.collect_layout(folder)) == ["legacy:1", *alone]
    stale = BUNDLE.unpack(tmp_path)
    index = json.loads((stale / "index.json").read_text())
    entry = next(one for one in index["manifests"]
                 if one["annotations"]["org.opencontainers.image.ref.name"] == fallback(INDEX))  # fmt: skip
    listed = json.loads((stale / "blobs" / "sha256" / entry["digest"][7:]).read_text())
    gone = stale / "blobs" / "sha256" / listed["manifests"][0]["digest"][7:]
    gone.unlink()
    across.outside.collect_layout(stale, as_="stale/bundle:1")
    assert across.outside.shows(f"stale/bundle:{fallback(INDEX)}") is None
    assert across.outside.shows(f"stale/bundle:{fallback(CHILDREN[0])}") is not None
    assert Digest.parse(listed["manifests"][1]["digest"]) in across.outside.referrers("stale/bundle", INDEX)
