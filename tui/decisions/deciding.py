"""Approve, reject and release: what a person reads first, what is checked before they sign, what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from appliance.api.intake import Effect, EntrySummary, IntakeDetail, PendingDetail, ReleaseAnswer
from appliance.api.people import AccountChange
from bundles.documents.signed import Approval, decode
from bundles.errors import NotFoundError, RefusedError
from bundles.io.display import safe
from tui.decisions.signing import Fetch, Offer, Send
from tui.station.port import Station
from tui.terminal.look import MARKS
from tui.terminal.texts import size
from tui.wording.account_changes import marked, sentence, summary
from tui.wording.report import is_as_named

_CHANGES: Final = 4
"""Changes of accounts that the question before a release names: the dialog fits 24 rows."""


KEYS: Final = 4
"""Own keys whose effect is asked for; a person has one or two."""


@dataclass(frozen=True)
class Signed:
    """What a decision is for: the bundle's digest and, where a report was read, the report's."""

    digest: str
    report: str | None = None


def release_explained(changes: Sequence[AccountChange]) -> str:
    """What a person reads before a release: what it does, and the changes of accounts that it shows."""
    text = "Its artifacts are then shown to every client of this registry, all at once; what is blocked stays hidden."
    if not changes:
        return text
    lines = [f"{MARKS[one.role]} {one.text}" for one in marked(changes[:_CHANGES])]
    if len(changes) > _CHANGES:
        lines.append(f"and {len(changes) - _CHANGES} more: the bundle's report lists them all")
    return "\n".join([text, "", f"{summary(changes)}:", *lines])


@dataclass(frozen=True)
class Releasable:
    """An artifact that may be released alone, with what belongs to it: its `name` is for people."""

    repository: str
    digest: str
    name: str


def artifacts_of(entry: IntakeDetail) -> list[Releasable]:
    """The bundle's artifacts that have tags, or all of them where none has: what belongs to one comes along."""
    listed = [one for one in entry.manifest.get("artifacts", ()) if isinstance(one, Mapping)]
    chosen = [one for one in listed if one.get("tags")] or listed
    return [
        Releasable(str(one["repository"]), str(one["digest"]),
                   f"{one['repository']}:{', '.join(map(str, one.get('tags') or ['no tag']))}")
        for one in chosen
    ]  # fmt: skip


def explain_decision(bundle: EntrySummary, decision: str, why: str, effects: Mapping[str, Effect]) -> str:
    """What a person signs for, in words, and what the signature of each of their keys will do."""
    what = f"You {decision} {safe(bundle.id)}: {size(bundle.bytes)} from {safe(bundle.stream.partition('.')[0])}."
    reason = f"\nReason: {safe(why)}" if why else ""
    told = "".join(f"\n{safe(name)}: {safe(effect.text)}" for name, effect in effects.items())
    return (
        f"{what}{reason}\nYou sign the bundle's digest and the report's digest. "
        f"The signature is made here; the key never leaves this console.{told}"
    )


def require_seen(payload: bytes, bundle: str, decision: str, seen: Signed) -> None:
    """What is to be signed decides what was asked for, about what was shown. Raises RefusedError where the station
    would have something else signed, MalformedError where it is no approval."""
    asked = decode(payload, Approval)
    if (asked.bundle, asked.digest, asked.decision) != (bundle, seen.digest, decision):
        raise RefusedError(
            "the station would have something else signed", thing=f"{asked.decision} {asked.bundle}, {asked.digest}",
            remedy="do not sign; have the station looked into: lockgate intake check",
        )  # fmt: skip
    if seen.report is not None and asked.report != seen.report:
        raise RefusedError(
            "the bundle was inspected anew since its report was shown", thing=f"{bundle}: {asked.report}",
            remedy="read the new report, then sign",
        )  # fmt: skip


async def effects_of(station: Station, bundle: str, offer: Offer) -> dict[str, Effect]:
    """What an approval by each of one's own keys will do, by the key's name; nothing where it waits for nobody."""
    effects = {}
    for key in offer.keys[:KEYS]:
        try:
            found = await station.fetch(PendingDetail, pending_path(bundle), keyid=key.keyid)
        except NotFoundError:
            return {}
        if found.effect is not None:
            effects[key.name] = found.effect
    return effects


def pending_path(bundle: str) -> str:
    """Where the station says how a bundle waits for people."""
    return f"/v1/approvals/{quote(bundle, safe='')}"


def decision_signature(bundle: str, decision: str, why: str, seen: Signed) -> tuple[Fetch, Send[IntakeDetail]]:
    """How a decision about what was `seen` is signed and handed over."""

    async def fetch(station: Station, keyid: str) -> bytes:
        payload = await station.approval_payload(bundle, keyid=keyid, decision=decision, why=why)
        require_seen(payload, bundle, decision, seen)
        return payload

    async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> IntakeDetail:
        return await station.give_approval(bundle, payload=payload, keyid=keyid, signature=signature)

    return fetch, send


def decided(entry: IntakeDetail) -> str:
    """What came of an approval or a refusal."""
    given, wanted = entry.approvals, entry.needed
    match entry.state:
        case "rejected":
            return f"{entry.id} is rejected; its content is visible to nobody"
        case "approved":
            return f"approved, {given} of {wanted}; e releases it"
        case _:
            return f"approved, {given} of {wanted}; another person must approve it too"


def released(answer: ReleaseAnswer, seen: Sequence[AccountChange]) -> tuple[str, str]:
    """What came of a release, as role and sentence; changes of accounts that were not `seen` are told."""
    known = {(one.id, one.state) for one in seen}
    new = [one for one in answer.account_changes if (one.id, one.state) not in known]
    if new:
        more = f"; and {len(new) - 1} more: lockgate user pending --all" if len(new) > 1 else ""
        return "need", f"released. Not shown before: {sentence(new[0])}{more}"
    rest = "" if answer.whole else "; the rest of the bundle stays in quarantine"
    return "ok", f"released: {', '.join(answer.released)}{rest}"


async def entry_with_report(bundle: str, station: Station) -> IntakeDetail:
    """The entry. Raises RefusedError where its report is not what the digest says that people sign."""
    entry = await station.intake_entry(bundle)
    if not is_as_named(entry):
        raise RefusedError(
            "the report that came is not the one that its digest names", thing=bundle,
            remedy="ask again; where that does not help: lockgate intake check",
        )  # fmt: skip
    return entry
