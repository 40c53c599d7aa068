"""Typed signed documents beside the bundle: approval, inspection report, receipt (docs/internals/trust.md, Documents).

Each is canonical JSON (RFC 8785), closed, with a `type`; a key's signature counts only for documents of the type that
its purpose allows, so that one kind of document can never be passed off as another. Signatures are detached: the
bytes that are verified are the bytes that are parsed. On disk a signed document is `FILE` with `FILE.<keyid>.sig`
beside it (or the files of the key's kind, bundles.signing.signature_files), as SHA256SUMS has it, so that stock
openssl and ssh-keygen check both alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final, TypeVar

import msgspec

from bundles import limits
from bundles.documents.audit_log import is_head
from bundles.documents.custody import CustodyPart, check_parts
from bundles.errors import MalformedError, RefusedError
from bundles.format.manifest import bundle_id
from bundles.io import strict_json
from bundles.io.times import check_time
from bundles.oci.digest import Digest
from bundles.oci.reference import check_site
from bundles.signing.keys import check_keyid
from bundles.signing.trust import TrustFolder, TrustRecord

APPROVAL_TYPE: Final = "application/vnd.lockgate.approval.v1+json"
REPORT_TYPE: Final = "application/vnd.lockgate.inspection-report.v1+json"
RECEIPT_TYPE: Final = "application/vnd.lockgate.receipt.v1+json"
WANTS_TYPE: Final = "application/vnd.lockgate.want-list.v1+json"
OVERRIDE_TYPE: Final = "application/vnd.lockgate.override.v1+json"
IMAGE_POLICY_TYPE: Final = "application/vnd.lockgate.image-policy.v1+json"
"""Which images must be signed by whom (appliance.settings.image_policy): two people with release keys sign it."""
ROTATION_ACCEPTANCE_TYPE: Final = "application/vnd.lockgate.key-rotation-acceptance.v1+json"
"""That a site's key rotation is to count at this station (appliance.rotations.accepting): two people sign it."""
TERM_TYPE: Final = "application/vnd.lockgate.standby-term.v1+json"
"""That a stand-by becomes the primary of its pair (appliance.standby.terms): two people sign it."""
SESSION_TYPE: Final = "application/vnd.lockgate.diode-session.v1+json"
"""What a station sends over a one-way link (appliance.diode.session)."""
PURPOSE_OF: Final = {
    APPROVAL_TYPE: "release",
    OVERRIDE_TYPE: "release",
    IMAGE_POLICY_TYPE: "release",
    ROTATION_ACCEPTANCE_TYPE: "release",
    TERM_TYPE: "release",
    RECEIPT_TYPE: "receipt",
    WANTS_TYPE: "receipt",
    SESSION_TYPE: "receipt",
}
"""What a key must be trusted for to sign a type. A report has no key: an approval holds its digest."""
DECISIONS: Final = ("approve", "reject")
OVERRIDES: Final = ("stream-floor", "clock-floor")
OUTCOMES: Final = ("ok", "note", "fail")


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's decision over a bundle and what was found in it, on one site, within a time.

    `bundle` is the bundle's id, `digest` and `report` the sha256 of its SHA256SUMS and of the report (`sha256:…`);
    `decision` is `approve` or `reject`, `why` may be empty for an approval; `keyid` is the key that is to sign.
    """

    type: str = APPROVAL_TYPE
    site: str
    bundle: str
    digest: str
    report: str
    decision: str
    why: str
    keyid: str
    created: str
    not_after: str


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a stream where its own record does not suffice; two people say it before it counts.

    `act` is `stream-floor` (the next bundle is `sequence` + 1; it follows `digest`, `sha256:...`, where that is known,
    else it is empty) or `clock-floor` (no bundle so far was made after `floor`, a time). Fields that an act does not
    use are 0 or empty. `why` is the reason.
    """

    type: str = OVERRIDE_TYPE
    site: str
    act: str
    stream: str
    sequence: int
    digest: str
    floor: str
    why: str
    keyid: str
    created: str
    not_after: str


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one inspector found. `outcome` is `ok`, `note` or `fail`; `details` are the inspector's own fields."""

    inspector: str
    outcome: str
    summary: str
    details: dict[str, Any]


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this station itself found in a quarantined bundle; `digest` is the sha256 of its SHA256SUMS."""

    type: str = REPORT_TYPE
    site: str
    bundle: str
    digest: str
    created: str
    sections: list[Section]


class HeldBlob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blob that the inside holds (bytes)."""

    digest: str
    size: int


class StreamHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stream stands: its last sequence and that bundle's digest, empty where people set the sequence."""

    stream: str
    sequence: int
    digest: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The inside's numbered statement of what it holds; `previous` is the sha256 of the receipt before it, or null
    for number 1. `streams` stand ascending by name, `blobs` by digest, without doubles; `blobs` is null where only the
    streams' sequences are told (a receipt that leaks no inventory).

    `head` is the head of the site's audit log when the receipt was made (bundles.documents.audit_log), or empty;
    `custody` what happened there to the bundles that moved since the receipt the other side is known to have, null
    where `blobs` is.
    """

    type: str = RECEIPT_TYPE
    site: str
    number: int
    previous: str | None
    created: str
    streams: list[StreamHead]
    blobs: list[HeldBlob] | None
    head: str = ""
    custody: list[CustodyPart] | None = None


class WantList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a delta stands on and the inside does not hold: the bundle could not be taken in.

    `bundle` is its id, `digest` the sha256 of its SHA256SUMS, `blobs` ascend by digest, at least one, without doubles.
    """

    type: str = WANTS_TYPE
    site: str
    bundle: str
    stream: str
    sequence: int
    digest: str
    created: str
    blobs: list[HeldBlob]


Document = TypeVar("Document", Approval, Report, Receipt, WantList, Override)
_TYPES: Final[dict[type, str]] = {
    Approval: APPROVAL_TYPE,
    Report: REPORT_TYPE,
    Receipt: RECEIPT_TYPE,
    WantList: WANTS_TYPE,
    Override: OVERRIDE_TYPE,
}


def encode(document: Approval | Report | Receipt | WantList | Override) -> bytes:
    """Canonical bytes: what is signed and what is hashed. Raises MalformedError where a field cannot be."""
    check(document)
    return strict_json.canonical(msgspec.to_builtins(document))


def decode(raw: bytes, kind: type[Document]) -> Document:
    """The document in `raw`: canonical, closed, of the kind asked for, every field checked. Raises MalformedError."""
    name = kind.__name__.lower()
    fields = strict_json.loads_canonical(
        raw, ceiling=limits.SIGNED_DOCUMENT, nodes=limits.SIGNED_DOCUMENT_NODES, what=name
    )
    found = _type_of(fields)
    if found != _TYPES[kind]:
        raise MalformedError(f"not a {name}", thing=repr(found)[:120], remedy=f"its type must be {_TYPES[kind]}")
    try:
        document = msgspec.convert(fields, kind, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError(f"a malformed {name}", thing=str(error)[:160]) from None
    check(document)
    if strict_json.canonical(msgspec.to_builtins(document)) != raw:
        raise MalformedError(f"the {name} is not canonical", remedy="a default must be written")
    return document


def check(document: Approval | Report | Receipt | WantList | Override) -> None:
    """Every rule that one document can break by itself. Raises MalformedError naming the field."""
    check_site(document.site)
    check_time(document.created, "created")
    if isinstance(document, Receipt):
        _check_receipt(document)
        return
    if isinstance(document, Override):
        _check_override(document)
        return
    _check_sha256(document.digest, "digest")
    if isinstance(document, WantList):
        _check_wants(document)
        return
    if isinstance(document, Approval):
        _check_approval(document)
        return
    for section in document.sections:
        if section.outcome not in OUTCOMES:
            raise MalformedError("an unknown outcome", thing=repr(section.outcome)[:60])


def _check_approval(approval: Approval) -> None:
    _check_sha256(approval.report, "report")
    check_keyid(approval.keyid)
    check_time(approval.not_after, "not_after")
    if approval.not_after < approval.created:
        raise MalformedError("not_after lies before created", thing=approval.not_after)
    if approval.decision not in DECISIONS:
        raise MalformedError("an approval that decides nothing", thing=repr(approval.decision)[:60])


def _check_override(override: Override) -> None:
    source, _, destination = override.stream.partition(".")
    check_site(source)
    check_keyid(override.keyid)
    check_time(override.not_after, "not_after")
    if destination != override.site or override.act not in OVERRIDES:
        raise MalformedError("an override of an unknown act or another site", thing=repr(override.act)[:60])
    if not override.why.strip():
        raise MalformedError("an override without a reason", thing=override.stream)
    if not 0 <= override.sequence <= limits.SEQUENCE:
        raise MalformedError("an override's sequence is out of range", thing=str(override.sequence))
    if override.digest:
        _check_sha256(override.digest, "digest")
    if override.act == "clock-floor":
        check_time(override.floor, "floor")
    unused = (override.floor,) if override.act == "stream-floor" else (override.sequence, override.digest)
    if any(unused):
        raise MalformedError("an override with fields of another act", thing=override.act)


def _check_receipt(receipt: Receipt) -> None:
    if not 1 <= receipt.number <= limits.INTEGER or (receipt.number == 1) != (receipt.previous is None):
        raise MalformedError("a receipt's number and the one before it do not agree", thing=str(receipt.number))
    if receipt.previous is not None:
        _check_sha256(receipt.previous, "previous")
    _ascending((head.stream for head in receipt.streams), "streams")
    for head in receipt.streams:
        source, _, destination = head.stream.partition(".")
        check_site(source)
        if destination != receipt.site or not 0 <= head.sequence <= limits.SEQUENCE:
            raise MalformedError("a stream that does not lead here, or no sequence", thing=repr(head.stream)[:80])
        if head.digest:
            _check_sha256(head.digest, "a stream's digest")
    _check_held(receipt.blobs or [])
    if receipt.head and not is_head(receipt.head):
        raise MalformedError("not a head of an audit log", thing=repr(receipt.head)[:90])
    check_parts(receipt.custody or [], receipt.site)


def _check_wants(wants: WantList) -> None:
    source, _, destination = wants.stream.partition(".")
    check_site(source)
    if destination != wants.site or not 1 <= wants.sequence <= limits.SEQUENCE:
        raise MalformedError("a stream that does not lead here, or no sequence", thing=repr(wants.stream)[:80])
    if wants.bundle != bundle_id(wants.stream, wants.sequence):
        raise MalformedError("the bundle is not the stream's and sequence's", thing=repr(wants.bundle)[:80])
    if not wants.blobs:
        raise MalformedError("a want-list that wants nothing", thing=wants.bundle)
    _check_held(wants.blobs)


def _check_held(blobs: list[HeldBlob]) -> None:
    _ascending((held.digest for held in blobs), "blobs")
    for held in blobs:
        Digest.parse(held.digest)
        if not 0 <= held.size <= limits.INTEGER:
            raise MalformedError("a blob's size is out of range", thing=held.digest)


def check_signature(
    raw: bytes, keyid: str, signature: bytes, trust: TrustFolder, *, at: str, site: str | None
) -> TrustRecord:
    """The pinned key behind a document's signature, allowed for the document's type at time `at` (and from `site`).

    The signature is verified before the document is parsed. Raises RefusedError: an unknown or revoked key, another
    purpose, another site, a type that nobody signs, or a signature that does not hold.
    """
    record = trust.find(keyid)
    if record is None:
        raise trust.unknown_signer(keyid, "PURPOSE" if site is None else "receipt")
    if not record.key.verify(raw, signature):
        raise RefusedError(
            "the signature does not hold", thing=f"key {keyid}", remedy="the document or the signature was changed"
        )
    try:
        kind = _type_of(
            strict_json.loads_canonical(
                raw, ceiling=limits.SIGNED_DOCUMENT, nodes=limits.SIGNED_DOCUMENT_NODES, what="the signed document"
            )
        )
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing, remedy=error.remedy) from None
    purpose = PURPOSE_OF.get(kind) if isinstance(kind, str) else None
    if purpose is None:
        raise RefusedError("a document of a type that nobody signs", thing=repr(kind)[:120])
    rule = trust.policy.rule(purpose, site or "")
    objection = record.objection(purpose, at, site)
    if objection is None and rule.algorithms and record.key.algorithm not in rule.algorithms:
        objection = (
            f"the policy takes {' or '.join(rule.algorithms)} for {purpose}, key {keyid} is {record.key.algorithm}"
        )
    if objection is not None:
        raise RefusedError("a signature that does not count", thing=objection)
    return record


def _type_of(document: Any) -> Any:
    return document.get("type") if isinstance(document, dict) else None


def _check_sha256(text: str, what: str) -> None:
    if Digest.parse(text).algorithm != "sha256":
        raise MalformedError(f"{what} is not a sha256", thing=text[:80])


def _ascending(values: Iterable[str], what: str) -> None:
    if any(not before < after for before, after in pairwise(values)):
        raise MalformedError(f"{what} is out of order or has doubles")
