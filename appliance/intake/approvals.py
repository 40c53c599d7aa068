"""Approvals: the document a person signs, and what makes a signed one count.

A document counts when it is byte for byte the one this station would have made for that key, bundle, report and
decision, is in its time, and is signed by a key that is pinned for purpose `release` and not revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance import clock, limits
from appliance.intake.ledger import Entry, StoredDecision
from appliance.station import Station
from bundles import documents
from bundles.documents import Approval
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError, UsageError
from bundles.signing.keys import check_keyid

_SLACK: Final = 60
"""Seconds a document may come from the future: the station made it, and clocks are set back."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A decision whose signature holds, and whose it is."""

    approval: Approval
    owner: str


@dataclass(frozen=True, slots=True)
class Counting:
    """The keys whose approvals count now, of how many people, and why the others do not."""

    keyids: tuple[str, ...]
    people: int
    objections: tuple[str, ...]


def draft(station: Station, entry: Entry, keyid: str, decision: str, why: str) -> bytes:
    """The exact bytes for a person to sign. Raises UsageError, or FailedError where nothing is to be decided."""
    check_keyid(keyid)
    if decision not in documents.DECISIONS:
        raise UsageError("unknown decision", thing=repr(decision)[:40], remedy="use approve or reject")
    if decision == "reject" and not why.strip():
        raise UsageError("a rejection needs a reason", thing=entry.id, remedy="say it with --why")
    if len(why) > limits.REASON:
        raise UsageError("the reason is too long", thing=f"{len(why)} characters", remedy=f"use {limits.REASON}")
    if entry.report_digest is None or entry.state not in ("quarantined", "approved"):
        raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is decided about")
    return documents.encode(
        Approval(
            site=station.config.site,
            bundle=entry.id,
            digest=entry.digest,
            report=entry.report_digest,
            decision=decision,
            why=why,
            keyid=keyid,
            created=clock.now(),
            not_after=clock.after(station.config.approval_hours * 3600),
        )
    )


def verify(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> Verified:
    """The decision in a signed document; the signature is verified before the document is read.

    Raises RefusedError for anything that does not count.
    """
    now = clock.now()
    record = documents.check_signature(payload, keyid, signature, station.trust(), at=now, site=None)
    try:
        approval = documents.decode(payload, Approval)
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing, remedy="sign the document that the station gives") from None
    wanted = {
        "site": station.config.site,
        "bundle": entry.id,
        "digest": entry.digest,
        "report": entry.report_digest,
        "keyid": keyid,
    }
    for name, value in wanted.items():
        if getattr(approval, name) != value:
            raise RefusedError(f"the approval is for another {name}", thing=str(getattr(approval, name))[:120])
    if len(approval.why) > limits.REASON or (approval.decision == "reject" and not approval.why.strip()):
        raise RefusedError("a decision whose reason is missing or too long", thing=entry.id, remedy="say it with --why")
    _check_times(approval, now, station.config.approval_hours)
    return Verified(approval, record.owner)


def _check_times(approval: Approval, now: str, hours: int) -> None:
    span = f"{approval.created} to {approval.not_after}"
    if clock.seconds(approval.not_after) - clock.seconds(approval.created) > hours * 3600:
        raise RefusedError("the approval is valid for too long", thing=span, remedy="sign the station's own document")
    if clock.seconds(approval.created) > clock.seconds(now) + _SLACK or now > approval.not_after:
        raise RefusedError("the approval is out of its time", thing=span, remedy="sign anew")


def still_counting(station: Station, entry: Entry, stored: Sequence[StoredDecision]) -> Counting:
    """Verify stored approvals anew: a key may have been revoked, and time has passed."""
    keyids, owners, objections = [], set(), []
    for kept in stored:
        try:
            decision = verify(station, entry, kept.document.encode(), kept.keyid, kept.signature)
        except LockgateError as error:
            objections.append(error.diagnostics())
            continue
        if decision.approval.decision == "approve":
            keyids.append(kept.keyid)
            owners.add(decision.owner)
    return Counting(tuple(keyids), len(owners), tuple(objections))
