"""What can be done to a job, wherever it is shown: cancel it, and sign what it waits for."""

from __future__ import annotations

from appliance.api.jobs import Job, ToSign
from appliance.api.states import WRONG_STATES
from appliance.api.trust import OwnKey
from bundles.io.display import safe
from tui.decisions.signing import describe, job_offer, job_signature
from tui.dialogs.confirm import Confirm
from tui.screens.trust.signing import SigningScreen
from tui.station.port import Station
from tui.station.troubles import dismiss
from tui.terminal.texts import count


class JobActs(SigningScreen):
    """The base of screens that show jobs."""

    def job_now(self) -> Job | None:
        """The job that actions are about."""
        raise NotImplementedError

    def job_heard(self, job: Job) -> None:
        """The station said how this job stands now."""
        raise NotImplementedError

    def do_cancel(self) -> None:
        job = self.job_now()
        if job is None:
            return
        question = Confirm(
            f"Cancel {safe(job.kind)} {safe(job.id)}?", "It stops within a second, and nothing of it stays visible."
        )
        self.console_app.push_screen(question, lambda yes: self._cancel(job.id) if yes else None)

    def _cancel(self, job_id: str) -> None:
        self.say("busy", "cancelling")
        self.ask(lambda station: station.cancel_job(job_id), self._cancelled, group="act")

    def jobs_now(self) -> tuple[Job, ...]:
        """The jobs that are dismissed together: those that are marked, else the one that actions are about."""
        job = self.job_now()
        return (job,) if job is not None else ()

    def do_dismiss(self) -> None:
        """Dismiss what went wrong; of several jobs those that did."""
        wrong = tuple(job for job in self.jobs_now() if job.state in WRONG_STATES and job.dismissed is None)
        if not wrong:
            return
        if len(wrong) == 1:
            self._dismiss(wrong)
            return
        question = Confirm(
            f"Dismiss {count(len(wrong), 'job')}?",
            "Home and Recover name them no more; Jobs and the audit log keep them, with your name.",
        )
        self.console_app.push_screen(question, lambda yes: self._dismiss(wrong) if yes else None)

    def _dismiss(self, wrong: tuple[Job, ...]) -> None:
        ids = tuple(job.id for job in wrong)
        self.ask(lambda station: dismiss(station, ids), lambda _: self._dismissed(wrong), group="act")

    def _dismissed(self, wrong: tuple[Job, ...]) -> None:
        self.load()
        said = f"{wrong[0].kind} {wrong[0].id} is" if len(wrong) == 1 else f"{count(len(wrong), 'job')} are"
        self.say("ok", f"{said} dismissed: Home and Recover name {'it' if len(wrong) == 1 else 'them'} no more")

    def _cancelled(self, job: Job) -> None:
        self.job_heard(job)
        self.say("ok", f"{job.kind} {job.id} is {job.state}")

    def do_sign(self) -> None:
        job = self.job_now()
        if job is not None:
            self.ask(lambda station: _wanted(station, job.id), self._ask_key, group="act")

    def _ask_key(self, answer: tuple[str, ToSign, tuple[OwnKey, ...]]) -> None:
        job_id, wanted, keys = answer
        fetch, send = job_signature(job_id, wanted)
        named = safe(str(wanted.describe.get("id") or f"what job {job_id} made"))
        self.sign(f"Sign {named}", job_offer(wanted, keys), describe(wanted), fetch, send, self._signed)

    def _signed(self, job: Job) -> None:
        self.job_heard(job)
        self.say(
            "ok", f"signed; {job.kind} {job.id} is {job.state}" if job.final else f"signed; {job.kind} {job.id} goes on"
        )


async def _wanted(station: Station, job_id: str) -> tuple[str, ToSign, tuple[OwnKey, ...]]:
    return job_id, await station.to_sign(job_id), tuple(await station.keys())
