"""Who signed an image, by the keys that are pinned on the station."""

from __future__ import annotations

from appliance.api.common import Shape


class ImageSignature(Shape, frozen=True, kw_only=True):
    """One signature or attestation that was found beside an image.

    `claim` is `signature` or `attestation`, `carrier` the digest of the manifest that brings it, `tag` the tag that led
    there ("" for a referrer). Where `verified`, `owner`, `keyid` and `fingerprint` are of the pinned key or root, and
    `identity` is the subject of the signer's certificate; else `refusal` is a code (docs/reference/control-api.md) and
    `reason` says it in words. `predicate` is the short name of `predicate_type`, "" where it has none. `signed_at` is
    the time that the signed document gives, "" for none; `builder` and `sources` are what a SLSA provenance says.
    """

    format: str
    claim: str
    carrier: str
    tag: str = ""
    verified: bool
    owner: str = ""
    keyid: str = ""
    fingerprint: str = ""
    identity: str = ""
    predicate_type: str = ""
    predicate: str = ""
    signed_at: str = ""
    annotations: dict[str, str] = {}
    builder: str = ""
    sources: tuple[str, ...] = ()
    refusal: str = ""
    reason: str = ""


class SignedImage(Shape, frozen=True, kw_only=True):
    """An image or index. `state`: `signed`, `through-index` (the index `through` names it and is signed), `refused`
    (no signature counts), `unsigned` or `not-read`."""

    digest: str
    kind: str
    platform: str = ""
    state: str
    signed_by: tuple[str, ...] = ()
    through: str = ""
    signatures: tuple[ImageSignature, ...] = ()


class Signatures(Shape, frozen=True, kw_only=True):
    """GET /v1/signatures: what a reference names, an index before what it names. `state` is that of the whole: `signed`
    where each image is signed or lies beneath a signed index."""

    reference: str
    digest: str
    state: str
    images: tuple[SignedImage, ...] = ()


class Signable(Shape, frozen=True, kw_only=True):
    """An artifact as a signature names it. `size` is that of its manifest in bytes."""

    digest: str
    media_type: str
    size: int
    kind: str
    platform: str = ""


class Subjects(Shape, frozen=True, kw_only=True):
    """GET /v1/signatures/subjects: what a signer signs. `absent` are digests that an index names and that are not
    here."""

    reference: str
    repository: str
    digest: str
    artifacts: tuple[Signable, ...] = ()
    absent: tuple[str, ...] = ()


class AttachedSignature(Shape, frozen=True, kw_only=True):
    """A document that was handed in: `carrier` is the digest of the manifest that brings it, `tag` the tag where that
    stands ("" for a referrer); `is_new` is false where it was here already."""

    subject: str
    format: str
    claim: str
    predicate_type: str = ""
    carrier: str
    tag: str = ""
    is_new: bool


class Attached(Shape, frozen=True, kw_only=True):
    """POST /v1/signatures. `owner` is whose key it is by what is pinned here, "" where it is not pinned; `objection` is
    a code of why it does not count for images here now, "" where it counts, and `reason` says it in words."""

    repository: str
    keyid: str
    fingerprint: str
    owner: str = ""
    objection: str = ""
    reason: str = ""
    signatures: tuple[AttachedSignature, ...] = ()
