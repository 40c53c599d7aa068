"""A job: how far it is, what it logs, how it ended. It follows the job's events; closing the screen stops nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.message import Message

from appliance.api.intake import CarriedVolume, IntakeDetail
from appliance.api.jobs import Job
from appliance.api.trust import OwnKey
from bundles.errors import CancelledError, LockgateError
from bundles.io.display import safe
from bundles.io.secret import Secret
from tui.actions.registry import SIGNING
from tui.decisions.signing import Offer
from tui.screens.jobs.acts import JobActs
from tui.screens.station_screen import Refusal
from tui.station.port import Station, StationLostError
from tui.terminal.texts import moment, percent, size, span, words
from tui.terminal.workers import begin
from tui.widgets.line_rows import LineRows
from tui.widgets.log_rows import LogRows
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel, fact
from tui.widgets.parts import medium_lines, transfer_lines, volume_lines
from tui.widgets.rows import RowList, Span
from tui.widgets.volumes import grid
from tui.wording.checklists import of_import
from tui.wording.job_results import after_job, opens, result_lines

if TYPE_CHECKING:
    from appliance.cosigning import CoSigned

_PARTS: Final = {"import": (volume_lines, "Volumes"), "collect": (transfer_lines, "Blobs and failed sources")}
"""How the parts of a job are shown, by its kind; others write media."""

_LEAST_PARTS: Final = 6
"""Rows of the volumes on a low screen, with their title."""

RETRY = 2.0
"""Seconds before a lost stream of events is asked for again."""


class JobHeard(Message):
    """An event of the job that is watched."""

    def __init__(self, job: Job | None, line: str | None) -> None:
        super().__init__()
        self.job = job
        self.line = line


class Checked(Message):
    """How far the check of media before a co-signature is, in bytes."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__()
        self.done, self.total = done, total


class JobScreen(JobActs):
    name_of: ClassVar[str] = "job"
    AUTO_FOCUS = "#log"

    def __init__(self, job_id: str, begun: Job | None = None) -> None:
        """`begun`: the job as it was begun on this console; only such a one asks for a signature that it waits for by
        the time it is first heard of."""
        super().__init__()
        self.job_id = job_id
        self.job = begun
        self.volumes: tuple[CarriedVolume, ...] | None = None
        self.stop = threading.Event()
        self.signing = False
        self._anew = False

    def body(self) -> ComposeResult:
        yield Panel(self.look, f"Job {safe(self.job_id)}", ident="job")
        yield Panel(self.look, "Checks", ident="checks")
        yield LineRows(self.look, "Volumes", ident="volumes")
        yield LineRows(self.look, "Media", ident="parts")
        yield LogRows(self.look, "Log")

    def load(self) -> None:
        begin(self, self._follow, "follow")

    def state_changed(self) -> None:
        """Its own events tell how the job stands."""

    def rearrange(self) -> None:
        """Volumes and media get the rows they need, up to a part of the screen: the log always keeps its own."""
        for rows in self.query(LineRows):
            rows.styles.max_height = max(self.size.height // 4, _LEAST_PARTS)
            if not rows.display and self.last_list is rows:
                self.query_one(LogRows).focus()

    async def _follow(self) -> None:
        """Hear the job's events until it ends, over and over when the station goes away."""
        self.query_one(LogRows).stands(Known.LOADING)
        self._anew = True
        while True:
            try:
                async for event in self.console_app.link.station.job_events(self.job_id):
                    self.post_message(JobHeard(event.job, event.log))
            except (StationLostError, OSError):
                if self.closes:
                    return
                self.query_one(LogRows).stands(Known.UNKNOWN, "the station does not answer")
                self.console_app.station_lost()
            except LockgateError as error:
                self.post_message(Refusal(error, None, self.console_app.moment, acted=False))
                return
            else:
                return
            await asyncio.sleep(RETRY)
            self._anew = True

    def on_job_heard(self, message: JobHeard) -> None:
        if self.closes:
            return
        log = self.query_one(LogRows)
        log.stands(Known.SHOWN)
        if self._anew:  # it is told from its beginning
            self._anew = False
            log.clear()
        if message.line is not None:
            log.add(message.line)
        if message.job is not None:
            self.job_heard(message.job)

    def job_now(self) -> Job | None:
        return self.job

    def job_heard(self, job: Job) -> None:
        before = self.job
        self.job = job
        self.query_one("#job", Panel).show(self._lines(job), f"Job {safe(job.id)}: {safe(job.kind)}")
        self._show_checks(job)
        self._show_parts(job)
        if before is None or before.state != job.state:
            self.frame_changed()
            if job.state == "to-sign" and before is not None:
                self.do_sign()

    def _show_checks(self, job: Job) -> None:
        """An import's checklist fills as it verifies; the volumes are a grid once the signatures held."""
        checks, volumes = self.query_one("#checks", Panel), self.query_one("#volumes", LineRows)
        checks.display = job.kind == "import"
        volumes.display = job.kind == "import" and self.volumes is not None and not job.parts
        if job.kind != "import":
            return
        marked = [(check, self.look.mark(check.role)) for check in of_import(job)]
        checks.show([[(f"{mark} {check.name:<11} ", check.role), (check.detail, "plain")] for check, mark in marked])
        if job.phase and not job.parts and "quarantine" not in self.console_app.presence.denied:
            self.ask(lambda station: _entry_of(station, job), self._show_volumes, group="volumes")

    def _show_parts(self, job: Job) -> None:
        """A bar per medium that fills while it is written and compared, or per blob that is fetched; a grid of volumes
        that fills as they are read."""
        rows = self.query_one("#parts", LineRows)
        rows.display = bool(job.parts)
        lines, title = _PARTS.get(job.kind, (medium_lines, "Media"))
        rows.show(lines(self.look, job.parts), title)

    def _show_volumes(self, entry: IntakeDetail | None) -> None:
        if entry is not None:
            self.volumes = entry.volumes
            rows = self.query_one("#volumes", LineRows)
            rows.display = True
            rows.show(grid(self.look, entry.volumes))

    def _lines(self, job: Job) -> list[list[Span]]:
        word, role = self.look.state(job.state)
        phase = f": {safe(job.phase)}" if job.phase and not job.final else ""
        lines: list[list[Span]] = [[(word, role), (phase, "plain")]]
        if not job.final and job.total > 0:
            rate = f", {size(job.rate)}/s" if job.rate else ""
            left = f", {span(job.seconds_left)} left" if job.seconds_left is not None else ""
            bar = self.look.bar(job.done, job.total, 24)
            text = f"{bar} {percent(job.done, job.total)}  {size(job.done)} of {size(job.total)}{rate}{left}"
            lines.append([(text, "plain")])
        ended = f", ended {moment(job.finished)}" if job.finished else ""
        lines.append(fact("begun", f"{moment(job.started or job.created)} by {safe(job.actor)}{ended}", name_width=7))
        if job.error is not None:
            lines.append(fact("what", safe(job.error.what), "bad", name_width=7))
            if job.error.thing:
                lines.append(fact("where", safe(job.error.thing), name_width=7))
            if job.error.remedy:
                lines.append(fact("to do", safe(job.error.remedy), "title", name_width=7))
        lines.extend(result_lines(job))
        role, text = after_job(job)
        if text:
            lines.append([(f"{self.look.mark(role)} {text}", role)])
        return lines

    @property
    def lines(self) -> int:
        """Lines of the log that were heard."""
        return len(self.query_one(LogRows).lines)

    def item(self) -> object | None:
        return SIGNING if self.signing else self.job

    def do_cosign(self) -> None:
        self.ask(lambda station: station.keys(), self._cosign_with, group="act")

    def _cosign_with(self, keys: Sequence[OwnKey]) -> None:
        result = (self.job.result or {}) if self.job else {}
        wanted = [str(one) for one in result.get("missing_signers", ())]
        fitting = tuple(key for key in keys if key.keyid in wanted)
        offer = Offer(fitting, frozenset(wanted), f"a key that is asked to co-sign: {words(wanted)}")
        folders = [str(one) for one in result.get("media") or [result.get("path", "")]]
        explain = f"You co-sign {safe(str(result.get('id')))}. The signature file joins the written media."
        self.choose_key(f"Co-sign {safe(str(result.get('id')))}", offer, explain,
                        lambda key, passphrase: self._cosign(folders, key, passphrase))  # fmt: skip

    def _cosign(self, folders: list[str], key: OwnKey, passphrase: Secret) -> None:
        self.say("busy", "checking the media; c stops it")
        self.stop.set()
        self.stop, self.signing = threading.Event(), True
        self.frame_changed()
        self.work(partial(self._write_signature, folders, key, passphrase, self.stop), self._cosigned, group="act")

    def on_unmount(self) -> None:
        self.stop.set()

    def on_checked(self, message: Checked) -> None:
        if self.signing:
            done, total = message.done, message.total
            self.say("busy", f"checking the media: {percent(done, total)} {size(done)} of {size(total)}; c stops it")

    def do_cancel(self) -> None:
        if self.signing:
            self.stop.set()
        else:
            super().do_cancel()

    async def _write_signature(
        self, folders: list[str], key: OwnKey, passphrase: Secret, stop: threading.Event
    ) -> tuple[Job, CoSigned]:
        """First onto the media, where it counts; then told to the station, whose list of jobs shows what is missing."""
        last = [-1]

        def progress(phase: str, done: int, total: int) -> None:
            if stop.is_set():
                raise CancelledError("stopped: nothing was signed", thing=self.job_id, remedy="o begins again")
            hundredth = done * 100 // total if total else 0
            if hundredth != last[0]:
                last[0] = hundredth
                self.post_message(Checked(done, total))

        try:
            done = await asyncio.to_thread(self.console_app.keyring.cosign, folders, key.name, passphrase, progress)
            job = await self.console_app.link.ask(
                lambda station: station.give_signature(self.job_id, done.keyid, done.signature)
            )
            return job, done
        finally:
            self.signing = stop is not self.stop and self.signing
            self.frame_changed()

    def _cosigned(self, told: tuple[Job, CoSigned]) -> None:
        job, done = told
        self.job_heard(job)
        still = f"; still to come: {', '.join(done.missing)}" if done.missing else ""
        self.say("ok", f"co-signed by {done.keyid}{still}")

    def do_open(self) -> None:
        kind, reference = opens(self.job)
        if kind:
            self.console_app.open_thing(kind, reference)

    def copied(self) -> str:
        result = (self.job.result or {}) if self.job else {}
        return str(result.get("digest") or self.job_id)

    def as_text(self) -> str:
        panels = [panel.as_text() for panel in self.query(Panel) if panel.display]
        lists = [rows.as_text() for rows in self.query(RowList) if rows.display]
        return "\n".join([*panels, *lists])


async def _entry_of(station: Station, job: Job) -> IntakeDetail | None:
    """The intake entry an import fills: by its result, else the one that is being received."""
    name = (job.result or {}).get("id") or PurePath(str((job.params.get("paths") or [""])[0])).name
    receiving = await station.intake(state="receiving")
    entry = next((one for one in receiving.items if one.id == name or one.received >= job.created), None)
    if entry is None and job.state != "done":
        return None
    return await station.intake_entry(entry.digest if entry is not None else str(name))
