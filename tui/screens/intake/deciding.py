"""What can be done to a bundle in the intake: approve, release, reject it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.intake import EntrySummary, IntakeDetail, ReleaseAnswer
from appliance.api.people import AccountChange
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.dialogs.prompt import Prompt, needed
from tui.screens import make
from tui.screens.intake.importing import ImportingScreen
from tui.screens.trust.signing import NO_KEY, Offer, SigningScreen, release_keys
from tui.station.port import Station
from tui.terminal.look import MARKS
from tui.terminal.texts import size
from tui.wording.account_changes import marked, sentence, summary

_CHANGES: Final = 4
"""Changes of accounts that the question before a release names: the dialog fits 24 rows."""


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
        """Open the bundle at its report."""
        bundle = self.bundle_now()
        if bundle is not None:
            self.console_app.push_screen(make("intake_entry", bundle.id, "report"))

    def do_approve(self) -> None:
        self._decide("approve", "")

    def do_reject(self) -> None:
        bundle = self.bundle_now()
        if bundle is None:
            return
        prompt = Prompt(
            f"Reject {safe(bundle.id)}: why?",
            "The reason is signed and kept. A rejected bundle cannot be released, and its number is used up.",
            check=needed,
        )
        self.console_app.push_screen(prompt, lambda why: self._decide("reject", why) if why else None)

    def _decide(self, decision: str, why: str) -> None:
        bundle = self.bundle_now()
        if bundle is not None:
            name, explain = bundle.id, self.explained(bundle, decision, why)
            self.ask(release_keys, lambda offer: self._sign_decision(name, explain, decision, why, offer), group="act")

    def explained(self, bundle: EntrySummary, decision: str, why: str) -> str:
        """What a person reads before the passphrase."""
        return explain_decision(bundle, decision, why)

    def _sign_decision(self, bundle: str, explain: str, decision: str, why: str, offer: Offer) -> None:
        if not offer.ids:
            self.say("bad", f"no key is {offer.wanted}: {NO_KEY}")
            return

        async def fetch(station: Station, keyid: str) -> bytes:
            return await station.approval_payload(bundle, keyid=keyid, decision=decision, why=why)

        async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> IntakeDetail:
            return await station.give_approval(bundle, payload=payload, keyid=keyid, signature=signature)

        title = f"{decision.capitalize()} {safe(bundle)}"
        self.sign(title, offer, explain, fetch, send, self.bundle_decided)

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
        lines.append(f"and {len(changes) - _CHANGES} more: the bundle's report (o) lists them all")
    return "\n".join([text, "", f"{summary(changes)}:", *lines])


def explain_decision(bundle: EntrySummary, decision: str, why: str) -> str:
    """What a person signs for, in words."""
    what = f"You {decision} {safe(bundle.id)}: {size(bundle.bytes)} from {safe(bundle.stream.partition('.')[0])}."
    reason = f"\nReason: {safe(why)}" if why else ""
    return (
        f"{what}{reason}\nYou sign the bundle's digest and the report's digest. "
        "The signature is made here; the key never leaves this console."
    )
