"""Notation's envelope in COSE: a tagged COSE_Sign1 (RFC 9052, section 4.2; Notary Project, signature-envelope-cose.md).

| label | header |
|---|---|
| 1, 2, 3 | algorithm, critical fields, content type (protected) |
| `io.cncf.notary.…` | scheme, times as tagged epoch seconds (protected) |
| 33 | the chain, a certificate or a list of them (unprotected; RFC 9360) |
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any, Final

from bundles.image_signatures import cbor, notation
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Refusal, Subject, refused
from bundles.io.times import FORMAT
from bundles.oci.descriptor import Descriptor

MEDIA_TYPE: Final = "application/cose"
_SIGN1: Final = 18
_EPOCH: Final = 1
_ALGORITHM, _CRITICAL, _CONTENT_TYPE, _CHAIN = 1, 2, 3, 33
_PARTS: Final = 4


def verify(document: bytes, _: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """The one signature of an envelope. Raises MalformedError, RefusedError, PinError."""
    whole = cbor.loads(document, "the envelope")
    parts = whole.value if isinstance(whole, cbor.Tagged) and whole.tag == _SIGN1 else None
    if not isinstance(parts, list) or len(parts) != _PARTS:
        raise refused(Refusal.MALFORMED, "the envelope is no COSE_Sign1")
    raw, unprotected, payload, signature = parts
    if not all(isinstance(one, bytes) for one in (raw, payload, signature)) or not isinstance(unprotected, dict):
        raise refused(Refusal.MALFORMED, "the envelope's parts are not those of a COSE_Sign1")
    protected = cbor.loads(raw, "the protected header")
    if not isinstance(protected, dict) or protected.keys() & unprotected.keys():
        raise refused(Refusal.MALFORMED, "the protected header is no map, or the other one repeats it")
    said = notation.ProtectedHeader(
        algorithm=None if isinstance(protected.get(_ALGORITHM), str) else protected.get(_ALGORITHM),
        content_type=protected.get(_CONTENT_TYPE),
        scheme=protected.get(notation.SCHEME),
        critical=protected.get(_CRITICAL),
        names=protected.keys(),
        signed_at=_time(protected.get(notation.TIME)),
        expiry=_time(protected[notation.EXPIRY]) if notation.EXPIRY in protected else "",
    )
    return [notation.prove(said, _encoded(unprotected), to_be_signed(raw, payload), signature, payload, subject, pins)]


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """The bytes of a Sig_structure (RFC 9052, section 4.4), without external data."""
    head = b"\x84\x6aSignature1"
    return b"".join((head, _bytes(protected), _bytes(b""), _bytes(payload)))


def _bytes(data: bytes) -> bytes:
    """A byte string in its shortest form (RFC 8949, section 3)."""
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    for lead, form, most in ((0x58, ">B", 0xFF), (0x59, ">H", 0xFFFF)):
        if size <= most:
            return bytes([lead]) + struct.pack(form, size) + data
    return b"\x5a" + struct.pack(">I", size) + data


def _time(value: Any) -> str:
    """A time: whole seconds since 1970 under tag 1 (RFC 8949, section 3.4.2)."""
    seconds = value.value if isinstance(value, cbor.Tagged) and value.tag == _EPOCH else None
    if not isinstance(seconds, int) or not 0 <= seconds < 253_402_300_800:
        raise refused(Refusal.MALFORMED, "a time in the envelope is none")
    return datetime.fromtimestamp(seconds, UTC).strftime(FORMAT)


def _encoded(unprotected: dict[int | str, Any]) -> list[bytes]:
    chain = unprotected.get(_CHAIN)
    listed = [chain] if isinstance(chain, bytes) else chain
    if not isinstance(listed, list) or not all(isinstance(one, bytes) for one in listed):
        raise refused(Refusal.MALFORMED, "the envelope has no chain of certificates")
    return listed
