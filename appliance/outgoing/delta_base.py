"""A delta's base: what the inside is known to hold, by a receipt, or assumed to, by what earlier bundles carried.

By receipt is sure: the inside keeps what a receipt states until a bundle is built on a later one. By sequence is
assumed: where it is wrong, the import names what is missing in a want-list, and the next plan reads that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from appliance import clock
from appliance.api.bundles import TakenStatement
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.known_keys import own_keys
from appliance.station import Station
from appliance.store.reads.outgoing import (
    KnownInside,
    known_inside,
    receipt_taken,
    signed_after,
    void_and_inside,
    voided_by,
    wants_taken,
)
from appliance.store.writes.deltas import CustodyRow, HeadRow, HeldRow, TakeReceipt, TakeWants, told_of
from bundles.build import Content
from bundles.documents.custody import digest_of_part
from bundles.documents.signed import Receipt, WantList
from bundles.documents.statement import Statement, StatementFiles, verify_statement
from bundles.errors import RefusedError, UsageError
from bundles.format.manifest import BASE_EXTENSION, Required, bundle_id
from bundles.io import strict_json

NONE: Final = "none"
LAST: Final = "last"


@dataclass(frozen=True, slots=True)
class Base:
    """Digests (text) that need not be carried. `receipt` is the number it rests on, 0 for none; `confirmed` counts
    what a receipt lists, the rest is assumed from the stream's bundles."""

    digests: frozenset[str] = frozenset()
    receipt: int = 0
    confirmed: int = 0
    origin: str = "nothing: the bundle is full"

    def without(self, content: Content) -> Content:
        """The content with what the inside holds required instead of carried."""
        if not self.digests:
            return content
        carried = [(digest, size) for digest, size in content.blobs if str(digest) not in self.digests]
        required = [
            Required(digest=str(digest), size=size) for digest, size in content.blobs if str(digest) in self.digests
        ]
        return replace(content, blobs=carried, requires=sorted(required, key=lambda entry: entry.digest))

    def extensions(self) -> dict[str, Any]:
        """The manifest's `extensions`."""
        return {BASE_EXTENSION: {"receipt": self.receipt}} if self.digests else {}


def base_of(station: Station, stream: str, since: str, told: StatementFiles | None) -> Base:
    """The base that `since` names (`none`, `last`, or that of `told`, a receipt or want-list), as a plan looks at it:
    nothing is recorded. Raises UsageError, RefusedError for a document that does not count."""
    if since == NONE:
        return Base()
    known = known_inside(station.reader, stream)
    if since == LAST:
        return _last(known)
    document = _read(station, stream, since, told).document
    if isinstance(document, WantList):
        return _last(known, frozenset(held.digest for held in document.blobs), document.sequence)
    if document.number < known.receipt:
        raise RefusedError(
            f"a replay: receipt {known.receipt} was taken already",
            thing=f"receipt {document.number} of {document.site}",
            remedy="bring the latest receipt",
        )
    return _by_receipt(document, known, stream)


def take(station: Station, stream: str, since: str, told: StatementFiles | None, actor: str) -> list[str]:
    """Record a receipt or want-list that a build is to stand on: it is taken once, and never an older one after it. The
    result is what is to be said of it."""
    if since in (NONE, LAST):
        return []
    return _take(station, _read(station, stream, since, told), stream.partition(".")[0], actor).lines()


def take_files(station: Station, files: StatementFiles, actor: str) -> TakenStatement:
    """Record a receipt or want-list that came back, for whichever of our streams. Raises RefusedError where it tells of
    no stream from here, or does not count."""
    if any(own.station and own.key.keyid == files.keyid for own in own_keys(station.paths)):
        raise RefusedError(
            "this station signed it itself",
            thing=files.name,
            remedy="carry it to the site whose bundles it tells of, and take it there",
        )
    statement = verify_statement(files, station.trust(), clock.now())
    document, source = statement.document, station.config.site
    streams = [document.stream] if isinstance(document, WantList) else [head.stream for head in document.streams]
    if not any(stream.partition(".")[0] == source for stream in streams):
        raise RefusedError(
            "it tells of no stream from this site",
            thing=f"{files.name} of {document.site}",
            remedy="take it where it leads",
        )
    done = _take(station, statement, source, actor)
    taken = TakenStatement(site=document.site, new=done.new, voided=tuple(done.voided), back=tuple(done.back))
    if isinstance(document, WantList):
        return msgspec.structs.replace(taken, bundle=document.bundle)
    told = tuple(part.bundle for part in document.custody or [] if part.bundle.startswith(f"{source}."))
    return msgspec.structs.replace(taken, number=document.number, head=document.head, custody=told)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What taking a document did: whether it is a new one, the bundles that it voids, and those that were void and
    count again, since the inside has them."""

    new: bool
    voided: list[str] = []
    back: list[str] = []

    def lines(self) -> list[str]:
        """What is said of it."""
        back = [f"{bundle} was void and came in after all: it counts again" for bundle in self.back]
        return [*back, *(f"{bundle} is void: it cannot come in; build it again" for bundle in self.voided)]


def _take(station: Station, statement: Statement, source: str, actor: str) -> Taken:
    """Record a document; one that was taken before is not recorded again."""
    document, at = statement.document, clock.now()
    detail: dict[str, Any] = {"digest": str(statement.digest), "site": document.site, "keyid": statement.signer.keyid}
    if isinstance(document, WantList):
        wants = TakeWants(
            site=document.site, bundle=document.bundle, stream=document.stream, sequence=document.sequence,
            bundle_digest=document.digest, digest=str(statement.digest),
            blobs=tuple(held.digest for held in document.blobs), at=at,
        )  # fmt: skip
        if wants_taken(station.reader, str(statement.digest)):
            return Taken(new=False)
        voided = voided_by(station.reader, document.stream, document.sequence)
        detail |= {"blobs": len(document.blobs), "voided": voided}
        with recording(station.audit, AuditEvent(Act.WANTS_TAKE, actor, document.bundle, "done", detail)):
            return Taken(new=True, voided=list(station.writer.submit(wants)))
    blobs = None if document.blobs is None else tuple(HeldRow(held.digest, held.size) for held in document.blobs)
    receipt = TakeReceipt(
        site=document.site, number=document.number, digest=str(statement.digest), previous=document.previous,
        created=document.created, blobs=blobs, at=at,
        heads=tuple(
            HeadRow(head.stream, head.sequence, head.digest)
            for head in document.streams if head.stream.partition(".")[0] == source
        ),
        custody=tuple(
            CustodyRow(part.bundle, part.digest, strict_json.canonical(msgspec.to_builtins(part)).decode())
            for part in document.custody or () if part.bundle.startswith(f"{source}.")
        ),
        head=document.head, keyid=statement.signer.keyid, owner=statement.signer.owner,
    )  # fmt: skip
    if receipt_taken(station.reader, document.site, document.number, str(statement.digest)):
        return Taken(new=False)
    # The other side's head in this side's chain: neither can be cut behind it without the other showing it.
    detail |= {"number": document.number, "head": document.head}
    if receipt.custody:  # what is shown of the other side later is held against it (appliance.custody.record)
        detail["custody"] = {part.bundle: digest_of_part(part.document) for part in receipt.custody}
    back = void_and_inside(station.reader, told_of(receipt.heads, receipt.custody))
    shut_out = [
        bundle
        for head in receipt.heads if bundle_id(head.stream, head.sequence) in back
        for bundle in signed_after(station.reader, head.stream, head.sequence)
    ]  # fmt: skip
    if back:
        detail |= {"back": back, "voided": shut_out}
    with recording(station.audit, AuditEvent(Act.RECEIPT_TAKE, actor, document.site, "done", detail)):
        new = bool(station.writer.submit(receipt))
    return Taken(new=new, voided=shut_out if new else [], back=back if new else [])


def _read(station: Station, stream: str, since: str, told: StatementFiles | None) -> Statement:
    if told is None:
        raise UsageError("no document came with it", thing=since, remedy="name a receipt or want-list with --since")
    statement = verify_statement(told, station.trust(), clock.now())
    site = stream.partition(".")[2]
    if statement.document.site != site:
        raise RefusedError(
            "another site's receipt",
            thing=f"{since} is of {statement.document.site}, not {site}",
            remedy="give the receipt of the site that the bundle is for",
        )
    if isinstance(statement.document, WantList) and statement.document.stream != stream:
        raise RefusedError(
            "another stream's want-list",
            thing=f"{since} is of {statement.document.stream}",
            remedy="give the want-list of the site that the bundle is for",
        )
    return statement


def _last(known: KnownInside, wanted: frozenset[str] = frozenset(), before: int | None = None) -> Base:
    """What is known, and what the stream's bundles have carried since; not what is `wanted`, nor what bundles from
    number `before` on carried."""
    floor = known.head if known.inventory else 0
    carried = {
        digest for digest, (first, last) in known.carried.items() if last > floor and (before is None or first < before)
    }
    digests = (known.held | carried) - wanted
    if not digests:
        return Base()
    origin = f"receipt {known.receipt}" if known.receipt else "what the stream's bundles carried (assumed)"
    if known.receipt and carried - known.held:
        origin += ", and what bundles carried since (assumed)"
    return Base(digests, known.receipt, len(known.held - wanted), origin)


def _by_receipt(receipt: Receipt, known: KnownInside, stream: str) -> Base:
    if receipt.blobs is not None:
        digests = frozenset(held.digest for held in receipt.blobs)
        return Base(digests, receipt.number, len(digests), f"receipt {receipt.number}")
    head = next((head.sequence for head in receipt.streams if head.stream == stream), 0)
    digests = frozenset(digest for digest, (first, _) in known.carried.items() if first <= head)
    return Base(digests, receipt.number, 0, f"what bundles up to {head} carried (assumed; receipt {receipt.number})")
