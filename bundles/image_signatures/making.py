"""Signatures and attestations that a key makes, as cosign writes them: documents, for the layers that bring them.

A signature is made where its key is (docs/adr/0002-clients-sign.md); what places it beside its image
(`bundles.image_signatures.placing`) needs no key.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError, UsageError
from bundles.image_signatures import cosign_legacy, dsse, sigstore_bundle, statement
from bundles.image_signatures.verdict import SIGN_PREDICATE
from bundles.io import strict_json
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.signatures import DEFAULT_ALGORITHM

_V1: Final = "https://in-toto.io/Statement/v1"
_V01: Final = "https://in-toto.io/Statement/v0.1"
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,500}\Z")


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
        said = {"_type": _V1, "subject": [subject], "predicateType": SIGN_PREDICATE, "predicate": {}}
        return _bundle(canonical(said), key)
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


def attest(
    form: Form,
    digest: Digest,
    key: PrivateKey,
    predicate_type: str,
    predicate: bytes,
    *,
    name: str = "",
    source: str = "the predicate",
) -> Made:
    """An in-toto statement about the artifact with this digest, whose predicate is a JSON object, byte for byte.

    `name` is how the statement calls its subject; nobody believes it. `source` is how errors call the predicate.
    Raises UsageError: a key of another kind, a digest that the form cannot name, a type that is no URI or is that of a
    signature, a predicate that is no JSON object or too large.
    """
    check_key(key.public)
    check_predicate_type(predicate_type)
    if form is Form.COSIGN:
        _check_tagged(digest)
    raw = _object(predicate, source)
    subject = canonical([{"name": name, "digest": {digest.algorithm: digest.hex}}])
    kind, said = (canonical(text) for text in (_V01 if form is Form.COSIGN else _V1, predicate_type))
    # The predicate stands as it was given: its author may have signed or hashed it elsewhere.
    payload = b'{"_type":%b,"predicateType":%b,"subject":%b,"predicate":%b}' % (kind, said, subject, raw)
    made = Made(dsse.MEDIA_TYPE, canonical(_envelope(payload, key))) if form is Form.COSIGN else _bundle(payload, key)
    if len(made.document) > limits.ATTESTATION:
        raise _too_large()
    return made


def check_predicate_type(predicate_type: str) -> None:
    """Go on only with the URI of an attestation. Raises UsageError."""
    if not _URI.match(predicate_type):
        raise UsageError(
            "a predicate type is a URI", thing=predicate_type[:120], remedy="as https://slsa.dev/provenance/v1"
        )
    if predicate_type == SIGN_PREDICATE:
        raise UsageError(
            "this is what a signature says", thing=predicate_type, remedy="use: lockgate sign REF --key KEY"
        )


def _object(predicate: bytes, source: str) -> bytes:
    """A JSON object without the white space around it. Raises UsageError."""
    if len(predicate) > limits.ATTESTATION:
        raise _too_large()
    try:
        value = strict_json.loads(
            predicate, ceiling=limits.ATTESTATION, nodes=limits.ATTESTATION_NODES, what="the predicate", floats=True
        )
    except MalformedError as error:
        what = f"{error.what} ({error.thing})" if error.thing else error.what
        raise UsageError(what, thing=source, remedy="give a JSON object in a file") from None
    if not isinstance(value, dict):
        raise UsageError("not a JSON object", thing=source, remedy="give a JSON object in a file")
    return predicate.strip(b" \t\r\n")


def _too_large() -> UsageError:
    most = limits.ATTESTATION * 9 // 16  # Base64 twice: the statement in its envelope, the envelope in the bundle
    return UsageError(
        "the attestation is larger than what is looked at", remedy=f"a predicate may have some {most >> 20} MiB"
    )


def _check_tagged(digest: Digest) -> None:
    if digest.algorithm != "sha256":
        raise UsageError(
            "cosign's tags name images of sha256 alone", thing=str(digest), remedy="sign with --format sigstore"
        )


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
