"""Carriers: manifests that bring signatures, and what is looked at of them; the port of the formats.

Whoever asks finds the carriers (a tag below the image's digest, a referrer) and hands them in with a reader of blobs;
what is looked at is capped for the image as a whole, so that nobody can have endless signatures verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bundles import limits
from bundles.errors import LockgateError, NotFoundError
from bundles.image_signatures import cosign_legacy, dsse, notation_cose, notation_jws, sigstore_bundle
from bundles.image_signatures.pins import PinError, Pins
from bundles.image_signatures.verdict import (
    SIGN_PREDICATE,
    Claim,
    FormatName,
    Outcome,
    Proof,
    Refusal,
    Subject,
    Verdict,
    code_of,
    refused,
)
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import ATTESTATION_TYPES, SIGNATURE_TYPES, kind_of
from bundles.oci.manifest import Manifest
from bundles.ports import BlobReader

Verify = Callable[[bytes, Descriptor, Subject, Pins], list[Outcome]]
"""A format: a document, the layer that brought it, the image, the pinned keys; an outcome for each signature in it.
Raises a LockgateError where the document as a whole does not count."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its layer's media type. `alone`: its manifest has one layer; `most`: bytes of a document."""

    name: FormatName
    claim: Claim
    verify: Verify
    alone: bool
    most: int


_IN_TOTO: Final = "application/vnd.in-toto+json"


def _unsigned(_: bytes, __: Descriptor, ___: Subject, ____: Pins) -> list[Outcome]:
    raise refused(Refusal.NO_SIGNATURE, "a statement that nobody signed")


FORMATS: Final[dict[str, Format]] = {
    cosign_legacy.MEDIA_TYPE: Format(
        FormatName.COSIGN, Claim.SIGNATURE, cosign_legacy.verify, alone=False, most=limits.IMAGE_SIGNATURE
    ),
    dsse.MEDIA_TYPE: Format(FormatName.DSSE, Claim.ATTESTATION, dsse.verify, alone=False, most=limits.ATTESTATION),
    sigstore_bundle.MEDIA_TYPE: Format(
        FormatName.SIGSTORE, Claim.SIGNATURE, sigstore_bundle.verify, alone=True, most=limits.ATTESTATION
    ),
    notation_jws.MEDIA_TYPE: Format(
        FormatName.NOTATION, Claim.SIGNATURE, notation_jws.verify, alone=True, most=limits.IMAGE_SIGNATURE
    ),
    notation_cose.MEDIA_TYPE: Format(
        FormatName.NOTATION_COSE, Claim.SIGNATURE, notation_cose.verify, alone=True, most=limits.IMAGE_SIGNATURE
    ),
    _IN_TOTO: Format(FormatName.UNKNOWN, Claim.ATTESTATION, _unsigned, alone=False, most=limits.ATTESTATION),
}
"""Every format by the media type of the layers that bring it."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A manifest that is said to bring signatures. `tag` is what led to it, "" where it refers to the image."""

    digest: Digest
    manifest: Manifest
    tag: str = ""


def is_carrier(manifest: Manifest) -> bool:
    """Whether a referrer brings signatures or attestations, or says so."""
    return (
        manifest.artifact_type in SIGNATURE_TYPES | ATTESTATION_TYPES
        or manifest.artifact_type.startswith(sigstore_bundle.FAMILY)
        or any(_format_of(layer) is not None or _is_bundle(layer) for layer in manifest.layers)
    )


def may_carry(artifact_type: str, size: int) -> bool:
    """Whether a referrer of this `artifactType` and size of its manifest is worth reading to ask `is_carrier`."""
    if artifact_type in SIGNATURE_TYPES | ATTESTATION_TYPES or artifact_type.startswith(sigstore_bundle.FAMILY):
        return size <= limits.CARRIER
    return size <= limits.UNNAMED_CARRIER and kind_of("", artifact_type) in ("image", "artifact")


def read_of(manifest: Manifest) -> int:
    """Bytes of a carrier's documents that `verify_all` reads, at most."""
    sizes = ((layer.size, _format_of(layer)) for layer in manifest.layers[: limits.IMAGE_SIGNATURES])
    return min(
        sum(size for size, found in sizes if found is not None and size <= found.most), limits.IMAGE_SIGNATURES_SIZE
    )


def verify_all(subject: Subject, carriers: Iterable[Carrier], blobs: BlobReader, pins: Pins) -> list[Verdict]:
    """A verdict for each signature and attestation that the carriers bring, in their order.

    At most `limits.IMAGE_SIGNATURES` documents and `limits.IMAGE_SIGNATURES_SIZE` bytes are looked at; what is beyond
    has one verdict, `too-many`.
    """
    verdicts: list[Verdict] = []
    looked = size = 0
    for carrier in carriers:
        seen: set[tuple[str, Digest]] = set()
        layers = carrier.manifest.layers or (None,)
        for layer in layers:
            looked += 1
            size += 0 if layer is None else min(layer.size, limits.ATTESTATION)
            if looked > limits.IMAGE_SIGNATURES or size > limits.IMAGE_SIGNATURES_SIZE:
                most = f"at most {limits.IMAGE_SIGNATURES} of an image are looked at"
                verdicts.append(_refusal(carrier, None, refused(Refusal.TOO_MANY, "more signatures follow", most)))
                return verdicts
            found = list(_look(subject, carrier, layer, blobs, pins, seen))
            looked += len(found) - 1  # each signature of an envelope counts
            verdicts += found
    return verdicts


def _look(
    subject: Subject, carrier: Carrier, layer: Descriptor | None, blobs: BlobReader, pins: Pins,
    seen: set[tuple[str, Digest]],
) -> Iterator[Verdict]:  # fmt: skip
    found = None if layer is None else _format_of(layer)
    try:
        _check_subject(subject, carrier)
        if layer is None:
            raise refused(Refusal.NO_SIGNATURE, "a carrier without a signature")
        if found is None:
            raise refused(Refusal.UNSUPPORTED, "no signature in a format that is known here", layer.media_type[:120])
        if found.alone and len(carrier.manifest.layers) > 1:
            raise refused(Refusal.TOO_MANY, "such a signature stands alone in its manifest")
        document = _read(blobs, layer, found.most)
        outcomes = _verify(found, document, layer, subject, pins)
    except LockgateError as error:
        outcomes = [error]
    for outcome in outcomes:
        if isinstance(outcome, LockgateError):
            yield _refusal(carrier, found, outcome)
            continue
        announced = carrier.manifest.annotations.get(sigstore_bundle.PREDICATE)
        if announced is not None and announced != outcome.predicate_type:
            what = "the carrier announces another predicate type than was signed"
            yield _refusal(carrier, found, refused(Refusal.WRONG_PREDICATE, what, announced[:120]), outcome.claim)
            continue
        mark = (outcome.record.keyid, outcome.signed)
        if mark in seen:
            doubled = refused(Refusal.DOUBLED, "the same key has signed the same document here already")
            yield _refusal(carrier, found, doubled, outcome.claim)
            continue
        seen.add(mark)
        yield _verdict(carrier, found, outcome)


def _verify(
    found: Format, document: bytes, layer: Descriptor, subject: Subject, pins: Pins
) -> Sequence[Outcome]:  # fmt: skip
    """A format's outcomes. What its reader stumbles over is malformed: a document that the reader's author did not
    think of must not keep an image, or the bundle that brings it, from being judged. Raises LockgateError."""
    try:
        return found.verify(document, layer, subject, pins)
    except (LockgateError, MemoryError):
        raise
    except Exception as error:
        raise refused(Refusal.MALFORMED, "the document cannot be read", type(error).__name__) from None


def _announced_claim(carrier: Carrier, found: Format | None) -> Claim:
    """What a document that does not count was meant to be, as far as its carrier says: it decides nothing."""
    announced = carrier.manifest.annotations.get(sigstore_bundle.PREDICATE, SIGN_PREDICATE)
    if announced != SIGN_PREDICATE:
        return Claim.ATTESTATION
    return Claim.SIGNATURE if found is None else found.claim


def _check_subject(subject: Subject, carrier: Carrier) -> None:
    """What a carrier refers to is the image, by digest, media type and size. Below a tag it need not refer to any."""
    said = carrier.manifest.subject
    if said is None and carrier.tag:
        return
    if said is None or (said.digest, said.media_type, said.size) != (
        subject.digest, subject.media_type, len(subject.raw),
    ):  # fmt: skip
        raise refused(Refusal.OTHER_SUBJECT, "the carrier refers to another image, or gives it another type or size")


def _read(blobs: BlobReader, layer: Descriptor, most: int) -> bytes:
    """A document, of its digest and size. Raises RefusedError, NotFoundError."""
    if layer.size > most:
        raise refused(Refusal.TOO_LARGE, f"a document of {layer.size} bytes; at most {most} are looked at")
    try:
        with blobs.open_blob(layer.digest) as file:
            raw = file.read(layer.size + 1)
    except NotFoundError:
        raise refused(Refusal.MISSING, "the document is not in the store", str(layer.digest)) from None
    if len(raw) != layer.size or Digest.of(raw, layer.digest.algorithm) != layer.digest:
        raise refused(Refusal.ALTERED, "the document's bytes are not those of its digest", str(layer.digest))
    return raw


def _format_of(layer: Descriptor) -> Format | None:
    return FORMATS.get(layer.media_type)


def _is_bundle(layer: Descriptor) -> bool:
    return layer.media_type.startswith(sigstore_bundle.FAMILY)


def _verdict(carrier: Carrier, found: Format | None, proof: Proof) -> Verdict:
    record = proof.record
    return Verdict(
        format=FormatName.UNKNOWN if found is None else found.name,
        carrier=carrier.digest,
        tag=carrier.tag,
        claim=proof.claim,
        predicate_type=proof.predicate_type,
        owner=record.owner,
        keyid=record.keyid,
        fingerprint=record.key.fingerprint,
        identity=proof.identity,
        signed_at=proof.signed_at,
        annotations=proof.annotations,
        builder=proof.builder,
        sources=proof.sources,
    )


def _refusal(carrier: Carrier, found: Format | None, error: LockgateError, claim: Claim | None = None) -> Verdict:
    record = error.record if isinstance(error, PinError) else None
    return Verdict(
        format=FormatName.UNKNOWN if found is None else found.name,
        carrier=carrier.digest,
        tag=carrier.tag,
        claim=claim or _announced_claim(carrier, found),
        owner="" if record is None else record.owner,
        keyid="" if record is None else record.keyid,
        fingerprint="" if record is None else record.key.fingerprint,
        refusal=code_of(error),
        reason=error.diagnostics(),
    )
