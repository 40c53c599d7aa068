"""Verify: what a bundle on a medium is worth, without taking anything of it in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.message import Message

from appliance.api.bundles import Medium
from bundles.errors import CancelledError, LockgateError
from tui.actions.further_screens import READING
from tui.decisions.verifying import UNASKED, sequence_here, verdict_lines
from tui.dialogs.choose import Choose
from tui.dialogs.media import ELSEWHERE, media_options
from tui.dialogs.path_prompt import PathPrompt
from tui.screens.station_screen import StationScreen
from tui.terminal.texts import percent, size, words
from tui.terminal.workers import begin
from tui.widgets.mark_rows import Marked, MarkRows
from tui.widgets.nothing import Known
from tui.widgets.panel import Panel, fact
from tui.widgets.rows import Span
from tui.wording.verification import lines_of, page_of

if TYPE_CHECKING:
    from bundles.verifier.examine import Findings


@dataclass
class Read(Message):
    """How far the volumes have been read."""

    done: int
    total: int


@dataclass
class Found(Message):
    """What was found, and what the ledger says."""

    findings: Findings
    sequence: Marked


@dataclass
class Unfound(Message):
    """Nothing was found out: stopped, or the trust folder is damaged."""

    error: LockgateError


class VerifyScreen(StationScreen):
    name_of: ClassVar[str] = "verify"

    def __init__(self) -> None:
        super().__init__()
        self.paths: tuple[str, ...] = ()
        self.findings: Findings | None = None
        self.sequence = UNASKED
        self.stop = threading.Event()
        self.reading = False

    def body(self) -> ComposeResult:
        look = self.look
        yield Panel(look, "Verify a bundle", ident="verdict")
        yield MarkRows(look, "Rules", ident="rules-found", empty="no rule was looked at")

    def load(self) -> None:
        if self.findings is None and not self.reading:
            self._say_nothing_yet()

    def _say_nothing_yet(self) -> None:
        lines: list[list[Span]] = [
            [("[--] nothing was verified yet", "wait")],
            fact("", "It is only read: nothing is taken in, and nothing is written to it. Each", name_width=5),
            fact("", "rule says what it found, and the first failure what is to be done.", name_width=5),
        ]
        self.query_one("#verdict", Panel).show(lines)
        self.query_one("#rules-found", MarkRows).stands(Known.UNKNOWN, "v chooses a medium or a folder")

    def do_check(self) -> None:
        self.ask(lambda station: station.media(), self._ask_medium, group="media to verify")

    def _ask_medium(self, media: Sequence[Medium]) -> None:
        options = media_options(media)
        explain = "Mark every medium of the bundle that is here. They are only read."
        self.console_app.push_screen(
            Choose("Verify what?", options, explain, several=True, marked=(options[0].value,)), self._chosen
        )

    def _chosen(self, chosen: tuple[str, ...] | None) -> None:
        if not chosen:
            return
        here = tuple(one for one in chosen if one != ELSEWHERE)
        if ELSEWHERE not in chosen:
            self.verify(here)
            return
        prompt = PathPrompt("Verify: Which folder?", "A bundle's folder, or one that holds it.")
        self.console_app.push_screen(prompt, lambda path: self.verify((*here, path)) if path else None)

    def verify(self, paths: tuple[str, ...]) -> None:
        """Begin to verify the bundle on these media."""
        self.paths, self.findings, self.reading = paths, None, True
        self.stop.set()
        self.stop = threading.Event()
        rules = self.query_one("#rules-found", MarkRows)
        rules.show(())
        rules.answered = False
        rules.stands(Known.LOADING)
        self.on_read(Read(0, 0))
        self.frame_changed()
        begin(self, partial(self._verify, paths, self.stop), "act")

    async def _verify(self, paths: tuple[str, ...], stop: threading.Event) -> None:
        last = [-1]

        def progress(phase: str, done: int, total: int) -> None:
            if stop.is_set():
                raise CancelledError("stopped", thing=paths[0], remedy="v begins again")
            hundredth = done * 100 // total if total else 0
            if hundredth != last[0]:
                last[0] = hundredth
                self.post_message(Read(done, total))

        desk = self.console_app.link.station.desk
        try:
            found = await asyncio.to_thread(desk.verify, paths, progress)
            if isinstance(found.error, CancelledError):
                raise found.error
            sequence = await sequence_here(self.console_app.link, found)
        except LockgateError as error:
            self.post_message(Unfound(error))
        else:
            self.post_message(Found(found, sequence))

    def on_read(self, message: Read) -> None:
        if self.findings is not None or not self.reading:
            return
        how_far = f"{size(message.done)} of {size(message.total)}" if message.total else "the small files"
        line = f"[..] verifying {words(self.paths)}"
        self.query_one("#verdict", Panel).show(
            [[(line, "busy")], [(f"     {percent(message.done, message.total)} {how_far}; c stops it", "plain")]]
        )

    def on_found(self, message: Found) -> None:
        self.findings, self.sequence, self.reading = message.findings, message.sequence, False
        found = message.findings
        lines = verdict_lines(self.look, found, message.sequence)
        self.query_one("#verdict", Panel).show(lines)
        self.query_one("#rules-found", MarkRows).show(lines_of(found, message.sequence))
        self.say("note", "s saves the report as a page to print and sign")
        self.frame_changed()

    def on_unfound(self, message: Unfound) -> None:
        self.reading = False
        self._say_nothing_yet()
        self.say("bad", message.error.diagnostics())
        self.frame_changed()

    def do_stop(self) -> None:
        self.stop.set()

    def item(self) -> object | None:
        return READING if self.reading else self.findings

    def copied(self) -> str:
        return self.findings.digest if self.findings else ""

    def as_text(self) -> str:
        if self.findings is None:
            return self.query_one("#verdict", Panel).as_text()
        version = self.console_app.status.version if self.console_app.status else ""
        return page_of(self.findings, self.sequence, f"the console of lockgate {version}".rstrip())
