"""A job: how far it is, what it logs, how it ended. It follows the job's events; closing the screen stops nothing."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.message import Message

from bundles.display import safe
from bundles.errors import LockgateError
from tui.results import result_lines
from tui.screens.base import Refusal
from tui.screens.job_acts import JobActs
from tui.station import Job, StationLostError
from tui.texts import count, moment, percent, size, span
from tui.widgets.log_rows import LogRows
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import Span

RETRY = 2.0
"""Seconds before a lost stream of events is asked for again."""


class JobHeard(Message):
    """An event of the job that is watched."""

    def __init__(self, job: Job | None, line: str | None) -> None:
        super().__init__()
        self.job = job
        self.line = line


class JobScreen(JobActs):
    name_of: ClassVar[str] = "job"

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.job: Job | None = None

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Job {safe(self.job_id)}", ident="job")
        yield LogRows(self.look, "Log")

    def load(self) -> None:
        self.run_worker(self._follow(), group="follow", exclusive=True)

    async def _follow(self) -> None:
        """Hear the job's events until it ends, over and over when the station goes away."""
        self.query_one(LogRows).clear()
        while True:
            try:
                async for event in self.console_app.link.station.job_events(self.job_id):
                    self.post_message(JobHeard(event.job, event.log))
            except (StationLostError, OSError):
                self.console_app.station_lost()
            except LockgateError as error:
                self.post_message(Refusal(error, None))
                return
            else:
                return
            await asyncio.sleep(RETRY)
            self.query_one(LogRows).clear()

    def on_job_heard(self, message: JobHeard) -> None:
        if message.line is not None:
            self.query_one(LogRows).add(message.line)
        if message.job is not None:
            self.job_heard(message.job)

    def job_now(self) -> Job | None:
        return self.job

    def job_heard(self, job: Job) -> None:
        before = self.job
        self.job = job
        self.query_one("#job", Panel).show(self._lines(job), f"Job {safe(job.id)}: {safe(job.kind)}")
        if before is None or before.state != job.state:
            self.frame_changed()
            if job.state == "to-sign" and before is not None:
                self.do_sign()

    def _lines(self, job: Job) -> list[list[Span]]:
        word, role = self.look.state(job.state)
        lines = [fact("state", word, role), fact("phase", safe(job.phase))]
        if not job.final:
            bar = self.look.bar(job.done, job.total, 40)
            rate = f", {size(job.rate)}/s" if job.rate else ""
            left = f", {span(job.seconds_left)} left" if job.seconds_left is not None else ""
            lines.append(fact("progress", f"{bar} {percent(job.done, job.total)}"))
            lines.append(fact("", f"{size(job.done)} of {size(job.total)}{rate}{left}"))
        lines.append(fact("begun", f"{moment(job.started or job.created)} by {safe(job.actor)}"))
        if job.finished:
            lines.append(fact("ended", moment(job.finished)))
        if job.error is not None:
            lines.append(fact("what", safe(job.error.what), "bad"))
            lines.append(fact("where", safe(job.error.thing)))
            lines.append(fact("what to do", safe(job.error.remedy), "title"))
        lines.extend(result_lines(job))
        if job.state == "to-sign":
            asked = count(len(job.to_sign.keyids), "key") if job.to_sign else "a key"
            lines.append(fact("next", f"n signs it here; it asks for {asked}", "need"))
        return lines

    def item(self) -> object | None:
        return self.job

    def copied(self) -> str:
        result = (self.job.result or {}) if self.job else {}
        return str(result.get("digest") or self.job_id)

    def as_text(self) -> str:
        return self.query_one("#job", Panel).as_text() + "\n" + self.query_one(LogRows).as_text()
