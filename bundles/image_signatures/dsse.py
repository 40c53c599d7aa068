"""DSSE envelopes (secure-systems-lab/dsse, v1, envelope.md and protocol.md) that hold in-toto statements.

The bytes that are verified are the bytes that are parsed, once, afterwards. `keyid` is never looked at.
"""

from __future__ import annotations

from typing import Any, Final

from bundles import limits
from bundles.errors import LockgateError
from bundles.image_signatures import statement
from bundles.image_signatures.encoding import either, read_object
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Proof, Refusal, Subject, refused
from bundles.oci.descriptor import Descriptor, exact_keys, expect_object, expect_string
from bundles.oci.digest import Digest
from bundles.signing.signatures import Hashed
from bundles.signing.trust import TrustRecord

MEDIA_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
FIELDS: Final = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE: Final = frozenset({"sig", "keyid"})


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What a signature is over: `PAE(type, body)` of protocol.md."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify(document: bytes, _: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """A bare envelope: an outcome for each of its signatures. Raises MalformedError, RefusedError."""
    fields = read_object(document, FIELDS, "the envelope", ceiling=limits.ATTESTATION)
    return verify_fields(fields, subject, pins)


def verify_fields(fields: dict[str, Any], subject: Subject, pins: Pins) -> list[Outcome]:
    """As `verify`, of an envelope's object."""
    kind = expect_string(fields.get("payloadType"), "payloadType")
    payload = either(fields.get("payload"), "payload")
    signatures = fields.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        raise refused(Refusal.NO_SIGNATURE, "the envelope holds no signature")
    if len(signatures) > limits.DSSE_SIGNATURES:
        raise refused(Refusal.TOO_MANY, "the envelope holds too many signatures", str(len(signatures)))
    signed, outcomes = Hashed(pre_authentication(kind, payload)), list[Outcome]()
    for entry in signatures:
        one = exact_keys(expect_object(entry, "a signature"), _SIGNATURE, "a signature")
        try:
            record = pins.signer(signed, either(one.get("sig"), "a signature"))
            if kind != statement.PAYLOAD_TYPE:
                raise refused(Refusal.WRONG_TYPE, "the envelope holds no in-toto statement", kind[:120])
            outcomes.append(_proof(record, Digest.of(signed.data), statement.read(payload, subject)))
        except LockgateError as error:
            outcomes.append(error)
    return outcomes


def _proof(record: TrustRecord, signed: Digest, said: statement.Statement) -> Proof:
    return Proof(
        record=record, signed=signed, claim=said.claim, predicate_type=said.predicate_type,
        signed_at=said.provenance.at, builder=said.provenance.builder, sources=said.provenance.sources,
    )  # fmt: skip
