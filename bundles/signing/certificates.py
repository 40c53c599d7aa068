"""X.509 certificates: the roots that a station pins for images, and what a certificate of a signing chain must be.

A pinned root is a self-signed certificate, for images (Notation) or bundles (CMS). It is kept as a `PublicKey` of the
algorithm `x509` whose encoding is the certificate (DER), and never verifies a signature itself: what it signs are
certificates, and `bundles.image_signatures.notation` and `bundles.signing.cms.verify` follow them. Rules are those of
the Notary Project specification (signature specification, Certificate Requirements) and RFC 5280, sections 4.2.1.3,
4.2.1.9 and 4.2.1.12. The library's own verifier refuses chains without an authority key identifier, which Notation's
certificates need not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from bundles import limits
from bundles.errors import MalformedError
from bundles.io.der import BIT_STRING, SEQUENCE, Reader

ALGORITHM: Final = "x509"
PURPOSES: Final = frozenset({"bundle", "image"})
"""What a root may be pinned for, by signers' certificates below it: images (Notation), and bundles (CMS)."""
UNFIT: Final = "certificate-unfit"
WEAK: Final = "weak-key"
EXPIRED: Final = "certificate-expired"
EARLY: Final = "certificate-not-yet-valid"
NOT_ISSUED: Final = "chain-broken"
"""Codes of what is wrong with a certificate (bundles.image_signatures.verdict)."""

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_UNREADABLE: Final = (
    ValueError, TypeError, KeyError, AttributeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion,
    x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What the library raises for parts of a certificate that it cannot read; it reads them when they are asked for."""
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CRITICAL_KNOWN: Final = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)
"""Critical extensions that are checked here; another one is a demand that nobody here knows (RFC 5280, 4.2)."""
_FOREIGN_USAGES: Final = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
)
"""Usages that a certificate for signing code must not have."""
_SIGNERS_USAGES: Final = frozenset(
    {
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.CODE_SIGNING,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # documentSigning
    }
)
"""Usages of which a person's certificate has one, where it names any."""


def check_purposes(algorithm: str, purposes: Iterable[str]) -> None:
    """A root certificate is pinned for images and bundles alone, whatever a key may be pinned for. Raises
    MalformedError."""
    if algorithm == ALGORITHM and not set(purposes) <= PURPOSES:
        raise MalformedError(
            "a root certificate is pinned for images and bundles alone",
            thing=", ".join(sorted(purposes)),
            remedy="pin it with --purpose image or --purpose bundle; other purposes take a key",
        )


def is_certificate(pem: bytes) -> bool:
    """Whether a file is a certificate in PEM."""
    return pem.lstrip().startswith(_BEGIN)


def load(der: bytes) -> x509.Certificate:
    """A certificate from its DER, which must be its one encoding. Raises MalformedError."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.public_bytes(serialization.Encoding.DER) != der or certificate.version != x509.Version.v3:
            raise MalformedError("a certificate with bytes of its own, or of another version than 3", code=UNFIT)
        parts = Reader(der).inside(SEQUENCE, "the certificate")
        _ = parts.read(SEQUENCE, "the certificate"), parts.read(SEQUENCE, "the certificate's algorithm")
        if parts.read(BIT_STRING, "the certificate's signature").content[:1] != b"\0":  # the library does not look
            raise MalformedError("a certificate whose signature has bits of its own", code=UNFIT)
    except _UNREADABLE as error:
        raise MalformedError("not an X.509 certificate", thing=str(error)[:120], code=UNFIT) from None
    return certificate


def load_read(der: bytes) -> x509.Certificate:
    """As `load`, with every part that is looked at later read now. Raises MalformedError."""
    certificate = load(der)
    try:
        _ = (certificate.subject, certificate.issuer, certificate.serial_number, certificate.public_key(),
             certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.extensions)  # fmt: skip
    except _UNREADABLE as error:
        raise MalformedError("a certificate that cannot be read", thing=str(error)[:120], code=UNFIT) from None
    return certificate


def parse_root(pem: bytes) -> bytes:
    """The DER of a root certificate's file: one PEM block, self-signed, and fit to be pinned. Raises MalformedError."""
    try:
        der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    except _UNREADABLE:
        raise MalformedError("not a certificate in PEM", remedy="give one X.509 certificate in PEM") from None
    if render(der).splitlines() != pem.rstrip().splitlines():
        raise MalformedError("a certificate's file with bytes of its own", remedy="it must hold one PEM block alone")
    certificate = load(der)
    check_issued(certificate, certificate)
    if is_ca(certificate):
        check_ca(certificate, 0)
    else:
        check_leaf(certificate)
    return der


def render(der: bytes) -> bytes:
    """A certificate's file (RFC 7468, section 5). Raises MalformedError."""
    return load(der).public_bytes(serialization.Encoding.PEM)


def name_of(certificate: x509.Certificate) -> str:
    """The subject, as RFC 4514 writes it. Raises MalformedError: a name of a type that the library does not read (it
    raises TypeError for a BIT STRING), or text that is none of its type."""
    try:
        return certificate.subject.rfc4514_string()
    except _UNREADABLE:
        raise MalformedError("a certificate's subject cannot be read", code=UNFIT) from None


def check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """That `issuer` signed the certificate, by names and by signature, with SHA-2. Raises MalformedError."""
    try:
        hashed = certificate.signature_hash_algorithm
        if not isinstance(hashed, _HASHES):
            raise _wrong(certificate, "is signed with another hash than SHA-256, SHA-384 or SHA-512", WEAK)
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        raise _wrong(certificate, "is not signed by the next certificate of its chain", NOT_ISSUED) from None
    except _UNREADABLE:
        raise _wrong(certificate, "was not issued by the next certificate of its chain", NOT_ISSUED) from None


def check_valid(certificate: x509.Certificate, at: datetime) -> None:
    """That `at` (with its zone) is within the certificate's validity. Raises MalformedError."""
    if at < certificate.not_valid_before_utc:
        raise _wrong(certificate, f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}", EARLY)
    if at > certificate.not_valid_after_utc:
        raise _wrong(certificate, f"expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}", EXPIRED)


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it says that it may issue others. Raises MalformedError."""
    found = _find(certificate, x509.BasicConstraints)
    return found is not None and found.value.ca


def check_ca(certificate: x509.Certificate, below: int) -> None:
    """A certificate that issued others, `below` of them between it and the leaf. Raises MalformedError."""
    _check_key(certificate)
    constraints, usage = _find(certificate, x509.BasicConstraints), _find(certificate, x509.KeyUsage)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise _wrong(certificate, "is no authority's: it lacks critical basic constraints with CA", UNFIT)
    if usage is None or not usage.critical or not usage.value.key_cert_sign:
        raise _wrong(certificate, "may not sign certificates: it lacks the critical key usage", UNFIT)
    length = constraints.value.path_length
    if length is not None and below > length:
        raise _wrong(certificate, f"allows {length} authorities below it, and there are {below}", UNFIT)
    _check_critical(certificate)


def check_leaf(certificate: x509.Certificate) -> None:
    """A certificate that signs artifacts and nothing else. Raises MalformedError."""
    _check_key(certificate)
    if is_ca(certificate):
        raise _wrong(certificate, "is an authority's and signs no artifact", UNFIT)
    usage, extended = _find(certificate, x509.KeyUsage), _find(certificate, x509.ExtendedKeyUsage)
    if usage is None or not usage.critical or not usage.value.digital_signature:
        raise _wrong(certificate, "may not sign: it lacks the critical key usage digitalSignature", UNFIT)
    said = usage.value
    if said.key_encipherment or said.data_encipherment or said.key_agreement or said.key_cert_sign or said.crl_sign:
        raise _wrong(certificate, "has key usages beside signing", UNFIT)
    if extended is not None and _FOREIGN_USAGES & set(extended.value):
        raise _wrong(certificate, "is for another purpose than signing code", UNFIT)
    _check_critical(certificate)


def check_signer(certificate: x509.Certificate) -> None:
    """A person's certificate for signatures of bundles (CMS). Raises MalformedError.

    Cards have usages for letters and documents (RFC 5280, section 4.2.1.12; RFC 9336), and their key usages need not be
    critical. One for servers, for logging in or for time stamps signs no bundle.
    """
    _check_key(certificate)
    if is_ca(certificate):
        raise _wrong(certificate, "is an authority's and signs no bundle", UNFIT)
    usage, extended = _find(certificate, x509.KeyUsage), _find(certificate, x509.ExtendedKeyUsage)
    if usage is None or not (usage.value.digital_signature or usage.value.content_commitment):
        raise _wrong(certificate, "may not sign: it lacks the key usage digitalSignature or nonRepudiation", UNFIT)
    if usage.value.key_cert_sign or usage.value.crl_sign:
        raise _wrong(certificate, "has key usages of an authority", UNFIT)
    if extended is not None and not _SIGNERS_USAGES & set(extended.value):
        raise _wrong(certificate, "is for another purpose than signing letters, documents or code", UNFIT)
    _check_critical(certificate)


def _check_key(certificate: x509.Certificate) -> None:
    try:
        key = certificate.public_key()
    except _UNREADABLE:
        raise _wrong(certificate, "has a key that cannot be read", WEAK) from None
    if isinstance(key, rsa.RSAPublicKey) and limits.RSA_BITS_LEAST <= key.key_size <= limits.RSA_BITS_MOST:
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return
    raise _wrong(
        certificate, f"has no key that counts: RSA of {limits.RSA_BITS_LEAST} bits or more, P-256, P-384 or P-521", WEAK
    )


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in _extensions(certificate):
        if extension.critical and extension.oid not in _CRITICAL_KNOWN:
            raise _wrong(certificate, f"has a critical extension that is not checked ({extension.oid.dotted_string})",
                         UNFIT)  # fmt: skip


def _extensions(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except _UNREADABLE:
        raise _wrong(certificate, "has extensions that cannot be read, or one twice", UNFIT) from None


def _find(certificate: x509.Certificate, kind: type[_Kind]) -> x509.Extension[_Kind] | None:
    return next((one for one in _extensions(certificate) if isinstance(one.value, kind)), None)


def _wrong(certificate: x509.Certificate, what: str, code: str) -> MalformedError:
    return MalformedError(f"the certificate {what}", thing=_shown(certificate)[:200], code=code)


def _shown(certificate: x509.Certificate) -> str:
    """A certificate in an error: by its subject, else by its serial number. Raises nothing."""
    try:
        return name_of(certificate)
    except MalformedError:
        pass
    try:
        return f"serial number {certificate.serial_number:x}"
    except _UNREADABLE:
        return "unreadable subject"
