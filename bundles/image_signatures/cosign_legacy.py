"""Cosign's simple signing: a payload in a layer, its signature in the layer's annotation (cosign, SIGNATURE_SPEC.md).

What binds the payload to the image is its digest alone. `docker-reference` is a name that the signer chose, and whoever
moves an image may not change it: it is not looked at.
"""

from __future__ import annotations

from typing import Final

from bundles.errors import LockgateError
from bundles.image_signatures.encoding import read_object, standard, texts
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Outcome, Proof, Refusal, Subject, refused
from bundles.oci.descriptor import Descriptor, exact_keys, expect_object
from bundles.oci.digest import Digest

MEDIA_TYPE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
TYPE: Final = "cosign container image signature"
_FIELDS: Final = frozenset({"critical", "optional"})
_CRITICAL: Final = frozenset({"identity", "image", "type"})
_IMAGE: Final = frozenset({"docker-manifest-digest"})


def verify(document: bytes, layer: Descriptor, subject: Subject, pins: Pins) -> list[Outcome]:
    """The one signature of a layer. Raises MalformedError, RefusedError."""
    said = layer.annotations.get(SIGNATURE, "")
    if not said:
        raise refused(Refusal.NO_SIGNATURE, "the layer has no signature in its annotations")
    try:
        record = pins.signer(document, standard(said, "the signature"))
    except LockgateError as error:
        if error.code == Refusal.UNKNOWN_KEY and layer.annotations.get(CERTIFICATE):
            raise refused(
                Refusal.CERTIFICATE_BASED, "signed by a certificate of an authority that is not pinned here"
            ) from None
        raise
    fields = read_object(document, _FIELDS, "the payload")
    critical = exact_keys(expect_object(fields.get("critical"), "critical"), _CRITICAL, "critical")
    if critical.keys() - _CRITICAL:
        odd = ", ".join(map(ascii, sorted(critical.keys() - _CRITICAL)))
        raise refused(Refusal.MALFORMED, "the payload has a critical field that nobody here knows", odd[:120])
    if critical.get("type") != TYPE:
        raise refused(Refusal.WRONG_TYPE, "the payload is no signature of an image", repr(critical.get("type"))[:120])
    image = exact_keys(expect_object(critical.get("image"), "critical.image"), _IMAGE, "critical.image")
    if image.get("docker-manifest-digest") != str(subject.digest):
        raise refused(Refusal.OTHER_SUBJECT, "the signature is of another image")
    optional = expect_object(fields.get("optional") or {}, "optional")
    plain = {name: value for name, value in optional.items() if isinstance(value, str)}
    return [Proof(record=record, signed=Digest.of(document), annotations=texts(plain, "optional"))]
