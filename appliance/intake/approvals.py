"""Approvals: the document a person signs, and what makes a signed one count.

A document counts when it is byte for byte the one this station would have made for that key, bundle, report and
decision, is in its time, and is signed by a key that is pinned for purpose `release` and not revoked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from appliance import clock
from appliance.api.states import DECIDABLE
from appliance.intake.approval_rules import check_refused, demand_of
from appliance.intake.entry_log import Logged, logged, require_logged_in
from appliance.intake.overrides import trusted_now
from appliance.limits import intake as limits
from appliance.permissions import Permission
from appliance.release_check.log_record import read_log
from appliance.settings.approvals import Demand, Policy, check_apart, check_inspected, is_sealed, one_more, person
from appliance.station import Station
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.decisions import last_restore, sealed_key_use
from appliance.store.reads.intake import Entry, StoredDecision, importer_of, inspected_by, report_text, unlooked_by
from appliance.store.writes.entries import not_decidable
from bundles.documents import signed
from bundles.documents.signed import Approval
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io.times import later
from bundles.oci.digest import Digest
from bundles.people import forms, gather
from bundles.signing.keys import check_keyid

__all__ = (
    "Counting", "Logged", "VerifiedDecision", "choose", "draft", "hours_of", "logged", "names_of", "require_not_undone",
    "require_recorded_report", "still_counting", "taken_back", "verify", "verify_new", "verify_stored",
)  # fmt: skip

_SLACK: Final = 60
"""Seconds a document may come from the future: the station made it, and clocks are set back."""


@dataclass(frozen=True, slots=True)
class VerifiedDecision:
    """A decision whose signature holds, and whose it is."""

    approval: Approval
    owner: str
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Counting:
    """The keys whose approvals count now, with the names of their people, and why the others do not.

    `plain` are people's daily keys, `sealed` those from sealed envelopes.
    """

    plain: Mapping[str, frozenset[str]]
    sealed: Mapping[str, frozenset[str]]
    objections: tuple[str, ...]

    @property
    def people(self) -> int:
        return len(gather(self.plain.values()))


def names_of(station: Station, keyid: str, owner: str) -> frozenset[str]:
    """What a key's person is known by, in the forms that names are compared in: the owner it is pinned for, and whose
    account it stands for."""
    holder = Accounts(station.reader).holder_of(keyid)
    return forms(owner) | (person(station.policy(), holder) if holder else frozenset())


def draft(station: Station, entry: Entry, keyid: str, decision: str, why: str) -> bytes:
    """The exact bytes for a person to sign. Raises UsageError, or FailedError where nothing is to be decided."""
    check_keyid(keyid)
    if decision not in signed.DECISIONS:
        raise UsageError("unknown decision", thing=repr(decision)[:40], remedy="use approve or reject")
    if decision == "reject" and not why.strip():
        raise UsageError("a rejection needs a reason", thing=entry.id, remedy="say it with --why")
    if len(why) > limits.REASON:
        raise UsageError("the reason is too long", thing=f"{len(why)} characters", remedy=f"use {limits.REASON}")
    if entry.report_digest is None or entry.state not in DECIDABLE:
        raise not_decidable(entry.id, entry.state)
    if decision == "approve":
        require_recorded_report(station, entry, logged(station, entry))
        _check_inspected(station, station.policy(), entry)
        check_refused(station, station.policy(), entry)
    now = clock.now()  # once: a second look may be a second later, and the document then valid for too long
    return signed.encode(
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


def _check_inspected(station: Station, policy: Policy, entry: Entry) -> None:
    reader = station.reader
    check_inspected(policy, entry.id, inspected_by(reader, entry.digest), unlooked_by(reader, entry.digest))


def hours_of(station: Station, entry: Entry, keyid: str) -> int:
    """How long an approval of this bundle by this key is good for."""
    policy = station.policy()
    wanted = demand_of(station, policy, entry)
    if policy.break_glass is not None and is_sealed(policy, keyid):
        return min(policy.break_glass.hours, wanted.hours)
    return wanted.hours


def verify(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> VerifiedDecision:
    """The decision in a signed document; the signature is verified before the document is read.

    The time is the clock's, and never before the clock at the last import: a clock that was set back revives nothing.
    Raises RefusedError for anything that does not count: also where the policy sets the person and the importer apart,
    or a sealed key was opened before.
    """
    now = trusted_now(station.reader)
    record = signed.check_signature(payload, keyid, signature, station.trust(), at=now, site=None)
    try:
        approval = signed.decode(payload, Approval)
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
            raise RefusedError(
                f"the approval is for another {name}",
                thing=str(getattr(approval, name))[:120],
                remedy="bring the approval of this bundle and this report",
            )
    if len(approval.why) > limits.REASON or (approval.decision == "reject" and not approval.why.strip()):
        raise RefusedError("a decision whose reason is missing or too long", thing=entry.id, remedy="say it with --why")
    _check_times(approval, now, hours_of(station, entry, keyid))
    policy = station.policy()
    sealed = is_sealed(policy, keyid)
    _check_holder(station, keyid, approval)
    if approval.decision == "approve":
        takes = demand_of(station, policy, entry)
        names = names_of(station, keyid, record.owner)
        check_apart(policy, takes, importer=importer_of(station.reader, entry), approvers=names)
        _check_inspected(station, policy, entry)
        check_refused(station, policy, entry)
        _check_unused(station, entry.id, keyid, sealed=sealed)
    return VerifiedDecision(approval, record.owner, sealed)


def _check_holder(station: Station, keyid: str, approval: Approval) -> None:
    """Whoever the key stands for may decide so, today. Raises RefusedError."""
    accounts = Accounts(station.reader)
    holder = None if station.config.open else accounts.holder_of(keyid)
    account = accounts.find(holder) if holder else None
    if account is None:
        return
    if account.disabled is not None:
        raise RefusedError("the key's account is disabled", thing=f"{account.name}, key {keyid}", remedy="ask another")
    verb: Permission = "reject" if approval.decision == "reject" else "approve"
    station.config.access.rules().require(account.caller(), verb)


def _check_unused(station: Station, name: str, keyid: str, *, sealed: bool) -> None:
    """A sealed key opens one bundle, once. The log is asked too: whoever has the database's file can take the row away,
    and not the event. An event of this very bundle without its row may be of a station that was killed in between, and
    is no reason to leave the envelope's holder without it. Raises RefusedError."""
    bundle = sealed_key_use(station.reader, keyid) or ""
    if sealed and not bundle:
        logged_for = read_log(station.paths, station.config.site).deeds.spent.get(keyid, "")
        bundle = "" if logged_for == name else logged_for
    if bundle:
        raise RefusedError("a sealed key opens once", thing=f"{keyid}, for {bundle}", remedy="seal a new key")
    if sealed and station.config.open:
        raise RefusedError("an open station has no sealed keys", thing=keyid, remedy="approve with your own key")


def _check_times(approval: Approval, now: str, hours: int) -> None:
    span = f"{approval.created} to {approval.not_after}"
    if clock.seconds(approval.not_after) - clock.seconds(approval.created) > hours * 3600:
        raise RefusedError("the approval is valid for too long", thing=span, remedy=f"sign for {hours} hours at most")
    if clock.seconds(approval.created) > clock.seconds(now) + _SLACK or now > approval.not_after:
        raise RefusedError("the approval is out of its time", thing=span, remedy="sign anew")


def verify_new(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> VerifiedDecision:
    """`verify` of a decision that is handed in now: one from before the bundle was taken back is refused too, and an
    approval by a report that is not the recorded one."""
    decision, said = verify(station, entry, payload, keyid, signature), logged(station, entry)
    require_not_undone(decision, taken_back(station, said))
    if decision.approval.decision == "approve":
        require_recorded_report(station, entry, said)
    return decision


def verify_stored(station: Station, entry: Entry, kept: StoredDecision) -> VerifiedDecision:
    """`verify` of a decision as the database holds it."""
    return verify(station, entry, kept.document.encode(), kept.keyid, kept.signature)


def still_counting(
    station: Station, entry: Entry, stored: Sequence[StoredDecision], said: Logged | None = None
) -> Counting:
    """Verify stored approvals anew: a key may have been revoked, time has passed, and a database can be edited or come
    back from a backup. What was signed before the audit log's last rejection or withdrawal does not count, nor what was
    handed in before the station was closed: nobody was logged in then."""
    counting: dict[bool, dict[str, frozenset[str]]] = {False: {}, True: {}}
    objections = []
    if stored:
        said = said or logged(station, entry)
    undone = taken_back(station, said) if said is not None else ""
    for kept in stored:
        try:
            decision = verify_stored(station, entry, kept)
            require_not_undone(decision, undone)
            if said is not None:
                require_logged_in(station, entry, said, decision.approval, decision.owner)
        except LockgateError as error:
            objections.append(error.diagnostics())
            continue
        if decision.approval.decision == "approve":
            counting[decision.sealed][kept.keyid] = names_of(station, kept.keyid, decision.owner)
    return Counting(counting[False], counting[True], tuple(objections))


def require_not_undone(decision: VerifiedDecision, undone: str) -> None:
    """A decision is not older than what took the bundle back. Raises RefusedError."""
    if decision.approval.created < undone:
        raise RefusedError(
            f"it was taken back at {undone}, after the approval by {decision.owner}", thing=decision.approval.bundle,
            remedy="sign anew",
        )  # fmt: skip


def require_recorded_report(station: Station, entry: Entry, said: Logged) -> None:
    """The report that people go by is the one that the station recorded when it inspected the bundle, to the byte.

    The database holds the report and its digest, and whoever writes to it may change both. Raises RefusedError.
    """
    text = report_text(station.reader, entry.digest)
    found = "" if text is None else str(Digest.of(text.encode()))
    if found != entry.report_digest or (said.report and found != said.report):
        raise RefusedError(
            "the inspection report was changed since it was recorded", thing=entry.id,
            remedy=f"see who changed the database, then inspect it anew: lockgate intake inspect {entry.id}",
        )  # fmt: skip


def taken_back(station: Station, said: Logged) -> str:
    """Before when no decision about a bundle counts: its last rejection or withdrawal in the audit log, or a restore of
    the station, which may have lost one. "" for none."""
    return max(said.undone, last_restore(station.reader))


def choose(
    station: Station, entry: Entry, wanted: Demand, counting: Counting, said: Logged, releaser: str
) -> tuple[bool, int]:
    """Whether people's daily keys let a bundle out (False) or sealed ones do (True), and how many people that takes.

    Raises RefusedError where neither are enough, one person is two of those that the policy sets apart, or everything
    came through one log-in. Who brought a bundle in while the station was open may be anybody: one more person must
    approve it, and nobody releases it where the policy sets the importer and the releaser apart.
    """
    policy = station.policy()
    importer = importer_of(station.reader, entry)
    if said.brought_while_open:
        wanted = one_more(wanted)
        if "importer-releaser" in wanted.separate:
            raise RefusedError(
                "nobody was logged in when it was imported, and who imports and who releases must be two people",
                thing=entry.id, remedy="reject it, and have the source send it again",
            )  # fmt: skip
    if counting.people >= wanted.people:
        every = frozenset[str]().union(*counting.plain.values())
        check_apart(policy, wanted, importer=importer, approvers=every, releaser=releaser)
        if wanted.people > 1 and not station.config.open:
            _check_hands(station, entry, counting, said, releaser)
        return False, wanted.people
    broken = policy.break_glass
    if broken is not None and counting.sealed:
        # Two others: neither who brought it, nor who releases it, nor who approved it by the usual way.
        not_they = person(policy, importer).union(person(policy, releaser), *counting.plain.values())
        others = [names for names in gather(counting.sealed.values()) if not names & not_they]
        needed = broken.people + wanted.anybody
        if len(others) >= needed:
            return True, needed
        raise RefusedError(
            "too few others opened a sealed key",
            thing=f"{entry.id}: {len(others)} of {needed}",
            remedy="who imported, approved or releases it does not count among them",
        )
    reason = counting.objections[0] if counting.objections else f"{counting.people} of {wanted.people} count"
    raise RefusedError("too few approvals count now", thing=f"{entry.id}: {reason}", remedy="have it approved again")


def _check_hands(station: Station, entry: Entry, counting: Counting, said: Logged, releaser: str) -> None:
    """An approval may be handed in by another than its signer, but somebody with another's key must not be able to do
    everything: those who handed in what counts, and who releases, are two people at least. Raises RefusedError."""
    policy = station.policy()
    hands = gather(
        person(policy, hand) for hand in (releaser, *(said.hands.get(keyid, releaser) for keyid in counting.plain))
    )
    if len(hands) < 2:
        raise RefusedError(
            f"every approval and the release come through the log-in of {releaser}",
            thing=entry.id,
            remedy="let another person release it, or hand in their own approval",
        )
