"""Typed signed documents beside the bundle: approval, inspection report, receipt.

Each is canonical JSON with a `type`; a key signs only documents of the type its purpose allows, so that one kind of
document can never be passed off as another. A signed document on disk is `FILE` with `FILE.<keyid>.sig` beside it.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from bundles import limits, strict_json
from bundles.errors import MalformedError, RefusedError
from bundles.signing.trust import TrustFolder, TrustRecord

APPROVAL_TYPE: Final = "application/vnd.lockgate.approval.v1+json"
REPORT_TYPE: Final = "application/vnd.lockgate.inspection-report.v1+json"
RECEIPT_TYPE: Final = "application/vnd.lockgate.receipt.v1+json"
PURPOSE_OF: Final = {APPROVAL_TYPE: "release", RECEIPT_TYPE: "receipt"}


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's decision over a bundle's digest and a report's digest. `decision` is `approve` or `reject`."""

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


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one inspector found. `outcome` is `ok`, `note` or `fail`; `details` are the inspector's own fields."""

    inspector: str
    outcome: str
    summary: str
    details: dict[str, Any]


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this station itself found in a quarantined bundle."""

    type: str = REPORT_TYPE
    site: str
    bundle: str
    digest: str
    created: str
    sections: list[Section]


class Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A blob that the inside holds (bytes)."""

    digest: str
    size: int


class StreamHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stream stands: its last sequence and that bundle's digest."""

    stream: str
    sequence: int
    digest: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The inside's numbered statement of what it holds; `previous` is the sha256 of the receipt before it."""

    type: str = RECEIPT_TYPE
    site: str
    number: int
    previous: str | None
    created: str
    streams: list[StreamHead]
    blobs: list[Held]


Document = TypeVar("Document", Approval, Report, Receipt)


def encode(document: Approval | Report | Receipt) -> bytes:
    """Canonical bytes: what is signed and what is hashed."""
    return strict_json.canonical(msgspec.to_builtins(document))


def decode(raw: bytes, kind: type[Document]) -> Document:
    """The document in `raw`, canonical and closed and of the kind asked for. Raises MalformedError."""
    name = kind.__name__.lower()
    fields = strict_json.loads_canonical(raw, ceiling=limits.SIGNED_DOCUMENT, what=name)
    expected = kind.__struct_defaults__[0] if kind.__struct_defaults__ else None
    found = fields.get("type") if isinstance(fields, dict) else None
    if found != expected:
        raise MalformedError(f"not a {name}", thing=repr(found)[:120], remedy=f"its type must be {expected}")
    try:
        document = msgspec.convert(fields, kind, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError(f"a malformed {name}", thing=str(error)[:160]) from None
    if encode(document) != raw:
        raise MalformedError(f"the {name} is not canonical")
    return document


def check_signature(
    raw: bytes, keyid: str, signature: bytes, trust: TrustFolder, *, at: str, site: str | None
) -> TrustRecord:
    """The pinned key behind a document's signature, allowed for the document's type at time `at`.

    Raises RefusedError: unknown or revoked key, another purpose, another site, or a signature that does not hold.
    """
    kind = strict_json.loads_canonical(raw, ceiling=limits.SIGNED_DOCUMENT, what="document").get("type")
    purpose = PURPOSE_OF.get(kind)
    record = trust.find(keyid)
    if record is None or purpose is None:
        raise RefusedError("the signer is unknown", thing=keyid, remedy="pin the key with: lockgate key trust")
    objection = record.objection(purpose, at, site)
    if objection is not None:
        raise RefusedError("a signature that does not count", thing=objection)
    if not record.key.verify(raw, signature):
        raise RefusedError("the signature does not hold", thing=f"{kind} by {keyid}")
    return record
