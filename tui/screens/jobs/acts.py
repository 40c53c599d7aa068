"""What can be done to a job, wherever it is shown: cancel it, and sign what it waits for."""

from __future__ import annotations

import base64

from appliance.api.jobs import Job, ToSign
from appliance.api.trust import OwnKey
from bundles.io.display import safe
from tui.dialogs.confirm import Confirm
from tui.screens.trust.signing import Offer, SigningScreen
from tui.station.port import Station
from tui.station.troubles import dismiss
from tui.terminal.texts import count, size, words


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

    def do_dismiss(self) -> None:
        job = self.job_now()
        if job is not None:
            self.ask(lambda station: dismiss(station, (job.id,)), lambda _: self._dismissed(job), group="act")

    def _dismissed(self, job: Job) -> None:
        self.load()
        self.say("ok", f"{job.kind} {job.id} is dismissed: Home and Recover name it no more")

    def _cancelled(self, job: Job) -> None:
        self.job_heard(job)
        self.say("ok", f"{job.kind} {job.id} is {job.state}")

    def do_sign(self) -> None:
        job = self.job_now()
        if job is not None:
            self.ask(lambda station: _wanted(station, job.id), self._ask_key, group="act")

    def _ask_key(self, answer: tuple[str, ToSign, tuple[OwnKey, ...]]) -> None:
        job_id, wanted, keys = answer
        fitting = tuple(key for key in keys if key.keyid in wanted.keyids)
        offer = Offer(fitting, frozenset(wanted.keyids), f"a key that is asked to sign: {words(wanted.keyids)}")
        payload = base64.b64decode(wanted.payload)

        async def fetch(station: Station, keyid: str) -> bytes:
            return payload

        async def send(station: Station, keyid: str, payload: bytes, signature: bytes) -> Job:
            return await station.give_signature(job_id, keyid, signature)

        named = safe(str(wanted.describe.get("id") or f"what job {job_id} made"))
        self.sign(f"Sign {named}", offer, describe(wanted), fetch, send, self._signed)

    def _signed(self, job: Job) -> None:
        self.job_heard(job)
        self.say(
            "ok", f"signed; {job.kind} {job.id} is {job.state}" if job.final else f"signed; {job.kind} {job.id} goes on"
        )


def describe(wanted: ToSign) -> str:
    """What is about to be signed, in words."""
    told = wanted.describe
    lines = []
    if told.get("id"):
        lines.append(f"You sign bundle {safe(str(told['id']))} for {safe(str(told.get('to', '')))}.")
    if isinstance(told.get("bytes"), int) and isinstance(told.get("artifacts"), int):
        volumes = count(int(told.get("volumes", 1)), "volume")
        lines.append(f"It carries {count(told['artifacts'], 'artifact')}, {size(told['bytes'])} in {volumes}.")
    why = [str(one) for one in told.get("undescribed", ())]
    bare = [str(name) for name in told.get("without_sbom", ())]
    bare = [name for name in bare if not any(one.startswith(f"{name}:") for one in why)]
    lines += [f"[!!] No SBOM could be made of {safe(one)}." for one in (*why, *bare)]
    lines += [f"[!!] Not carried, a foreign layer: {safe(str(name))}." for name in told.get("not_carried", ())]
    lines += [f"[!!] {safe(str(note))}." for note in told.get("notes", ())]
    return "\n".join([*lines, "The signature is made here; the key never leaves this console."])


async def _wanted(station: Station, job_id: str) -> tuple[str, ToSign, tuple[OwnKey, ...]]:
    return job_id, await station.to_sign(job_id), tuple(await station.keys())
