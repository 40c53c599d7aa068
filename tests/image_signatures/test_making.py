"""Signatures that are made here: what our verifier reads, and where they are placed, as the tools place their own."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bundles.errors import RefusedError, UsageError
from bundles.image_signatures import cosign_legacy, making_notation, sigstore_bundle
from bundles.image_signatures.carriers import FORMATS, Carrier
from bundles.image_signatures.making import Form, Made, attest, sign_image
from bundles.image_signatures.placing import below_tag, layer_of, notes_of, referrer, tag_of
from bundles.image_signatures.verdict import Claim
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.signing.keys import create_private
from tests.image_signatures.signer import AT, INDEX, PROVENANCE, Authority, Image, Layout, certify, pins

KEY = create_private()
_DAY = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def placed(image: Image, made: Made, predicate_type: str = "", before: bytes | None = None) -> Carrier:
    """A document in its place beside the image."""
    subject = image.subject
    layer, tag = layer_of(made, predicate_type), tag_of(made.media_type, subject.digest)
    told = Descriptor(subject.media_type, subject.digest, len(subject.raw))
    found = below_tag(layer, tag, before) if tag else referrer(layer, told, AT, notes_of(made, predicate_type))
    assert found is not None
    image.store.add(made.document)
    carrier = Carrier(image.store.add(found.manifest), parse_manifest(found.manifest), tag)
    image.carriers.append(carrier)
    return carrier


@pytest.mark.parametrize("form", list(Form))
def test_what_is_made_is_verified_and_says_no_more_than_that(form: Form) -> None:
    image = Image()
    placed(image, sign_image(form, image.subject.digest, KEY, name="team/app"), "https://sigstore.dev/cosign/sign/v1")
    placed(image, attest(form, image.subject.digest, KEY, PROVENANCE, b' {"a": 1.50}\n', name="team/app"), PROVENANCE)
    verdicts = image.verdicts(pins(KEY.public))
    assert [(one.verified, one.claim, one.predicate_type) for one in verdicts] == [
        (True, Claim.SIGNATURE, "" if form is Form.COSIGN else "https://sigstore.dev/cosign/sign/v1"),
        (True, Claim.ATTESTATION, PROVENANCE),
    ]
    other = Image(text="another image")
    other.carriers, other.store.blobs = image.carriers, {**other.store.blobs, **image.store.blobs}
    assert not any(one.verified for one in other.verdicts(pins(KEY.public)))


def test_a_predicate_is_carried_byte_for_byte() -> None:
    raw = b'{"z": 1.50,\n "a": "\\u00e9"}'
    made = attest(Form.SIGSTORE, INDEX, KEY, PROVENANCE, b"\n" + raw + b"\n")
    assert raw in base64.b64decode(json.loads(made.document)["dsseEnvelope"]["payload"])


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"a":1,"a":2}', b'{"a":1} {}', b'{"a":1},"subject":[]', b"\xff"]
)
def test_what_is_no_json_object_is_no_predicate(raw: bytes) -> None:
    with pytest.raises(UsageError):
        attest(Form.COSIGN, INDEX, KEY, PROVENANCE, raw)


def test_tags_of_cosign_name_sha256_alone() -> None:
    long = Digest.of(b"", "sha512")
    assert sign_image(Form.SIGSTORE, long, KEY).media_type == sigstore_bundle.MEDIA_TYPE
    for make in (lambda: sign_image(Form.COSIGN, long, KEY), lambda: attest(Form.COSIGN, long, KEY, PROVENANCE, b"{}")):
        with pytest.raises(UsageError, match="sha256"):
            make()


def test_a_list_below_a_tag_grows_by_what_is_new_and_has_an_end() -> None:
    made = sign_image(Form.COSIGN, INDEX, KEY)
    layer, tag = layer_of(made, ""), tag_of(made.media_type, INDEX)
    first = below_tag(layer, tag, None)
    assert first is not None
    assert below_tag(layer, tag, first.manifest) is None
    raw = first.manifest
    for number in range(31):
        other = below_tag(layer_of(Made(made.media_type, made.document, str(number)), ""), tag, raw)
        assert other is not None
        raw = other.manifest
    with pytest.raises(RefusedError, match="32"):
        below_tag(layer_of(Made(made.media_type, made.document, "x"), ""), tag, raw)
    for standing in (Image().subject.raw, Layout("legacy").store.blobs[INDEX], b"{}"):
        with pytest.raises(RefusedError, match="no list of signatures"):
            below_tag(layer, tag, standing)


@pytest.mark.parametrize("name", ["legacy", "bundle", "notation"])
def test_carriers_are_those_that_the_tools_write(name: str) -> None:
    """The tools' own documents, placed here, against the tools' own manifests."""
    layout = Layout(name)
    compared = 0
    for carrier in layout.carriers():
        (layer,) = carrier.manifest.layers
        if layer.media_type not in FORMATS or layer.media_type == "application/cose":
            continue
        made = Made(
            layer.media_type, layout.store.blobs[layer.digest], layer.annotations.get(cosign_legacy.SIGNATURE, "")
        )
        said = layer.annotations.get("predicateType") or carrier.manifest.annotations.get(sigstore_bundle.PREDICATE, "")
        told = Descriptor(layout.subject().media_type, INDEX, len(layout.subject().raw))
        at = carrier.manifest.annotations.get("org.opencontainers.image.created", "")
        ours = (
            below_tag(layer_of(made, said), carrier.tag, None)
            if carrier.tag
            else referrer(layer_of(made, said), told, at, notes_of(made, said))
        )
        assert ours is not None
        theirs = json.loads(layout.store.blobs[carrier.digest])
        mine = json.loads(ours.manifest)
        theirs["config"].pop("data", None)
        config = carrier.manifest.config
        assert config is not None
        assert json.loads(ours.config) == json.loads(layout.store.blobs.get(config.digest, b"{}"))
        for one in (mine, theirs):  # cosign writes the same configuration with its keys in another order
            one["config"].pop("digest")
            one.setdefault("mediaType", "application/vnd.oci.image.manifest.v1+json")
        assert mine == theirs
        compared += 1
    assert compared


def file_of(folder: Path, name: str, raw: bytes) -> Path:
    (folder / name).write_bytes(raw)
    return folder / name


def key_file(folder: Path, key: Any) -> Path:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return file_of(folder, "key.pem", key.private_bytes(*form))


def chain_file(folder: Path, *chain: Authority) -> Path:
    return file_of(folder, "chain.crt", b"".join(one.pem for one in chain))


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA"])
def test_notation_signs_by_a_certificate_and_its_root_is_pinned(tmp_path: Path, kind: str) -> None:
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(curves[kind]())
    root = certify("root", ca=True)
    leaf = certify("signer", certify("below", root, ca=True), key=key)
    signer = making_notation.load_signer(key_file(tmp_path, key), None, chain_file(tmp_path, *leaf.chain), AT)
    assert signer.root == root.pinned
    image = Image()
    subject = image.subject
    made = making_notation.sign_image(
        subject.digest, subject.media_type, len(subject.raw), signer, AT, {"team": "alpha"}
    )
    carrier = placed(image, made)
    verdict = image.verdict(pins(root.pinned))
    assert (verdict.verified, verdict.identity, verdict.annotations) == (True, "CN=signer", {"team": "alpha"})
    prints = json.loads(carrier.manifest.annotations["io.cncf.notary.x509chain.thumbprint#S256"])
    assert prints == [Digest.of(one.der).hex for one in leaf.chain]
    real = json.loads(next(raw for raw in Layout("notation").store.blobs.values() if raw.startswith(b'{"payload"')))
    ours = json.loads(made.document)
    assert (ours.keys(), ours["header"].keys()) == (real.keys(), real["header"].keys())


def test_what_notation_would_refuse_signs_nothing(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = certify("root", ca=True)
    good = certify("signer", root, key=key)
    alone = certify("alone", key=key)
    weak = rsa.generate_private_key(65537, 1024)
    edwards = ed25519.Ed25519PrivateKey.generate()
    asked: list[tuple[Any, list[Authority], str]] = [
        (key, [good], "not issued|not signed"),  # the chain ends before its root
        (key, [root, good], "not issued|not signed"),
        (key, [certify("other", root), root], "another key"),
        (key, [certify("old", root, key=key, end=_DAY), root], "expired"),
        (key, [certify("authority", root, key=key, ca=True), root], "signs no artifact"),
        (key, [certify("usage", root, key=key, extensions=[]), root], "may not sign"),
        (key, [good, *[root] * 8], "not a chain"),
        (weak, [certify("weak", root, key=weak), root], "no key of this kind"),
        (edwards, [good, root], "no key of this kind"),
    ]
    for signing, chain, what in asked:
        with pytest.raises(UsageError, match=what):
            making_notation.load_signer(key_file(tmp_path, signing), None, chain_file(tmp_path, *chain), AT)
    with pytest.raises(UsageError, match="not a chain"):
        making_notation.load_signer(key_file(tmp_path, key), None, file_of(tmp_path, "x.crt", b"nothing"), AT)
    making_notation.load_signer(key_file(tmp_path, key), None, chain_file(tmp_path, alone), AT)
