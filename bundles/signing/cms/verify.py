"""Who made a CMS signature: the certificate that it names, by a chain that leads to a root of the trust folder.

The rules, in their order: the file is in its one shape (signed_data); its message digest is that of the content; the
certificate that it names is in it and its key made the signature; each certificate to the pinned root was issued by the
next one, by name and signature, is valid now and fit; the root is pinned for the purpose that is asked. No network is
asked. A person is the common name that the root's authority certified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from bundles import limits
from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.io import der
from bundles.signing import certificates
from bundles.signing.cms.signed_data import SignedData, parse
from bundles.signing.keys import PublicKey
from bundles.signing.policy import check_owner
from bundles.signing.signatures import is_strict_der, order_of
from bundles.signing.trust import TrustRecord

_HASHES: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@dataclass(frozen=True, slots=True)
class Made:
    """A signature that holds over its content: the signer's certificate, its key, and every certificate beside it."""

    certificate: x509.Certificate
    key: PublicKey
    others: tuple[x509.Certificate, ...]


def made_by(file: bytes, content: bytes) -> Made:
    """The certificate whose key made this signature of `content`; whether it is believed is not asked. Raises
    MalformedError: not in its shape, over other bytes, or by another key."""
    said = parse(file)
    if hashlib.new(said.digest, content).digest() != said.message_digest:
        raise MalformedError("the signature is over other bytes", remedy="sign SHA256SUMS of this very bundle")
    loaded = [certificates.load_read(one) for one in said.certificates]
    found = [one for one in loaded if _is_named(one, said)]
    if len(found) != 1:
        raise MalformedError(
            "the CMS file lacks its signer's certificate, or has it twice", remedy="sign without -nocerts"
        )
    (signer,) = found
    key = PublicKey.of(signer.public_key())
    if not _holds(signer, said):
        raise MalformedError("the certificate's key did not make the signature")
    return Made(signer, key, tuple(one for one in loaded if one is not signer))


def is_made_by(key: PublicKey, content: bytes, files: Mapping[str, bytes]) -> bool:
    """Whether these files (kind to bytes) are the key's signature over `content`, as a key or by a certificate; whether
    the certificate is believed is not asked."""
    if set(files) != {"cms"}:
        return key.verify_files(content, files)
    try:
        return made_by(files["cms"], content).key == key
    except MalformedError:
        return False


def signer_of(file: bytes, content: bytes, records: Iterable[TrustRecord], purpose: str, at: str) -> TrustRecord:
    """Whose a signature of `content` is, as a pinned key's record: the signer's key and common name, with purposes,
    sites and validity of the pinned root. Raises RefusedError, at time `at` (UTC text)."""
    try:
        made = made_by(file, content)
        certificates.check_signer(made.certificate)
        root = _root(made, [one for one in records if one.key.algorithm == certificates.ALGORITHM], purpose, at)
        owner = _common_name(made.certificate)
    except MalformedError as error:
        raise RefusedError(
            error.what, thing=error.thing, remedy=error.remedy or "have it signed with another certificate",
            code=error.code,
        ) from None  # fmt: skip
    return replace(root, key=made.key, owner=owner)


def _is_named(certificate: x509.Certificate, said: SignedData) -> bool:
    serial = certificate.serial_number
    length = (serial.bit_length() + 8) // 8
    return (
        certificate.issuer.public_bytes() == said.issuer
        and der.encode(der.INTEGER, serial.to_bytes(length, "big", signed=True)) == said.serial
    )


def _holds(certificate: x509.Certificate, said: SignedData) -> bool:
    key, hashed = certificate.public_key(), _HASHES[said.digest]
    try:
        if isinstance(key, rsa.RSAPublicKey) and said.kind == "rsa":
            if len(said.signature) != (key.key_size + 7) // 8:
                return False
            key.verify(said.signature, said.attributes, padding.PKCS1v15(), hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey) and said.kind == "ecdsa":
            if not is_strict_der(said.signature, order_of(key)):
                return False
            key.verify(said.signature, said.attributes, ec.ECDSA(hashed))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _root(made: Made, roots: Sequence[TrustRecord], purpose: str, at: str) -> TrustRecord:
    """The pinned root that the signer's certificate leads to. The first that counts for the purpose is preferred."""
    now, above = datetime.fromisoformat(at), made.certificate
    certificates.check_valid(above, now)
    left, below = list(made.others), 0
    pinned = sorted(roots, key=lambda one: one.objection(purpose, at) is not None)
    while True:
        for record in pinned:
            root = certificates.load(record.key.encoded)
            if root != above and not _issued(above, root):
                continue
            if root != above:
                certificates.check_valid(root, now)
                certificates.check_ca(root, below)
            if any(one != root for one in left):
                raise MalformedError(
                    "the CMS file has a certificate that is none of the signer's chain", remedy="sign without it"
                )
            return record
        issuer = next((one for one in left if _issued(above, one)), None)
        if issuer is None or below >= limits.CERTIFICATE_CHAIN:
            raise MalformedError(
                "the signer's certificate leads to no root that is pinned here",
                thing=certificates.name_of(made.certificate)[:200],
                remedy="compare the root's fingerprint with its authority over another channel, then pin it: lockgate"
                " key trust FILE --purpose bundle --owner WHO --from SITE",
            )
        left.remove(issuer)
        certificates.check_valid(issuer, now)
        certificates.check_ca(issuer, below)
        above, below = issuer, below + 1


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificates.check_issued(certificate, issuer)
    except MalformedError as error:
        if error.code == certificates.WEAK:  # named: another root would not make its hash a better one
            raise
        return False
    return True


def _common_name(certificate: x509.Certificate) -> str:
    """The signer's name, one that passes for nobody else's (bundles.signing.policy)."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or not isinstance(names[0].value, str):
        raise MalformedError("the signer's certificate has no common name, or several")
    try:
        check_owner(names[0].value)
    except LockgateError as error:
        raise MalformedError(error.what, thing=error.thing) from None
    return names[0].value
