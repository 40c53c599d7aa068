"""What takes no signature: evidence by every type in it, of documents, attached to something. Everything else does."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.intake import image_signers
from appliance.intake.image_signers import signable
from appliance.intake.release import chosen
from appliance.limits import image_signatures as limits
from bundles.errors import RefusedError
from bundles.format.manifest import Artifact
from bundles.image_signatures import notation, notation_cose
from bundles.oci.digest import Digest
from bundles.oci.kinds import SPDX
from bundles.oci.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from bundles.signing.keys import create_private
from bundles.signing.pinning import trust_key
from tests.image_signatures.shown import Shown
from tests.image_signatures.signer import Image, certify, cose, jws, pins
from tests.image_signatures.test_policy import both_sign, people, rule
from tests.intake.inside import Inside, carry, name_of

KEY = create_private()
IN_TOTO, BUNDLE = "application/vnd.in-toto+json", "application/vnd.dev.sigstore.bundle.v0.3+json"
FLUX, WASM = "application/vnd.cncf.flux.config.v1+json", "application/vnd.wasm.config.v0+json"
HELM = "application/vnd.cncf.helm.config.v1+json"
ATT, FALLBACK = f"sha256-{'0' * 64}.att", f"sha256-{'0' * 64}"
SUBJECT = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 2}


def tarball(compressed: bool = True) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz" if compressed else "w") as tar:
        member = tarfile.TarInfo("evil.yaml")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"{}"))
    return made.getvalue()


LAYER = ("application/vnd.cncf.flux.content.v1.tar+gzip", tarball())
TEXT = (IN_TOTO, b"{}")


def attached(make: Callable[[Image], Any]) -> Callable[[Shown], Digest]:
    def one(shown: Shown) -> Digest:
        image = Image(store=shown.store)
        make(image)
        (carrier,) = image.carriers
        return shown.show(carrier.digest, *([carrier.tag] if carrier.tag else ()))

    return one


EVIDENCE: dict[str, Callable[[Shown], Digest]] = {
    "cosign's signature at its tag": attached(lambda i: i.cosign_by(KEY)),
    "a bundle that refers": attached(lambda i: i.bundle_by(KEY)),
    "Notation's envelope": attached(lambda i: i.notation(jws(certify("s", certify("r", ca=True)), i.target()))),
    "Notation's envelope in COSE": attached(
        lambda i: i.notation(cose(certify("s", certify("r", ca=True)), i.target()), notation_cose.MEDIA_TYPE)
    ),
    "a binary envelope in COSE": lambda s: s.manifest(
        (notation_cose.MEDIA_TYPE, b"\xd2\x84" + bytes(600)), config=notation.ARTIFACT_TYPE, subject=SUBJECT
    ),
    "an attestation as an image at its tag": lambda s: s.manifest(TEXT, tags=(ATT,)),
    "an SBOM that refers": lambda s: s.manifest((SPDX, b"{}"), config=OCI_EMPTY, artifactType=SPDX, subject=SUBJECT),
}  # fmt: skip
JUDGED: dict[str, Callable[[Shown], Digest]] = {
    "Flux, called an SBOM": lambda s: s.manifest(LAYER, config=FLUX, artifactType=SPDX, tags=("prod",)),
    "the same, attached": lambda s: s.manifest(LAYER, config=FLUX, artifactType=SPDX, subject=SUBJECT),
    "WebAssembly, called a signature": lambda s: s.manifest(LAYER, config=WASM, artifactType=BUNDLE, tags=(ATT,)),
    "a configuration of something else over documents": lambda s: s.manifest(
        TEXT, config=FLUX, artifactType=IN_TOTO, subject=SUBJECT
    ),
    "a chart of documents": lambda s: s.manifest(TEXT, config=HELM, artifactType=IN_TOTO, subject=SUBJECT),
    "layers of another kind than its type": lambda s: s.manifest(
        TEXT, config=OCI_EMPTY, artifactType=SPDX, subject=SUBJECT
    ),
    "layers of two kinds": lambda s: s.manifest(TEXT, (SPDX, b"{}"), config=OCI_EMPTY, subject=SUBJECT),
    "no layer": lambda s: s.manifest(config=OCI_EMPTY, artifactType=SPDX, subject=SUBJECT),
    "an archive as a document": lambda s: s.manifest((IN_TOTO, tarball()), config=OCI_EMPTY, subject=SUBJECT),
    "a plain archive as a document": lambda s: s.manifest((SPDX, tarball(compressed=False)), subject=SUBJECT),
    "an archive as an envelope in COSE": lambda s: s.manifest(
        (notation_cose.MEDIA_TYPE, tarball()), config=notation.ARTIFACT_TYPE, subject=SUBJECT
    ),
    "another document behind COSE's first bytes": lambda s: s.manifest(
        (IN_TOTO, b"\xd2\x84" + bytes(600)), subject=SUBJECT
    ),
    "documents that are attached to nothing": lambda s: s.manifest(TEXT),
    "documents at an ordinary tag": lambda s: s.manifest(TEXT, tags=("1",)),
    "documents at an ordinary tag beside an attached one": lambda s: s.manifest(TEXT, tags=(ATT, "1"), subject=SUBJECT),
}  # fmt: skip


@pytest.mark.parametrize("name", [*EVIDENCE, *JUDGED])
def test_a_release_and_a_search_take_the_same_for_evidence(name: str) -> None:
    shown = Shown()
    one = {**EVIDENCE, **JUDGED}[name](shown)
    asked = {str(one)} if name in JUDGED else set()
    assert {checked.artifact.digest for checked in signable(shown, shown.checked())} == asked
    found = shown.find(shown.index(one), pins(KEY.public))
    assert {str(child.digest) for child in found[1:]} == asked


def test_an_index_at_a_fallback_tag_takes_none_where_it_lists_attached_evidence_alone() -> None:
    def judged(shown: Shown) -> set[str]:
        return {one.artifact.digest for one in signable(shown, shown.checked())}

    shown = Shown()
    document = EVIDENCE["an SBOM that refers"](shown)
    listed = shown.index(document, tags=(FALLBACK,))
    assert judged(shown) == set()
    shown.index(listed)  # an index that names it would be run by it
    assert str(listed) in judged(shown)
    for make in JUDGED.values():
        shown = Shown()
        listed = shown.index(EVIDENCE["an SBOM that refers"](shown), make(shown), tags=(FALLBACK,))
        assert str(listed) in judged(shown)
    for tags in (("1",), (FALLBACK, "1"), (ATT,), ()):
        shown = Shown()
        listed = shown.index(EVIDENCE["an SBOM that refers"](shown), tags=tags)
        assert judged(shown) == {str(listed)}


def test_a_chosen_image_takes_along_what_stands_at_its_attached_tags() -> None:
    shown = Shown()
    image = Image(store=shown.store)
    image.cosign_by(KEY)
    shown.sign(image)
    shown.tagged["1"] = image.subject.digest
    hexes = image.subject.digest.hex
    beside = {
        shown.manifest((SPDX, b"{}"), tags=(f"sha256-{hexes}.sbom",)),
        shown.manifest(TEXT, tags=(f"sha256-{hexes}.att",)),
        shown.index(tags=(f"sha256-{hexes}",)),
        image.carriers[0].digest,
    }
    shown.manifest(TEXT, tags=(ATT,))  # of another image
    every = shown.checked()
    taken = {one.artifact.digest for one in chosen(every, every, ["team/app:1"])}
    assert taken == {str(one) for one in (image.subject.digest, *beside)}


def test_a_release_looks_at_what_it_shows_in_one_step_or_in_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disguised artifact is not released; evidence that was released first makes nothing of the rest an image; each
    part verifies its own images alone, in the time that there is for it."""
    shown = Shown()
    images = [Image(store=shown.store, text=f"image {number}") for number in range(4)]
    for number, image in enumerate(images):
        carrier = image.bundle_by(KEY)
        shown.sign(image)
        shown.tagged[f"t{number}"] = image.subject.digest
        shown.index(carrier.digest, tags=(f"sha256-{image.subject.digest.hex}",))
    flux = JUDGED["Flux, called an SBOM"](shown)
    artifacts = [
        Artifact(
            repository="team/config" if digest == flux else "team/app", digest=str(digest), mediaType=facts.media_type,
            kind="index" if facts.media_type == OCI_INDEX else "sbom" if digest == flux else "signature"
            if facts.subject else "image", size=facts.size, tags=shown.tags_of("", digest),
        )
        for digest, facts in shown.manifests.items()
    ]  # fmt: skip
    artifacts.sort(key=lambda one: (one.repository, one.digest))
    verified = list[str]()
    verify_all = image_signers.verify_all

    def counted(subject: Any, *more: Any) -> Any:
        verified.append(str(subject.digest))
        return verify_all(subject, *more)

    with Inside(tmp_path / "bravo", approvals_needed=1) as inside:
        carried = carry(tmp_path / "stick", shown.store, artifacts)
        inside.trust(carried.key.public)
        trust_key(inside.station.paths.trust, KEY.public, purpose="image", owner="Team")
        anna, boris = people(inside, "Anna", "Boris")
        inside.bring(carried.folder)
        (text,) = inside.station.reader.execute("SELECT report FROM intake_documents").fetchone()
        (section,) = [one for one in json.loads(text)["sections"] if one["inspector"] == "signatures"]
        assert section["details"]["unsigned"] == [f"team/config@{flux}"]
        inside.decide(name_of(), anna)
        both_sign(inside, [rule("team/**")], [anna, boris])
        for only in ([], [f"team/config@{flux}"], ["team/config:prod"]):
            with pytest.raises(RefusedError, match=r"signed by 0 of 1.*team/config@") as refused:
                inside.release(name_of(), only)
            assert refused.value.code == "image-policy"
        monkeypatch.setattr(image_signers, "verify_all", counted)
        with monkeypatch.context() as hurried:
            hurried.setattr(limits, "RELEASE_SIGNATURES_TIME", -1.0)
            with pytest.raises(RefusedError) as late:
                inside.release(name_of(), ["team/app:t0"])
        assert (late.value.code, verified) == ("image-policy-time", [])
        for number, image in enumerate(images[:2]):
            verified.clear()
            inside.release(name_of(), [f"team/app:t{number}"])
            assert verified == [str(image.subject.digest)]
        verified.clear()
        inside.release(name_of(), [f"team/app@{images[2].carriers[0].digest}"])
        assert verified == []
        inside.release(name_of(), ["team/app"])
        assert verified == sorted(str(image.subject.digest) for image in images[2:])
        assert inside.station.metadata.linked_manifest("team/config", flux) is None


def test_gzip_alone_is_no_document() -> None:
    shown = Shown()
    one = shown.manifest((IN_TOTO, gzip.compress(b"{}")), tags=(ATT,))
    assert [checked.artifact.digest for checked in signable(shown, shown.checked())] == [str(one)]
