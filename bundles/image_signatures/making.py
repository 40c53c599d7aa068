"""Signatures and attestations that a key makes, as cosign writes them: documents, for the layers that bring them.

A signature is made where its key is (docs/adr/0002-clients-sign.md); what places it beside its image
(`bundles.image_signatures.placing`) needs no key.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bundles.errors import UsageError
from bundles.image_signatures import cosign_legacy, dsse, sigstore_bundle, statement
from bundles.image_signatures.verdict import SIGN_PREDICATE
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.signatures import DEFAULT_ALGORITHM


class Form(StrEnum):
    """The forms that signatures are made in."""

    COSIGN = "cosign"
    """Below cosign's tags, for images of sha256: what every version of cosign reads."""
    SIGSTORE = "sigstore"
    """A Sigstore bundle that refers to the image: what cosign 3 writes."""


@dataclass(frozen=True, slots=True)
class Made:
    """A signed document, and the media type of the layer that brings it. `signature` stands in the layer's annotation,
    in base64; "" where the document holds its own."""

    media_type: str
    document: bytes
    signature: str = ""


def check_key(key: PublicKey) -> None:
    """Go on only with a key whose signatures cosign verifies by its public half alone. Raises UsageError.

    Cosign hashes with SHA-256 whatever the curve, and takes Ed25519 in bundles over a hash (Ed25519ph).
    """
    if key.algorithm != DEFAULT_ALGORITHM:
        raise UsageError(
            "cosign verifies no images by this kind of key",
            thing=f"{key.algorithm}, key {key.keyid}",
            remedy=f"sign with a key of {DEFAULT_ALGORITHM}: lockgate key create NAME",
        )


def sign_image(
    form: Form, digest: Digest, key: PrivateKey, *, name: str = "", annotations: Mapping[str, str] | None = None
) -> Made:
    """A signature of the image or index with this digest.

    `name` is the repository that a cosign payload gives as `docker-reference`; nobody believes it. Raises UsageError: a
    key of another kind, a digest that the form cannot name, annotations in a form that has none.
    """
    check_key(key.public)
    if form is Form.SIGSTORE:
        if annotations:
            raise UsageError(
                "a Sigstore bundle carries no annotations",
                thing=", ".join(annotations)[:120],
                remedy="sign with --format cosign",
            )
        subject = {"digest": {digest.algorithm: digest.hex}, "annotations": {}}
        return _bundle(_statement("https://in-toto.io/Statement/v1", subject, SIGN_PREDICATE, {}), key)
    _check_tagged(digest)
    payload = canonical(
        {
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": str(digest)},
                "type": cosign_legacy.TYPE,
            },
            "optional": dict(annotations) if annotations else None,
        }
    )
    return Made(cosign_legacy.MEDIA_TYPE, payload, _base64(key.sign(payload)))


def _check_tagged(digest: Digest) -> None:
    if digest.algorithm != "sha256":
        raise UsageError(
            "cosign's tags name images of sha256 alone", thing=str(digest), remedy="sign with --format sigstore"
        )


def _statement(kind: str, subject: Mapping[str, Any], predicate_type: str, predicate: Any) -> bytes:
    return canonical({"_type": kind, "subject": [subject], "predicateType": predicate_type, "predicate": predicate})


def _envelope(payload: bytes, key: PrivateKey) -> dict[str, Any]:
    signature = key.sign(dsse.pre_authentication(statement.PAYLOAD_TYPE, payload))
    return {
        "payload": _base64(payload),
        "payloadType": statement.PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(signature)}],
    }


def _bundle(payload: bytes, key: PrivateKey) -> Made:
    """A bundle whose hint is what cosign gives: sha256 of the public key. Nobody finds the key by it."""
    hint = _base64(hashlib.sha256(key.public.encoded).digest())
    document = canonical(
        {
            "mediaType": sigstore_bundle.MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": _envelope(payload, key),
        }
    )
    return Made(sigstore_bundle.MEDIA_TYPE, document)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
