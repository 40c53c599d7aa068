"""What can be done to a bundle in the intake: approve, release, reject it."""

from __future__ import annotations

from urllib.parse import quote

from appliance.api.intake import Effect, EntrySummary, IntakeDetail, ReleaseAnswer, Withdrawn
from appliance.api.jobs import Job
from appliance.api.people import AccountChange
from bundles.io.display import safe
from tui.decisions.deciding import (
    Signed,
    artifacts_of,
    decided,
    decision_signature,
    effects_of,
    explain_decision,
    release_explained,
    released,
)
from tui.decisions.signing import NO_KEY, Offer, release_keys
from tui.dialogs.choose import Choose, Option
from tui.dialogs.confirm import Confirm
from tui.dialogs.prompt import Prompt, needed
from tui.screens.intake.importing import ImportingScreen
from tui.screens.trust.signing import SigningScreen
from tui.station.port import Station
from tui.terminal.texts import count


class DecidingScreen(ImportingScreen, SigningScreen):
    """The base of screens that show bundles of the intake."""

    def bundle_now(self) -> EntrySummary | None:
        """The bundle that actions are about."""
        raise NotImplementedError

    def bundle_decided(self, entry: IntakeDetail) -> None:
        """The station took an approval or a refusal."""
        self.load()
        self.say("ok", decided(entry))

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

        fetch, send = decision_signature(bundle, decision, why, seen)
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

    def do_release_part(self) -> None:
        """Choose which artifacts become visible; what belongs to them comes along."""
        bundle = self.bundle_now()
        if bundle is not None:
            self.ask(lambda station: station.intake_entry(bundle.id), self._ask_part, group="act")

    def _ask_part(self, entry: IntakeDetail) -> None:
        options = [
            Option(f"{one.repository}@{one.digest}", safe(one.name), safe(one.digest)) for one in artifacts_of(entry)
        ]
        explain = "Mark those that become visible, with what belongs to them. The others stay in quarantine."
        question = Choose(f"Release which of {safe(entry.id)}?", options, explain, several=True)
        self.console_app.push_screen(
            question, lambda chosen: self._ask_release(entry.id, entry.account_changes, chosen) if chosen else None
        )

    def changes_now(self) -> tuple[AccountChange, ...] | None:
        """The changes of accounts that this screen shows; None where it shows none and the station is to be asked."""
        return None

    def _ask_release(self, bundle: str, changes: tuple[AccountChange, ...], only: tuple[str, ...] = ()) -> None:
        part = f"{count(len(only), 'artifact')} of " if only else ""
        question = Confirm(f"Release {part}{safe(bundle)}?", release_explained(changes))
        self.console_app.push_screen(question, lambda yes: self._release(bundle, changes, only) if yes else None)

    def _release(self, bundle: str, seen: tuple[AccountChange, ...], only: tuple[str, ...]) -> None:
        self.say("busy", "releasing")
        path, body = f"/v1/intake/{quote(bundle, safe='')}/release", {"only": list(only)}
        self.ask(
            lambda station: station.send(ReleaseAnswer, path, body) if only else station.release(bundle),
            lambda answer: self.released(answer, seen),
            group="act",
        )

    def released(self, answer: ReleaseAnswer, seen: tuple[AccountChange, ...]) -> None:
        """The station released it. Changes of accounts that came up behind the question are told now."""
        self.load()
        self.say(*released(answer, seen))
