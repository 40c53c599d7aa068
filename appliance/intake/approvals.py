"""Approvals: the document a person signs, and what makes a signed one count.

A document counts when it is byte for byte the one this station would have made for that key, bundle, report and
decision, is in its time, and is signed by a key that is pinned for purpose `release` and not revoked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from appliance import clock, limits
from appliance.intake.facts import demand_of
from appliance.intake.ledger import Entry, StoredDecision, importer_of
from appliance.names import same_name
from appliance.observe.audit import newest
from appliance.policy.approvals import Demand, check_apart, is_sealed, person
from appliance.station import Station
from bundles import documents
from bundles.documents import Approval
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError, UsageError
from bundles.signing.keys import check_keyid
from bundles.times import later

_SLACK: Final = 60
"""Seconds a document may come from the future: the station made it, and clocks are set back."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A decision whose signature holds, and whose it is."""

    approval: Approval
    owner: str
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Counting:
    """The keys whose approvals count now, whose they are, and why the others do not.

    `keyids` and `owners` are people's daily keys, `sealed` and `sealed_owners` those from sealed envelopes.
    """

    keyids: tuple[str, ...]
    owners: tuple[str, ...]
    sealed: tuple[str, ...]
    sealed_owners: tuple[str, ...]
    objections: tuple[str, ...]

    @property
    def people(self) -> int:
        return len({same_name(owner) for owner in self.owners})


def draft(station: Station, entry: Entry, keyid: str, decision: str, why: str) -> bytes:
    """The exact bytes for a person to sign. Raises UsageError, or FailedError where nothing is to be decided."""
    check_keyid(keyid)
    if decision not in documents.DECISIONS:
        raise UsageError("unknown decision", thing=repr(decision)[:40], remedy="use approve or reject")
    if decision == "reject" and not why.strip():
        raise UsageError("a rejection needs a reason", thing=entry.id, remedy="say it with --why")
    if len(why) > limits.REASON:
        raise UsageError("the reason is too long", thing=f"{len(why)} characters", remedy=f"use {limits.REASON}")
    if entry.report_digest is None or entry.state not in ("quarantined", "approved", "withdrawn"):
        raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is decided about")
    now = clock.now()  # once: a second look may be a second later, and the document then valid for too long
    return documents.encode(
        Approval(
            site=station.config.site,
            bundle=entry.id,
            digest=entry.digest,
            report=entry.report_digest,
            decision=decision,
            why=why,
            keyid=keyid,
            created=now,
            not_after=later(now, timedelta(hours=hours_of(station, entry, keyid))),
        )
    )


def hours_of(station: Station, entry: Entry, keyid: str) -> int:
    """How long an approval of this bundle by this key is good for."""
    policy = station.policy()
    wanted = demand_of(station, policy, entry)
    if policy.break_glass is not None and is_sealed(policy, keyid):
        return min(policy.break_glass.hours, wanted.hours)
    return wanted.hours


def verify(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> Verified:
    """The decision in a signed document; the signature is verified before the document is read.

    Raises RefusedError for anything that does not count: also where the policy sets the person and the importer apart,
    or a sealed key was opened before.
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
    _check_times(approval, now, hours_of(station, entry, keyid))
    policy = station.policy()
    sealed = is_sealed(policy, keyid)
    if approval.decision == "approve":
        takes = demand_of(station, policy, entry)
        check_apart(policy, takes, importer=importer_of(station.reader, entry), approvers=[record.owner])
        _check_unused(station, keyid, sealed=sealed)
    return Verified(approval, record.owner, sealed)


def _check_unused(station: Station, keyid: str, *, sealed: bool) -> None:
    used = station.reader.execute("SELECT id FROM sealed_keys_used WHERE keyid = ?", (keyid,)).fetchone()
    if used is not None:
        raise RefusedError("a sealed key opens once", thing=f"{keyid}, for {used[0]}", remedy="seal a new key")
    if sealed and station.config.open:
        raise RefusedError("an open station has no sealed keys", thing=keyid, remedy="approve with your own key")


def _check_times(approval: Approval, now: str, hours: int) -> None:
    span = f"{approval.created} to {approval.not_after}"
    if clock.seconds(approval.not_after) - clock.seconds(approval.created) > hours * 3600:
        raise RefusedError("the approval is valid for too long", thing=span, remedy="sign the station's own document")
    if clock.seconds(approval.created) > clock.seconds(now) + _SLACK or now > approval.not_after:
        raise RefusedError("the approval is out of its time", thing=span, remedy="sign anew")


def verify_stored(station: Station, entry: Entry, kept: StoredDecision) -> Verified:
    """`verify` of a decision as the database holds it."""
    return verify(station, entry, kept.document.encode(), kept.keyid, kept.signature)


def still_counting(station: Station, entry: Entry, stored: Sequence[StoredDecision]) -> Counting:
    """Verify stored approvals anew: a key may have been revoked, time has passed, and a database can be edited or come
    back from a backup. What was signed before the audit log's last rejection or withdrawal does not count."""
    counting: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    objections = []
    undone = _last_undone(station, entry) if stored else ""
    for kept in stored:
        try:
            decision = verify_stored(station, entry, kept)
        except LockgateError as error:
            objections.append(error.diagnostics())
            continue
        if decision.approval.decision != "approve":
            continue
        if decision.approval.created < undone:
            objections.append(f"it was taken back at {undone}, after the approval by {decision.owner}")
            continue
        counting[decision.sealed].append((kept.keyid, decision.owner))
    plain, sealed = counting[False], counting[True]
    return Counting(
        keyids=tuple(keyid for keyid, _ in plain),
        owners=tuple(owner for _, owner in plain),
        sealed=tuple(keyid for keyid, _ in sealed),
        sealed_owners=tuple(owner for _, owner in sealed),
        objections=tuple(objections),
    )


def _last_undone(station: Station, entry: Entry) -> str:
    """When the audit log last saw the bundle rejected or withdrawn: no backup and no edited row takes that back."""
    for event in newest(station.paths.audit, entry.digest.encode()):
        undone = event["act"] in ("intake.reject", "intake.withdraw") and event["outcome"] == "done"
        if undone and event["thing"] == entry.id and event["detail"].get("digest") == entry.digest:
            return str(event["time"])
    return ""


def choose(station: Station, entry: Entry, wanted: Demand, counting: Counting, releaser: str) -> tuple[bool, int]:
    """Whether people's daily keys let a bundle out (False) or sealed ones do (True), and how many people that takes.

    Raises RefusedError where neither are enough, or one person is two of those that the policy sets apart.
    """
    policy = station.policy()
    importer = importer_of(station.reader, entry)
    if counting.people >= wanted.people:
        check_apart(policy, wanted, importer=importer, approvers=counting.owners, releaser=releaser)
        return False, wanted.people
    broken = policy.break_glass
    if broken is not None and counting.sealed:
        # Two others: neither who brought it, nor who releases it, nor who approved it by the usual way.
        others = {same_name(owner) for owner in counting.sealed_owners}
        others -= {same_name(owner) for owner in counting.owners}
        others -= {person(policy, importer), person(policy, releaser)}
        if len(others) >= broken.people:
            return True, broken.people
        raise RefusedError(
            "too few others opened a sealed key",
            thing=f"{entry.id}: {len(others)} of {broken.people}",
            remedy="who imported, approved or releases it does not count among them",
        )
    reason = counting.objections[0] if counting.objections else f"{counting.people} of {wanted.people} count"
    raise RefusedError("too few approvals count now", thing=f"{entry.id}: {reason}", remedy="have it approved again")
