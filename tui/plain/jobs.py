"""A job at the line terminal: a line for each step and each tenth, its signature, how it ended."""

from __future__ import annotations

import asyncio
from typing import Final

from appliance.api.jobs import Job
from bundles.io.display import safe
from tui.decisions.signing import describe, job_offer, job_signature
from tui.plain.desk import Desk
from tui.plain.line_terminal import Stopped
from tui.plain.signing import sign
from tui.station.port import StationLostError
from tui.station.troubles import dismiss
from tui.terminal.texts import percent, span
from tui.wording.checklists import of_import
from tui.wording.job_results import after_job, result_lines

_TENTH: Final = 10
RETRY: Final = 2.0
"""Seconds before a lost stream of events is asked for again."""


async def watch(desk: Desk, job: Job) -> Job:
    """The job as it ended, or as it waits for a person; Ctrl-C stops looking, and the job goes on."""
    try:
        return await desk.terminal.stoppable(_follow(desk, job))
    except Stopped:
        desk.say("note", f"{safe(job.kind)} {safe(job.id)} goes on; j {safe(job.id)} at What opens it again")
        return await desk.ask(lambda station: station.job(job.id))


async def _follow(desk: Desk, job: Job) -> Job:
    told: tuple[str, str, int] | None = None
    job_id, lost = job.id, False
    while True:
        try:
            async for event in desk.link.station.job_events(job_id):
                if lost:
                    lost = False
                    desk.say("ok", "the station answers again")
                if event.job is None:
                    continue
                job = event.job
                step = (job.state, job.phase, job.done * _TENTH // job.total if job.total else 0)
                if step != told:
                    told = step
                    desk.say(desk.look.state(job.state)[1], _progress(job))
                if job.final or job.state == "to-sign":
                    return job
        except (StationLostError, OSError):
            if not lost:
                desk.say("bad", "the station does not answer; the job is looked for again by itself")
            lost = True
        else:
            if not lost:
                return await desk.link.ask(lambda station: station.job(job_id))
        await asyncio.sleep(RETRY)


def _progress(job: Job) -> str:
    how = " ".join(part for part in (safe(job.phase), percent(job.done, job.total)) if part)
    left = f", {span(job.seconds_left)} left" if job.seconds_left is not None and not job.final else ""
    return f"{safe(job.kind)} {safe(job.state)}" + (f": {how}{left}" if how and not job.final else "")


async def run(desk: Desk, job: Job) -> Job:
    """Follow a job that was begun here, sign what it waits for, and say how it ended."""
    job = await watch(desk, job)
    if job.state == "to-sign":
        signed = await sign_job(desk, job)
        if signed is None:
            desk.say(
                "need",
                f"{safe(job.kind)} {safe(job.id)} waits for a signature: j {safe(job.id)} at What opens it, n signs it",
            )
            return job
        job = await watch(desk, signed)
    tell(desk, job)
    return job


async def sign_job(desk: Desk, job: Job) -> Job | None:
    """Sign what a job waits for; None where nobody did."""
    if desk.stands_in_the_way("sign", "job", job):
        return None
    wanted = await desk.ask(lambda station: station.to_sign(job.id))
    keys = await desk.ask(lambda station: station.keys())
    fetch, send = job_signature(job.id, wanted)
    named = safe(str(wanted.describe.get("id") or f"what job {job.id} made"))
    return await sign(desk, f"Sign {named}", job_offer(wanted, keys), describe(wanted), fetch, send)


def tell(desk: Desk, job: Job) -> None:
    """How a job stands, and what a person does next."""
    word, _ = desk.look.state(job.state)
    desk.say("", f"{word}  {safe(job.kind)} {safe(job.id)}")
    if job.error is not None:
        desk.say("", f"what   {safe(job.error.what)}")
        if job.error.thing:
            desk.say("", f"where  {safe(job.error.thing)}")
        if job.error.remedy:
            desk.say("", f"to do  {safe(job.error.remedy)}")
    if job.kind == "import":
        for check in of_import(job):
            desk.say(check.role, f"{check.name}: {check.detail}")
    desk.lines(result_lines(job))
    role, text = after_job(job)
    if text:
        desk.say(role, text)


async def page(desk: Desk, job_id: str) -> None:
    """A job, and what can be done to it."""
    while True:
        job = await desk.ask(lambda station: station.job(job_id))
        tell(desk, job)
        match await desk.terminal.ask("n signs, c cancels, d dismisses, f follows it; empty goes back"):
            case "":
                return
            case "n":
                await desk.tried(_sign(desk, job))
            case "c":
                await desk.tried(_cancel(desk, job))
            case "d":
                await desk.tried(_dismiss(desk, job))
            case "f":
                await desk.tried(_run(desk, job))
            case typed:
                desk.say("note", f"{safe(typed)} is none of these")


async def _sign(desk: Desk, job: Job) -> None:
    signed = await sign_job(desk, job)
    if signed is not None:
        await run(desk, signed)


async def _run(desk: Desk, job: Job) -> None:
    await run(desk, job)


async def _cancel(desk: Desk, job: Job) -> None:
    if desk.stands_in_the_way("cancel", "job", job):
        return
    if await desk.yes(f"Cancel {safe(job.kind)} {safe(job.id)}? Nothing of it stays visible."):
        ended = await desk.act(lambda station: station.cancel_job(job.id))
        desk.say("ok", f"{safe(ended.kind)} {safe(ended.id)} is {safe(ended.state)}")


async def _dismiss(desk: Desk, job: Job) -> None:
    if not desk.stands_in_the_way("dismiss", "job", job):
        await desk.act(lambda station: dismiss(station, (job.id,)))
        desk.say("ok", f"{safe(job.kind)} {safe(job.id)} is dismissed: Home and Recover name it no more")


async def begin(desk: Desk, kind: str, params: dict[str, object]) -> None:
    """Begin a job and follow it."""
    await run(desk, await desk.act(lambda station: station.start_job(kind, params)))
