"""What can be done to a bundle in the intake: approve, release, reject it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from appliance.api.intake import Effect, EntrySummary, IntakeDetail, PendingDetail, ReleaseAnswer, Withdrawn
from appliance.api.jobs import Job
from appliance.api.people import AccountChange
from bundles.documents.signed import Approval, decode
from bundles.errors import NotFoundError, RefusedError
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.dialogs.prompt import Prompt, needed
from tui.screens.intake.importing import ImportingScreen
from tui.screens.trust.signing import NO_KEY, Offer, SigningScreen, release_keys
from tui.station.port import Station
from tui.terminal.look import MARKS
from tui.terminal.texts import size
from tui.wording.account_changes import marked, sentence, summary

_CHANGES: Final = 4
"""Changes of accounts that the question before a release names: the dialog fits 24 rows."""


KEYS: Final = 4
"""Own keys whose effect is asked for; a person has one or two."""


@dataclass(frozen=True)
class Signed:
    """What a decision is for: the bundle's digest and, where a report was read, the report's."""

    digest: str
    report: str | None = None


class DecidingScreen(ImportingScreen, SigningScreen):
    """The base of screens that show bundles of the intake."""

    def bundle_now(self) -> EntrySummary | None:
        """The bundle that actions are about."""
        raise NotImplementedError

    def bundle_decided(self, entry: IntakeDetail) -> None:
        """The station took an approval or a refusal."""
        self.load()
        given, wanted = entry.approvals, entry.needed
        match entry.state:
            case "rejected":
                self.say("ok", f"{entry.id} is rejected; its content is visible to nobody")
            case "approved":
                self.say("ok", f"approved, {given} of {wanted}; e releases it")
            case _:
                self.say("ok", f"approved, {given} of {wanted}; another person must approve it too")

    def do_report(self) -> None:
        """Open the bundle's report."""
        bundle = self.bundle_now()
        if bundle is not None:
            self.console_app.open_further("report", bundle.id)

    def do_approve(self) -> None:
        """Nobody signs before the report was there to be read: it opens, and `a` signs there."""
        self.do_report()

    def do_reject(self) -> None:
        bundle = self.bundle_now()
        if bundle is None:
            return
        prompt = Prompt(
            f"Reject {safe(bundle.id)}: why?",
            "The reason is signed and kept. A rejected bundle cannot be released, and its number is used up.",
            check=needed,
        )
        seen = Signed(bundle.digest)
        self.console_app.push_screen(prompt, lambda why: self.decide("reject", why, seen) if why else None)

    def decide(self, decision: str, why: str, seen: Signed | None) -> None:
        """Sign a decision about what was `seen`, once its keys and what they will do are known."""
        bundle = self.bundle_now()
        if bundle is None or seen is None:
            return

        async def look(station: Station) -> tuple[Offer, dict[str, Effect]]:
            offer = await release_keys(station)
            return offer, await effects_of(station, bundle.id, offer) if decision == "approve" else {}

        def known(found: tuple[Offer, dict[str, Effect]]) -> None:
            offer, effects = found
            self._sign_decision(bundle.id, explain_decision(bundle, decision, why, effects), decision, why, offer, seen)

        self.ask(look, known, group="act")

    def _sign_decision(self, bundle: str, explain: str, decision: str, why: str, offer: Offer, seen: Signed) -> None:
        if not offer.ids:
            self.say("bad", f"no key is {offer.wanted}: {NO_KEY}")
            return

        async def fetch(station: Station, keyid: str) -> bytes:
            payload = await station.approval_payload(bundle, keyid=keyid, decision=decision, why=why)
            require_seen(payload, bundle, decision, seen)
            return payload

        async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> IntakeDetail:
            return await station.give_approval(bundle, payload=payload, keyid=keyid, signature=signature)

        title = f"{decision.capitalize()} {safe(bundle)}"
        self.sign(title, offer, explain, fetch, send, self.bundle_decided, asks=True)

    def do_withdraw(self) -> None:
        bundle = self.bundle_now()
        if bundle is None:
            return
        prompt = Prompt(
            f"Withdraw {safe(bundle.id)}: why?",
            "What it made visible is shown no more; its tags go back to where the newest release that stands put them."
            " It can be approved anew or rejected. The reason stands in the audit log.",
            check=needed,
        )
        self.console_app.push_screen(prompt, lambda why: self._withdraw(bundle.id, why) if why else None)

    def _withdraw(self, bundle: str, why: str) -> None:
        path = f"/v1/intake/{quote(bundle, safe='')}/withdraw"
        self.ask(lambda station: station.send(Withdrawn, path, {"why": why}), self._withdrawn, group="act")

    def _withdrawn(self, answer: Withdrawn) -> None:
        self.load()
        if answer.still_shown:
            still = f"still shown, since something else stands for it: {', '.join(answer.still_shown)}"
            self.say("need", f"{answer.id} is withdrawn; {still}")
        else:
            self.say("ok", f"{answer.id} is withdrawn: {', '.join(answer.withdrawn)}")

    def do_inspect(self) -> None:
        """Make the report anew: whoever approved by the old one is asked again."""
        bundle = self.bundle_now()
        if bundle is None:
            return
        explain = "The new report takes the place of the old one, and every approval by that one is void."
        question = Confirm(f"Inspect {safe(bundle.id)} anew?", explain)
        self.console_app.push_screen(question, lambda yes: self._inspect(bundle.id) if yes else None)

    def _inspect(self, bundle: str) -> None:
        self.ask(lambda station: station.start_job("inspect", {"id": bundle}), self._job_begun, group="act")

    def _job_begun(self, job: Job) -> None:
        self.console_app.open_begun(job)

    def do_release(self) -> None:
        bundle = self.bundle_now()
        if bundle is None:
            return
        changes = self.changes_now()
        if changes is not None:
            self._ask_release(bundle.id, changes)
            return
        self.ask(
            lambda station: station.intake_entry(bundle.id),
            lambda entry: self._ask_release(entry.id, entry.account_changes),
            group="act",
        )

    def changes_now(self) -> tuple[AccountChange, ...] | None:
        """The changes of accounts that this screen shows; None where it shows none and the station is to be asked."""
        return None

    def _ask_release(self, bundle: str, changes: tuple[AccountChange, ...]) -> None:
        question = Confirm(f"Release {safe(bundle)}?", release_explained(changes))
        self.console_app.push_screen(question, lambda yes: self._release(bundle, changes) if yes else None)

    def _release(self, bundle: str, seen: tuple[AccountChange, ...]) -> None:
        self.say("busy", "releasing")
        self.ask(lambda station: station.release(bundle), lambda answer: self.released(answer, seen), group="act")

    def released(self, answer: ReleaseAnswer, seen: tuple[AccountChange, ...]) -> None:
        """The station released it. Changes of accounts that came up behind the question are told now."""
        self.load()
        known = {(one.id, one.state) for one in seen}
        new = [one for one in answer.account_changes if (one.id, one.state) not in known]
        if new:
            more = f"; and {len(new) - 1} more: lockgate user pending --all" if len(new) > 1 else ""
            self.say("need", f"released. Not shown before: {sentence(new[0])}{more}")
        else:
            self.say("ok", f"released: {', '.join(answer.released)}")


def release_explained(changes: Sequence[AccountChange]) -> str:
    """What a person reads before a release: what it does, and the changes of accounts that it shows."""
    text = "Its artifacts are then shown to every client of this registry, all at once; what is blocked stays hidden."
    if not changes:
        return text
    lines = [f"{MARKS[one.role]} {one.text}" for one in marked(changes[:_CHANGES])]
    if len(changes) > _CHANGES:
        lines.append(f"and {len(changes) - _CHANGES} more: the bundle's report lists them all")
    return "\n".join([text, "", f"{summary(changes)}:", *lines])


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
