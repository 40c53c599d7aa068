"""Notation's envelope in JWS: the flattened JSON form alone (Notary Project, signature-envelope-jws.md)."""

from __future__ import annotations

from typing import Any, Final

from bundles.image_signatures import notation
from bundles.image_signatures.encoding import closed, read_object, standard, url_safe
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Refusal, Subject, refused
from bundles.io.times import check_time
from bundles.oci.descriptor import Descriptor, exact_keys, expect_object, expect_string, optional_string

MEDIA_TYPE: Final = "application/jose+json"
_PROTECTED: Final = frozenset({"alg", "cty", "crit", notation.SCHEME, notation.TIME, notation.EXPIRY})


def verify(document: bytes, _: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """The one signature of an envelope. Raises MalformedError, RefusedError, PinError."""
    top = frozenset({"payload", "protected", "header", "signature"})
    fields = closed(read_object(document, top, "the envelope"), top, frozenset(), "the envelope")
    protected = read_object(url_safe(fields["protected"], "protected"), _PROTECTED, "protected")
    payload, signature = url_safe(fields["payload"], "payload"), url_safe(fields["signature"], "the signature")
    said = notation.ProtectedHeader(
        algorithm=optional_string(protected.get("alg"), "alg"),
        content_type=protected.get("cty"),
        scheme=protected.get(notation.SCHEME),
        critical=protected.get("crit"),
        names=protected.keys(),
        signed_at=_time(protected.get(notation.TIME), "signingTime"),
        expiry=_time(protected[notation.EXPIRY], "expiry") if notation.EXPIRY in protected else "",
    )
    signed = f"{fields['protected']}.{fields['payload']}".encode("ascii")
    return [notation.prove(said, _encoded(fields["header"]), signed, signature, payload, subject, pins)]


def chain_of(document: bytes) -> list[bytes]:
    """The certificates in an envelope, in DER, which nobody has verified. Raises MalformedError, RefusedError."""
    top = frozenset({"payload", "protected", "header", "signature"})
    return _encoded(read_object(document, top, "the envelope").get("header"))


def _time(data: Any, what: str) -> str:
    return check_time(expect_string(data, what), what)


def _encoded(header: Any) -> list[bytes]:
    """The chain in the unprotected header."""
    unprotected = exact_keys(expect_object(header, "header"), frozenset({"x5c"}), "header")
    listed = unprotected.get("x5c")
    if not isinstance(listed, list):
        raise refused(Refusal.MALFORMED, "the envelope has no chain of certificates")
    return [standard(entry, "x5c") for entry in listed]
