"""Whatever is changed in a document: it ends in a verdict, and counts for nothing that was signed by somebody else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from bundles.errors import LockgateError, MalformedError
from bundles.image_signatures import cbor
from bundles.image_signatures.carriers import FORMATS, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Proof, Subject
from bundles.oci.descriptor import Descriptor
from tests.image_signatures.signer import Image, Layout, cbor_of, certify, cose, jws, pins

ODD = [None, True, 0, -1, "", [], {}, "a" * 50, "\ud800", 2**60, [[]], {"a": {}}, "=", "%%%"]
UNSIGNED = {"hint", "io.cncf.notary.signingAgent", "keyid"}
"""Fields that nobody signs, and nothing follows from."""


def documents() -> Iterator[tuple[Descriptor, bytes, Subject, Pins]]:
    for name in ("legacy", "bundle", "notation"):
        layout = Layout(name)
        known = pins(layout.cosign, layout.root)
        for carrier in layout.carriers():
            for layer in carrier.manifest.layers:
                yield layer, layout.store.blobs[layer.digest], layout.subject(), known
    signer, image = certify("signer", certify("root", ca=True)), Image()
    for carrier in (image.notation(jws(signer, image.target())),
                    image.notation(cose(signer, image.target()), "application/cose")):  # fmt: skip
        (layer,) = carrier.manifest.layers
        yield layer, image.store.blobs[layer.digest], image.subject, pins(signer.chain[-1].pinned)


DOCUMENTS = list(documents())


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from places(inner, (*here, key))


def counts(layer: Descriptor, raw: bytes, subject: Subject, known: Pins) -> bool:
    """Whether a signature of the document counts. Anything but a verdict fails the test."""
    try:
        outcomes = FORMATS[layer.media_type].verify(raw, layer, subject, known)
    except LockgateError:
        return False
    return any(isinstance(one, Proof) for one in outcomes)


def test_there_is_a_document_of_each_format() -> None:
    assert {layer.media_type for layer, *_ in DOCUMENTS} == set(FORMATS) - {"application/vnd.in-toto+json"}
    assert all(counts(*one) for one in DOCUMENTS)


def test_no_field_that_is_changed_or_taken_away_leaves_a_signature_that_counts() -> None:
    for layer, raw, subject, known in DOCUMENTS:
        if not raw.startswith(b"{") or layer.annotations:  # cosign's payload is signed whole: below
            continue
        for place in places(json.loads(raw)):
            if not place or place[-1] in UNSIGNED:
                continue
            for odd in [*ODD, ...]:
                changed = json.loads(raw)
                inner = changed
                for key in place[:-1]:
                    inner = inner[key]
                if odd is ... and place[-1] in ("annotations",):
                    continue
                if odd is ...:
                    del inner[place[-1]]
                else:
                    inner[place[-1]] = odd
                found = counts(layer, json.dumps(changed).encode(), subject, known)
                assert not found or place[:2] == ("verificationMaterial", "publicKey"), (place, odd)


def test_no_byte_that_is_changed_leaves_a_signature_that_counts() -> None:
    chance = random.Random(19)
    for layer, raw, subject, known in DOCUMENTS:
        agent = raw.find(b"signingAgent")
        for _ in range(120):
            place = chance.randrange(len(raw))
            free = raw.find(b'"hint":"') < place < raw.find(b'"hint":"') + 54 or agent - 20 < place < agent + 60
            changed = bytearray(raw)
            changed[place] ^= 1 << chance.randrange(8)
            assert free or not counts(layer, bytes(changed), subject, known), (layer.media_type, place)
        assert not counts(layer, raw[:-1], subject, known)
        assert not counts(layer, raw + b"\0", subject, known)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x18", b"\x18\x17", b"\x19\x00\xff", b"\x1a\x00\x00\xff\xff", b"\x1b" + b"\0" * 4 + b"\xff" * 4,
        b"\x1f", b"\x5f\x41a\xff", b"\x9f\xff", b"\xbf\xff", b"\xf6", b"\xf5", b"\xfb" + b"\0" * 8, b"\x01\x01",
        b"\xa2\x01\x01\x01\x02", b"\xa1\x41a\x01", b"\x61\xff", b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8,
        b"\x81" * 64 + b"\x01", b"\x99\x0f\xff" + b"\x01" * 0xFFF, b"\x1c",
    ],
)  # fmt: skip
def test_cbor_with_more_than_one_reading_or_without_an_end_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        cbor.loads(raw, "it")


@pytest.mark.parametrize(
    "value", [0, 23, 24, 255, 256, 2**16, 2**32, -1, -25, b"", b"a" * 300, "é", [1, [2]], {1: "a"}]
)
def test_cbor_in_its_shortest_form_is_read(value: Any) -> None:
    assert cbor.loads(cbor_of(value), "it") == value
    assert cbor.loads(cbor_of(("tag", 18, value)), "it") == cbor.Tagged(18, value)


SIGNER = certify("signer", certify("root", ca=True))
SCHEME = "io.cncf.notary.signingScheme"
EXPIRY = "io.cncf.notary.expiry"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""), ({"alg": -37}, "wrong-algorithm"), ({"alg": -35}, "wrong-algorithm"), ({"alg": 5}, "wrong-algorithm"),
        ({"drop": [1]}, "wrong-algorithm"), ({"tag": 98}, "malformed"), ({"tag": 17}, "malformed"),
        ({"cty": "text/plain"}, "wrong-type"), ({"crit": []}, "malformed"), ({"drop": [2]}, "malformed"),
        ({"crit": [SCHEME, "x"], "x": 1}, "unsupported-format"), ({"crit": [SCHEME, SCHEME]}, "malformed"),
        ({SCHEME: "notary.x509.signingAuthority"}, "unsupported-format"), ({EXPIRY: ("tag", 1, 1)}, "malformed"),
        ({EXPIRY: ("tag", 1, 1), "crit": [SCHEME, EXPIRY]}, "signature-expired"),
        ({EXPIRY: ("tag", 1, 4_000_000_000), "crit": [SCHEME, EXPIRY]}, ""),
        ({"io.cncf.notary.signingTime": 1_780_272_000}, "malformed"),
        ({"io.cncf.notary.signingTime": ("tag", 1, 2**50)}, "malformed"), ({"beside": {1: -7}}, "malformed"),
        ({"beside": {33: []}}, "malformed"), ({"beside": {33: "x"}}, "malformed"),
        ({"chain": [b"x"]}, "certificate-unfit"), ({"alg": "ES256"}, "wrong-algorithm"),
        ({"chain": [SIGNER.der]}, "unknown-root"),
    ],
)  # fmt: skip
def test_what_does_not_count_of_an_envelope_in_cose_is_refused_by_name(changes: dict[str, Any], code: str) -> None:
    image = Image()
    image.notation(cose(SIGNER, image.target(), **changes), "application/cose")
    assert image.refusal(pins(SIGNER.chain[-1].pinned)) == code


def test_an_envelope_in_cose_is_of_its_own_image() -> None:
    image, other = Image(), Image(text="another")
    image.notation(cose(SIGNER, other.target()), "application/cose")
    assert image.refusal(pins(SIGNER.chain[-1].pinned)) == "other-subject"
    assert verify_all(other.subject, [], other.store, pins()) == []
