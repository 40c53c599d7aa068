"""SignedData over bytes that lie beside it, in the one shape that is taken (RFC 5652, sections 3, 5 and 11).

| part | what it must be |
|---|---|
| file | one PEM block of type CMS, in its one form |
| content | of type data, and absent: the signature is detached |
| certificates | X.509 alone, at most `limits.CERTIFICATE_CHAIN` |
| CRLs | none: a signer's own word on revocation says nothing |
| signers | exactly one, named by issuer and serial number |
| signed attributes | content-type (data) and message-digest once each; others may stand beside them |
| unsigned attributes | none: anybody can add them |
| algorithms | SHA-256, -384 or -512; RSA with PKCS#1 v1.5, or ECDSA |
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import der
from bundles.io.der import Element, Reader

BEGIN: Final = b"-----BEGIN CMS-----\n"
END: Final = b"-----END CMS-----\n"
_WIDTH: Final = 64

DATA: Final = der.encode_oid("1.2.840.113549.1.7.1")
SIGNED_DATA: Final = der.encode_oid("1.2.840.113549.1.7.2")
CONTENT_TYPE: Final = der.encode_oid("1.2.840.113549.1.9.3")
MESSAGE_DIGEST: Final = der.encode_oid("1.2.840.113549.1.9.4")
DIGESTS: Final[Mapping[bytes, str]] = {
    der.encode_oid("2.16.840.1.101.3.4.2.1"): "sha256",
    der.encode_oid("2.16.840.1.101.3.4.2.2"): "sha384",
    der.encode_oid("2.16.840.1.101.3.4.2.3"): "sha512",
}
RSA: Final = der.encode_oid("1.2.840.113549.1.1.1")
SIGNATURES: Final[Mapping[bytes, tuple[str, str]]] = {
    RSA: ("rsa", ""),
    der.encode_oid("1.2.840.113549.1.1.11"): ("rsa", "sha256"),
    der.encode_oid("1.2.840.113549.1.1.12"): ("rsa", "sha384"),
    der.encode_oid("1.2.840.113549.1.1.13"): ("rsa", "sha512"),
    der.encode_oid("1.2.840.10045.4.3.2"): ("ecdsa", "sha256"),
    der.encode_oid("1.2.840.10045.4.3.3"): ("ecdsa", "sha384"),
    der.encode_oid("1.2.840.10045.4.3.4"): ("ecdsa", "sha512"),
}
"""By identifier: the kind of key, and the hash where the identifier says it."""
_WEAK: Final[Mapping[bytes, str]] = {
    der.encode_oid("1.3.14.3.2.26"): "SHA-1",
    der.encode_oid("1.2.840.113549.2.5"): "MD5",
    der.encode_oid("1.2.840.113549.1.1.5"): "SHA-1 with RSA",
    der.encode_oid("1.2.840.10045.4.1"): "SHA-1 with ECDSA",
    der.encode_oid("1.2.840.113549.1.1.10"): "RSASSA-PSS",
}

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class SignedData:
    """What a signature file says. `issuer` (a name in DER) and `serial` (an INTEGER in DER) name the signer's
    certificate among `certificates` (DER); `attributes` is the SET that was signed."""

    certificates: tuple[bytes, ...]
    issuer: bytes
    serial: bytes
    digest: str
    kind: str
    message_digest: bytes
    attributes: bytes
    signature: bytes


def to_pem(data: bytes) -> bytes:
    """A ContentInfo in PEM (RFC 7468, section 9), as openssl writes it."""
    text = base64.b64encode(data)
    lines = [text[at : at + _WIDTH] + b"\n" for at in range(0, len(text), _WIDTH)]
    return b"".join([BEGIN, *lines, END])


def parse(file: bytes) -> SignedData:
    """A signature file (module). Raises MalformedError naming what of it is not so."""
    outer = Reader(_from_pem(file))
    info = outer.inside(der.SEQUENCE, "the CMS file")
    outer.end("the CMS file")
    if info.read(der.OID, "the content's type").raw != SIGNED_DATA:
        raise MalformedError("the CMS file holds no signature", remedy="sign with: openssl cms -sign")
    wrapped = info.inside(der.CONTEXT_0, "the signed data")
    info.end("the CMS file")
    data = wrapped.inside(der.SEQUENCE, "the signed data")
    wrapped.end("the signed data")
    version = data.read(der.INTEGER, "the version").raw
    digests = data.inside(der.SET, "the digest algorithms")
    named = _algorithm(digests, "the digest algorithm")
    digests.end("the digest algorithm")
    _check_detached(data.inside(der.SEQUENCE, "the content"))
    certificates = _certificates(data)
    if data.tag == der.CONTEXT_1:
        raise MalformedError(
            "the CMS file carries revocation lists", remedy="sign without them: nobody's own list says anything"
        )
    signers = data.inside(der.SET, "the signers")
    data.end("the signed data")
    signer = signers.inside(der.SEQUENCE, "the signer")
    if signers.tag is not None:
        raise MalformedError("the CMS file has several signers", remedy="each signer writes a file")
    said = _signer(signer, certificates, named)
    if version != der.encode_small(1):  # of any other shape than the one above (RFC 5652, section 5.1)
        raise MalformedError("the CMS file is of another version")
    return said


def _from_pem(file: bytes) -> bytes:
    if not file.startswith(BEGIN) or len(file) > limits.SIGNATURE_FILE:
        raise MalformedError("not a CMS file in PEM", remedy="write it with: openssl cms -sign -outform PEM")
    text = file.removeprefix(BEGIN).partition(b"-----")[0]
    try:
        data = base64.b64decode(text.replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if to_pem(data) != file:
        raise MalformedError(
            "a CMS file with bytes of its own", remedy="it must hold one PEM block alone, as openssl writes it"
        )
    return data


def _check_detached(content: Reader) -> None:
    if content.read(der.OID, "the content's type").raw != DATA:
        raise MalformedError("the CMS file signs content of another type than data")
    if content.tag is not None:
        raise MalformedError(
            "the CMS file carries content of its own",
            remedy="sign SHA256SUMS detached: openssl cms -sign without -nodetach",
        )


def _certificates(data: Reader) -> tuple[bytes, ...]:
    found: list[bytes] = []
    if data.tag == der.CONTEXT_0:
        listed = data.inside(der.CONTEXT_0, "the certificates")
        while listed.tag is not None:
            found.append(listed.read(der.SEQUENCE, "a certificate").raw)
            if len(found) > limits.CERTIFICATE_CHAIN:
                raise MalformedError("the CMS file has too many certificates", thing=str(len(found)))
    return tuple(found)


def _signer(signer: Reader, certificates: tuple[bytes, ...], named: Element) -> SignedData:
    version = signer.read(der.INTEGER, "the signer's version").raw
    if version != der.encode_small(1) or signer.tag != der.SEQUENCE:
        raise MalformedError(
            "the signer is not named by issuer and serial number", remedy="sign without -keyid: openssl cms -sign"
        )
    identifier = signer.inside(der.SEQUENCE, "the signer's name")
    issuer = identifier.read(der.SEQUENCE, "the issuer").raw
    serial = identifier.read(der.INTEGER, "the serial number").raw
    identifier.end("the signer's name")
    digest = _algorithm(signer, "the digest algorithm")
    if digest.raw != named.raw:
        raise MalformedError("the signer's digest algorithm is not the one that the file names")
    if signer.tag != der.CONTEXT_0:
        raise MalformedError("the signature has no signed attributes", remedy="sign without -noattr: openssl cms -sign")
    attributes = signer.read(der.CONTEXT_0, "the signed attributes")
    method = _algorithm(signer, "the signature algorithm")
    signature = signer.read(der.OCTETS, "the signature").content
    if signer.tag is not None:
        raise MalformedError("the CMS file has attributes that nobody signed", remedy="sign without them")
    kind, hashed = _named(SIGNATURES, method, "signature")
    digest_name = _named(DIGESTS, digest, "digest")
    if hashed not in ("", digest_name):
        raise MalformedError(f"the signature is by {hashed}, and its digest by {digest_name}")
    return SignedData(
        certificates, issuer, serial, digest_name, kind, _attributes(attributes.content),
        der.encode(der.SET, attributes.content), signature,
    )  # fmt: skip


def _attributes(content: bytes) -> bytes:
    """The message digest among the signed attributes, each of which stands once, and whose content type is data."""
    found: dict[bytes, bytes] = {}
    listed = Reader(content)
    while listed.tag is not None:
        attribute = listed.inside(der.SEQUENCE, "a signed attribute")
        name = attribute.read(der.OID, "a signed attribute").raw
        values = attribute.read(der.SET, "a signed attribute").content
        attribute.end("a signed attribute")
        if name in found:
            raise MalformedError("a signed attribute stands twice")
        found[name] = values
    if found.get(CONTENT_TYPE) != DATA:
        raise MalformedError("the signed attributes name no content type, or another than data")
    said = Reader(found.get(MESSAGE_DIGEST, b""))
    digest = said.read(der.OCTETS, "the signed message digest").content
    said.end("the signed message digest")
    return digest


def _algorithm(reader: Reader, what: str) -> Element:
    """An AlgorithmIdentifier's identifier; its parameters are absent or NULL."""
    sequence = reader.inside(der.SEQUENCE, what)
    name = sequence.read(der.OID, what)
    if sequence.tag is not None and name.raw not in _WEAK and sequence.read(der.NULL, f"{what}'s parameters").content:
        raise MalformedError(f"{what} has parameters")
    if name.raw not in _WEAK:
        sequence.end(what)
    return name


def _named(known: Mapping[bytes, _Value], name: Element, what: str) -> _Value:
    if name.raw in known:
        return known[name.raw]
    shown = _WEAK.get(name.raw, name.content.hex()[:40])
    raise MalformedError(
        f"a {what} algorithm that does not count", thing=shown,
        remedy="sign with SHA-256 or longer, by ECDSA or RSA with PKCS#1 v1.5",
    )  # fmt: skip
