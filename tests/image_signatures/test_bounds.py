"""What a search and a policy may cost: each manifest is read once, each index asked once, and bytes are counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from appliance.image_signatures.states import Found
from appliance.intake import signature_policy
from appliance.intake.content import Checked
from appliance.intake.image_signers import Key, Looked, look
from appliance.intake.signature_policy import lacks
from appliance.limits import image_signatures as signature_limits
from appliance.settings.image_policy import ImagePolicy
from bundles import limits
from bundles.errors import RefusedError
from bundles.format.manifest import Artifact
from bundles.image_signatures import dsse
from bundles.image_signatures.verdict import Subject
from bundles.oci.digest import Digest
from bundles.oci.kinds import SPDX
from bundles.oci.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, parse_manifest
from bundles.signing import signatures
from bundles.signing.keys import create_private
from tests.image_signatures.shown import Shown
from tests.image_signatures.signer import AT, Image, envelope_of, pins
from tests.image_signatures.test_evidence import EVIDENCE, IN_TOTO, SUBJECT
from tests.image_signatures.test_policy import rule, signed_by

KEY = create_private()
KNOWN = pins(KEY.public)


def image_in(shown: Shown, text: str = "an image") -> Image:
    image = Image(store=shown.store, text=text)
    shown.show(image.subject.digest)
    return image


def test_what_an_index_names_many_times_is_read_once_evidence_too() -> None:
    shown = Shown()
    image, evidence = image_in(shown), EVIDENCE["an SBOM that refers"](shown)
    index = shown.index(*[evidence, image.subject.digest] * 2_000)
    over = shown.index(index, image.subject.digest, index, evidence)
    assert [one.digest for one in shown.find(over, KNOWN)] == [over, index, image.subject.digest]
    assert {shown.reads[one] for one in (over, index, evidence, image.subject.digest)} == {1}


def test_evidence_and_what_is_not_here_count_among_what_an_index_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_limits, "SIGNED_IMAGES", 8)
    shown = Shown()
    documents = [shown.manifest((IN_TOTO, b"%d" % n), subject=SUBJECT) for n in range(8)]
    assert len(shown.find(shown.index(*documents[:7]), KNOWN)) == 1
    with pytest.raises(RefusedError, match="too much"):
        shown.find(shown.index(*documents), KNOWN)
    absent = shown.index(*documents)
    for one in documents:
        del shown.manifests[one]
    with pytest.raises(RefusedError, match="too much"):
        shown.find(absent, KNOWN)


@pytest.mark.parametrize("named", ["as images", "as evidence", "as carriers"])
def test_bytes_are_counted_over_all_that_is_looked_at(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    shown = Shown()
    images = [image_in(shown, str(number)) for number in range(6)]
    index = shown.index(*(one.subject.digest for one in images))
    if named == "as evidence":
        index = shown.index(*(shown.manifest((IN_TOTO, b"%d" % n), subject=SUBJECT) for n in range(6)))
    if named == "as carriers":
        for image in images:
            image.bundle_by(KEY)
            shown.sign(image)
    shown.find(index, KNOWN)
    before = sum(shown.reads.values())
    sizes = sum(len(shown.store.blobs[one]) * times for one, times in shown.reads.items() if one in shown.manifests)
    monkeypatch.setattr(signature_limits, "SIGNATURES_READ", sizes * 2 // 3)
    shown.reads.clear()
    with pytest.raises(RefusedError, match="too much to be read"):
        shown.find(index, KNOWN)
    assert 0 < sum(shown.reads.values()) < before


def test_one_image_alone_does_not_need_all_the_bytes() -> None:
    """However much somebody attaches to it, it can be asked about."""
    carriers = (limits.IMAGE_SIGNATURES + 1) * limits.CARRIER
    referrers = signature_limits.SIGNATURE_REFERRERS * limits.UNNAMED_CARRIER
    most = carriers + referrers + limits.IMAGE_SIGNATURES_SIZE + 4 * limits.OCI_MANIFEST
    assert most < signature_limits.SIGNATURES_READ


def test_a_referrer_is_read_where_it_may_bring_a_signature() -> None:
    """By the type that the station has for it, and by its size where the type says nothing. An inspection the same."""
    shown = Shown()
    image = image_in(shown)
    image.bundle_by(KEY)
    plain = image.carry("application/vnd.dsse.envelope.v1+json", b"{}")  # its layer alone says so
    shown.sign(image)
    told = {"mediaType": OCI_MANIFEST, "digest": str(image.subject.digest), "size": len(image.subject.raw)}
    bulk = {"note": "x" * limits.UNNAMED_CARRIER}
    passed = [
        shown.manifest((SPDX, b"{}"), config=OCI_EMPTY, artifactType=SPDX, subject=told),
        shown.manifest(("a/b", b"1"), config=OCI_EMPTY, artifactType="application/x", subject=told, annotations=bulk),
        shown.manifest(
            ("a/b", b"2"), config=OCI_EMPTY, artifactType=IN_TOTO, subject=told,
            annotations={"note": "x" * limits.CARRIER},
        ),
    ]  # fmt: skip
    (found,) = shown.find(image.subject.digest, KNOWN)
    assert {one.carrier for one in found.verdicts} == {image.carriers[0].digest, plain.digest}
    assert len(found.counting) == 1
    every = shown.checked()
    asked = [one for one in every if one.artifact.digest == str(image.subject.digest)]
    ((_, inspected),) = look(shown, every, asked, KNOWN).found.items()
    assert {one.carrier for one in inspected.verdicts} == {one.carrier for one in found.verdicts}
    assert not any(shown.reads[one] for one in passed)


def test_a_fallback_index_is_followed_to_its_first_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_limits, "SIGNATURE_REFERRERS", 4)
    shown = Shown()
    image = image_in(shown)
    listed = [shown.manifest(("a/b", b"%d" % number), config=OCI_EMPTY) for number in range(12)]
    shown.index(*listed, tags=(f"sha256-{image.subject.digest.hex}",))
    shown.find(image.subject.digest, KNOWN)
    assert [shown.reads[one] for one in listed] == [1] * 4 + [0] * 8


def test_what_a_signed_index_names_later_is_covered_and_not_read_again() -> None:
    shown = Shown()
    image = image_in(shown)
    inner = shown.index(image.subject.digest)
    middle = shown.index(inner)
    signed = Image(store=shown.store)
    signed.subject = Subject.of(shown.store.blobs[middle], OCI_INDEX, middle)
    signed.bundle_by(KEY)
    shown.sign(signed)
    over = shown.index(inner, image.subject.digest, signed.subject.digest)
    found = {one.digest: one for one in shown.find(over, KNOWN)}
    assert {found[one].through for one in (inner, image.subject.digest)} == {signed.subject.digest}
    assert {shown.reads[one] for one in (inner, image.subject.digest)} == {1}


class Counted(dict[Key, Sequence[Key]]):
    """Counts how often it is asked."""

    asked = 0

    def get(self, *args: Any) -> Any:
        self.asked += 1
        return super().get(*args)


def layered(width: int, signed: bool) -> tuple[list[Checked], Looked]:
    """`width` indexes that each name `width` indexes that each name `width` images; the last index may be signed."""
    levels = [[("team/app", f"sha256:{level}{number:063x}") for number in range(width)] for level in range(3)]
    own = signed_by(KEY).verdicts
    found = {
        key: Found(Digest.parse(key[1]), "index", "", own if signed and key == levels[2][-1] else ())
        for level in levels
        for key in level
    }
    above = Counted({key: levels[up] for up in (1, 2) for key in levels[up - 1]})
    reading = parse_manifest(Image().subject.raw)
    wanted = [
        Checked(Artifact(repository=place, digest=digest, mediaType=OCI_MANIFEST, kind="image", size=1), reading)
        for place, digest in levels[0]
    ]
    return wanted, Looked(found, above)


@pytest.mark.parametrize("signed", [False, True])
def test_an_index_is_asked_once_however_many_images_it_names(monkeypatch: pytest.MonkeyPatch, signed: bool) -> None:
    width, asked = 20, list[Any]()
    objection = signature_policy.objection

    def counted(one: Any, found: Found, *more: Any) -> str | None:
        asked.append(found.digest)
        return objection(one, found, *more)

    monkeypatch.setattr(signature_policy, "objection", counted)
    wanted, looked = layered(width, signed)
    policy = ImagePolicy(site="bravo", number=1, image=[rule("team/**"), rule("team/**", people=2), rule("other/**")])
    lacking = lacks(policy, wanted, looked, AT)
    assert [one.number for one in lacking] == ([2] if signed else [1, 2]) * width
    assert isinstance(looked.above, Counted)
    assert looked.above.asked == 3 * width
    assert len(asked) <= 2 * width + 2
    looked.above.asked = 0
    assert {looked.signed_above(("team/app", one.artifact.digest)) is not None for one in wanted} == {signed}
    assert looked.above.asked <= 3 * width


def test_an_envelopes_payload_is_hashed_once_for_all_its_signatures_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    image, hash_of, made = Image(), signatures.hashes.Hash, list[str]()

    def counted(function: Any) -> Any:
        made.append(function.name)
        return hash_of(function)

    envelope = envelope_of(image.statement(), *[create_private() for _ in range(limits.DSSE_SIGNATURES)])
    image.carry(dsse.MEDIA_TYPE, json.dumps(envelope).encode(), tag="x.att")
    known = pins(*(create_private().public for _ in range(4)))
    monkeypatch.setattr(signatures.hashes, "Hash", counted)
    assert {one.refusal for one in image.verdicts(known)} == {"unknown-key"}
    assert made == ["sha256"]
