"""What a look at one signature gives: whose it is, or why it does not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bundles.errors import LockgateError, MalformedError, RefusedError
from bundles.oci.digest import Digest
from bundles.signing import certificates
from bundles.signing.trust import TrustRecord


class FormatName(StrEnum):
    """The formats by name."""

    COSIGN = "cosign"
    """Cosign's simple signing payload, in a layer below the tag `sha256-….sig`."""
    SIGSTORE = "sigstore-bundle"
    DSSE = "dsse"
    """A bare DSSE envelope: cosign's attestations below the tag `sha256-….att`."""
    NOTATION = "notation-jws"
    NOTATION_COSE = "notation-cose"
    UNKNOWN = "unknown"


class Claim(StrEnum):
    """What is said by it: that somebody vouches for the image, or a statement about it."""

    SIGNATURE = "signature"
    ATTESTATION = "attestation"


class Refusal(StrEnum):
    """Why a signature does not count. A released value never changes."""

    MALFORMED = "malformed"
    """Not what its format demands: JSON with duplicate keys, base64 with slack bits, a field that is missing."""
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    """Beyond what is looked at: of layers, of signatures in an envelope, of subjects."""
    MISSING = "missing"
    """The document is not in the store."""
    ALTERED = "altered"
    """The document's bytes are not those of its digest and size."""
    NO_SIGNATURE = "no-signature"
    """A carrier without a signature, or a statement that nobody signed."""
    UNSUPPORTED = "unsupported-format"
    CERTIFICATE_BASED = "certificate-based"
    """Signed by a certificate of an authority that is not pinned here (keyless signing)."""
    UNKNOWN_KEY = "unknown-key"
    """No key that is pinned for images made it."""
    KEY_REVOKED = "key-revoked"
    KEY_NOT_VALID = "key-not-valid"
    """Outside the time for which the key is pinned."""
    OTHER_SUBJECT = "other-subject"
    """Of another digest, media type or size than the image's."""
    WRONG_TYPE = "wrong-type"
    """A good signature over a document of another kind."""
    WRONG_PREDICATE = "wrong-predicate"
    """The statement's predicate type is not the one that its carrier announces."""
    NOT_PASSED = "not-passed"
    """A verification summary that does not say `PASSED`."""
    WRONG_ALGORITHM = "wrong-algorithm"
    """The document names another algorithm than its key has."""
    WRONG_SIGNATURE = "wrong-signature"
    """The certificate's key did not make it."""
    UNKNOWN_ROOT = "unknown-root"
    """The chain does not end in a root that is pinned for images."""
    CHAIN_BROKEN = certificates.NOT_ISSUED
    CERTIFICATE_UNFIT = certificates.UNFIT
    CERTIFICATE_EXPIRED = certificates.EXPIRED
    CERTIFICATE_EARLY = certificates.EARLY
    WEAK_KEY = certificates.WEAK
    SIGNATURE_EXPIRED = "signature-expired"
    DOUBLED = "doubled"
    """The same key has signed the same document in this carrier already."""


SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
"""The predicate by which cosign signs an image. Every other one is an attestation and no signature."""
PREDICATES: Final[Mapping[str, str]] = {
    SIGN_PREDICATE: "cosign-sign",
    "https://slsa.dev/provenance/v1": "slsa-provenance",
    "https://slsa.dev/provenance/v0.2": "slsa-provenance",
    "https://slsa.dev/verification_summary/v1": "slsa-vsa",
    "https://cyclonedx.org/bom": "cyclonedx",
    "https://spdx.dev/Document": "spdx",
    "https://in-toto.io/attestation/vulns/v0.2": "vulns",
    "https://cosign.sigstore.dev/attestation/v1": "custom",
    "https://cosign.sigstore.dev/attestation/vuln/v1": "cosign-vuln",
}
"""Predicate types that have a name here. They are compared whole: no version stands for another one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The image or index that is asked about: its manifest's bytes, and how it is announced."""

    digest: Digest
    media_type: str
    raw: bytes

    @classmethod
    def of(cls, raw: bytes, media_type: str, digest: Digest) -> Subject:
        """Raises RefusedError where the bytes are not the digest's."""
        if Digest.of(raw, digest.algorithm) != digest:
            raise RefusedError("a manifest's bytes are not its digest's", thing=str(digest), code=Refusal.ALTERED)
        return cls(digest, media_type, raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A signature that holds, over this image, by a pinned key or below a pinned root.

    `signed` is the digest of the signed bytes. `identity` is the subject of the signer's certificate, "" for a bare
    key; `signed_at` the time that the document gives, which only its signer vouches for; `annotations` were signed.
    `builder` and `sources` are what a provenance says (bundles.image_signatures.provenance).
    """

    record: TrustRecord
    signed: Digest
    claim: Claim = Claim.SIGNATURE
    predicate_type: str = ""
    identity: str = ""
    signed_at: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    builder: str = ""
    sources: tuple[str, ...] = ()


Outcome = Proof | LockgateError
"""Of one signature: that it holds, or why it does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one signature or attestation.

    `carrier` is the digest of the manifest that brings it, `tag` the tag that led there ("" for a referrer). Where
    `refusal` is None it is verified, and `owner`, `keyid` and `fingerprint` are of the pinned key or root; else
    `reason` says in words what is wrong, and the key's fields are empty but for a key that is revoked or out of its
    time.
    """

    format: FormatName
    carrier: Digest
    tag: str = ""
    claim: Claim = Claim.SIGNATURE
    predicate_type: str = ""
    owner: str = ""
    keyid: str = ""
    fingerprint: str = ""
    identity: str = ""
    signed_at: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    builder: str = ""
    sources: tuple[str, ...] = ()
    refusal: Refusal | None = None
    reason: str = ""

    @property
    def verified(self) -> bool:
        return self.refusal is None

    @property
    def predicate(self) -> str:
        """The predicate's short name, "" for one that has none here."""
        return PREDICATES.get(self.predicate_type, "")


def refused(code: Refusal, what: str, thing: str = "") -> RefusedError:
    """A refusal by name."""
    return RefusedError(what, thing=thing, code=code.value)


def code_of(error: LockgateError) -> Refusal:
    """The refusal that an error of a format's reader stands for."""
    try:
        return Refusal(error.code)
    except ValueError:
        return Refusal.MALFORMED if isinstance(error, MalformedError) else Refusal.MISSING
