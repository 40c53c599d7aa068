"""What waits for people: whose it is, what it is, what it changes, what was found, and what a signature will do.

For the console's and the command line's eyes. Nothing here decides: a decision and a release look again for themselves.
"""

from __future__ import annotations

import json

from appliance.api.common import widened
from appliance.api.intake import Approver, Effect, FoundBy, Pending, PendingDetail, Step, VerifiedApprover
from appliance.api.states import DECIDABLE
from appliance.intake.approval_rules import demand_of, facts_of
from appliance.intake.approvals import Counting, hours_of, names_of, still_counting, verify_stored
from appliance.settings.approvals import is_sealed
from appliance.station import Station
from appliance.store.ports import Reader
from appliance.store.reads.intake import (
    Entry,
    decisions_of,
    describe,
    importer_of,
    list_in_states,
    manifest_bytes,
    report_text,
    steps_of,
)
from bundles.errors import LockgateError, UsageError
from bundles.format.manifest_codec import decode
from bundles.people import gather


def list_pending(reader: Reader, limit: int, after: str = "", text: str = "") -> list[Entry]:
    """Entries that wait for people, by id and digest, behind the one whose `ledger.cursor` is `after`; `text` is part
    of the id."""
    return list_in_states(reader, DECIDABLE, limit, after, text)


def listed(station: Station, entry: Entry) -> Pending:
    """An entry in the list of what waits (docs/reference/control-api.md, Approvals): nothing is verified for it.

    One that cannot be read (a database edited by hand) says so in `error` and hides none of the others.
    """
    try:
        return widened(summary(station, entry), Pending, error="")
    except (LockgateError, ValueError) as error:
        reason = error.diagnostics() if isinstance(error, LockgateError) else "its report is damaged"
        if isinstance(error, UsageError):  # a slip in the rules: nobody decides about anything
            raise
        return widened(describe(station.reader, entry, 0), Pending, waits_for="inspection", error=reason)


def summary(station: Station, entry: Entry) -> Pending:
    """What `listed` tells of an entry."""
    wanted = demand_of(station, station.policy(), entry)
    facts = facts_of(station, entry)
    fields = describe(station.reader, entry, wanted.people)
    report = report_text(station.reader, entry.digest)
    absent = sorted(set(station.policy().required_inspectors) - {one.inspector for one in _found(report)})
    decided = "release" if entry.state == "approved" else "approvals"
    return widened(
        fields,
        Pending,
        source=entry.stream.partition(".")[0],
        importer=importer_of(station.reader, entry),
        classification=facts.classification,
        kinds=tuple(facts.kinds),
        hours=wanted.hours,
        waits_for="inspection" if report is None or absent else decided,
        inspectors_missing=tuple(absent),
        report_digest=entry.report_digest,
        found=_found(report),
        people=tuple(
            Approver(keyid=kept.keyid, owner=kept.owner, created=kept.created)
            for kept in decisions_of(station.reader, entry.digest)
        ),
    )


def detail(station: Station, entry: Entry, keyid: str = "") -> PendingDetail:
    """The same of one entry, every approval verified as a release would, with its report; and what the signature of
    `keyid` will do, where one is given."""
    manifest = decode(manifest_bytes(station.reader, entry.digest))
    report = report_text(station.reader, entry.digest)
    counting = still_counting(station, entry, decisions_of(station.reader, entry.digest))
    sections = {} if report is None else {one["inspector"]: one for one in json.loads(report)["sections"]}
    return widened(
        summary(station, entry),
        PendingDetail,
        purpose=manifest.purpose,
        authorisation=manifest.authorisation,
        created=manifest.created,
        not_after=manifest.not_after,
        steps=tuple(Step(**step) for step in steps_of(station.reader, entry.digest)),
        approvals=counting.people,
        people=_people(station, entry, counting),
        signers=tuple(sections.get("integrity", {}).get("details", {}).get("signers", [])),
        changes=sections.get("changes"),
        differences=sections.get("differences"),
        report=None if report is None else json.loads(report),
        effect=None if not keyid else _effect(station, entry, counting, keyid),
    )


def _found(report: str | None) -> tuple[FoundBy, ...]:
    sections = [] if report is None else json.loads(report)["sections"]
    return tuple(
        FoundBy(inspector=one["inspector"], outcome=one["outcome"], summary=one["summary"]) for one in sections
    )


def _people(station: Station, entry: Entry, counting: Counting) -> tuple[VerifiedApprover, ...]:
    counts = {*counting.plain, *counting.sealed}
    policy = station.policy()
    people = []
    for kept in decisions_of(station.reader, entry.digest):
        why = ""
        if kept.keyid not in counts:
            try:
                verify_stored(station, entry, kept)
                why = "it was taken back after this approval"
            except LockgateError as error:
                why = error.diagnostics()
        people.append(
            VerifiedApprover(
                keyid=kept.keyid,
                owner=kept.owner,
                created=kept.created,
                not_after=json.loads(kept.document)["not_after"],
                sealed=is_sealed(policy, kept.keyid),
                counts=kept.keyid in counts,
                why=why,
            )
        )
    return tuple(people)


def _effect(station: Station, entry: Entry, counting: Counting, keyid: str) -> Effect:
    """What an approval by a key will do, in numbers and in a sentence."""
    wanted, policy = demand_of(station, station.policy(), entry), station.policy()
    record = station.trust().find(keyid)
    owner = "" if record is None else record.owner
    sealed, hours = is_sealed(policy, keyid), hours_of(station, entry, keyid)
    needed = policy.break_glass.people if sealed and policy.break_glass is not None else wanted.people
    before = gather((counting.sealed if sealed else counting.plain).values())
    mine = names_of(station, keyid, owner)
    after = len(gather([*before, mine]))
    if record is None:
        text = f"nothing: key {keyid} is not pinned here"
    elif after == len(before):
        text = f"nothing new: {owner} has approved it already"
    elif after >= needed:
        text = f"approval {after} of {needed}: {entry.id} may then be released, within {hours} hours"
    else:
        text = f"approval {after} of {needed}: {needed - after} more must follow within {hours} hours"
    return Effect(
        owner=owner,
        sealed=sealed,
        hours=hours,
        approvals=after,
        needed=needed,
        enough=record is not None and after >= needed,
        adds=record is not None and after > len(before),
        text=text,
    )
