"""Approvals: the document a person signs, and what makes a signed one count.

A document counts when it is byte for byte the one this station would have made for that key, bundle, report and
decision, is in its time, and is signed by a key that is pinned for purpose `release` and not revoked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from appliance import clock, limits
from appliance.api.states import DECIDABLE
from appliance.audit.acts import REPORTED, Act, mark, read_act
from appliance.audit.reading import own_events
from appliance.intake.approval_rules import check_refused, demand_of
from appliance.intake.overrides import trusted_now
from appliance.permissions import Permission
from appliance.release_check.cut_record import kept_of
from appliance.release_check.log_record import read_log
from appliance.settings.approvals import Demand, check_apart, check_inspected, is_sealed, person
from appliance.station import Station
from appliance.store.reads.accounts import Accounts
from appliance.store.reads.decisions import last_restore, sealed_key_use
from appliance.store.reads.intake import Entry, StoredDecision, importer_of, inspected_by, report_text
from appliance.store.writes.entries import not_decidable
from bundles.documents import signed
from bundles.documents.signed import Approval
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io.times import later
from bundles.oci.digest import Digest
from bundles.people import forms, gather
from bundles.signing.keys import check_keyid

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
        check_inspected(station.policy(), entry.id, inspected_by(station.reader, entry.digest))
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


def hours_of(station: Station, entry: Entry, keyid: str) -> int:
    """How long an approval of this bundle by this key is good for."""
    policy = station.policy()
    wanted = demand_of(station, policy, entry)
    if policy.break_glass is not None and is_sealed(policy, keyid):
        return min(policy.break_glass.hours, wanted.hours)
    return wanted.hours


def verify(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> Verified:
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
        check_inspected(policy, entry.id, inspected_by(station.reader, entry.digest))
        check_refused(station, policy, entry)
        _check_unused(station, entry.id, keyid, sealed=sealed)
    return Verified(approval, record.owner, sealed)


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


def verify_new(station: Station, entry: Entry, payload: bytes, keyid: str, signature: bytes) -> Verified:
    """`verify` of a decision that is handed in now: one from before the bundle was taken back is refused too, and an
    approval by a report that is not the recorded one."""
    decision, said = verify(station, entry, payload, keyid, signature), logged(station, entry)
    require_not_undone(decision, taken_back(station, said))
    if decision.approval.decision == "approve":
        require_recorded_report(station, entry, said)
    return decision


def verify_stored(station: Station, entry: Entry, kept: StoredDecision) -> Verified:
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
            if said is not None and kept.keyid in said.while_open:
                raise RefusedError(
                    f"the station was open when the approval by {decision.owner} was handed in", thing=entry.id,
                    remedy="approve it again",
                )  # fmt: skip
        except LockgateError as error:
            objections.append(error.diagnostics())
            continue
        if decision.approval.decision == "approve":
            counting[decision.sealed][kept.keyid] = names_of(station, kept.keyid, decision.owner)
    return Counting(counting[False], counting[True], tuple(objections))


def require_not_undone(decision: Verified, undone: str) -> None:
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


@dataclass(frozen=True, slots=True)
class Logged:
    """What the audit log says of a bundle: when it was last rejected or withdrawn, who brought it in, and the digest of
    its newest inspection report; "" where it does not say; and by whose log-in each key's newest approval came.
    `while_open` are the keys whose newest approval is older than the closing of the station. No backup and no edited
    row takes that back."""

    undone: str = ""
    importer: str = ""
    hands: Mapping[str, str] = field(default_factory=dict)
    report: str = ""
    while_open: Collection[str] = ()


def taken_back(station: Station, said: Logged) -> str:
    """Before when no decision about a bundle counts: its last rejection or withdrawal in the audit log, or a restore of
    the station, which may have lost one. "" for none."""
    return max(said.undone, last_restore(station.reader))


def logged(station: Station, entry: Entry) -> Logged:
    """Read the log back to the bundle's import; where that was pruned, what the cut kept says the rest. Of the hands
    that approvals came through it keeps nothing: these are handed in anew."""
    undone = report = ""
    hands: dict[str, str] = {}
    while_open: set[str] = set()
    closed_since = False
    did_not_happen: set[str] = set()
    for event in own_events(station.paths, marks=(entry.id.encode(), mark(Act.CLOSE))):
        closed_since = closed_since or event["act"] == Act.CLOSE
        if event["thing"] == entry.id and event["detail"].get("takes_back"):
            did_not_happen.add(event["act"])
        if (event["thing"], event["outcome"], event["detail"].get("digest")) != (entry.id, "done", entry.digest):
            continue
        if read_act(event["act"]) in REPORTED:
            if event["act"] not in did_not_happen:
                report = report or str(event["detail"].get("report", ""))
            did_not_happen.discard(event["act"])
        if event["act"] in (Act.INTAKE_REJECT, Act.INTAKE_WITHDRAW):
            undone = undone or str(event["time"])
        if event["act"] == Act.INTAKE_APPROVE:
            keyid = str(event["detail"]["keyid"])
            if closed_since and keyid not in hands:
                while_open.add(keyid)
            hands.setdefault(keyid, str(event["actor"]))
        if event["act"] == Act.INTAKE_IMPORT:
            return Logged(undone, str(event["actor"]), hands, report, while_open)
    kept = kept_of(station.paths, station.config.site, entry.digest)
    return Logged(
        undone or kept.undone.get(entry.digest, ""), kept.importers.get(entry.digest, ""), hands,
        report or kept.reports.get(entry.digest, ""), while_open,
    )  # fmt: skip


def choose(
    station: Station, entry: Entry, wanted: Demand, counting: Counting, said: Logged, releaser: str
) -> tuple[bool, int]:
    """Whether people's daily keys let a bundle out (False) or sealed ones do (True), and how many people that takes.

    Raises RefusedError where neither are enough, one person is two of those that the policy sets apart, or everything
    came through one log-in.
    """
    policy = station.policy()
    importer = importer_of(station.reader, entry)
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
        if len(others) >= broken.people:
            return True, broken.people
        raise RefusedError(
            "too few others opened a sealed key",
            thing=f"{entry.id}: {len(others)} of {broken.people}",
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
