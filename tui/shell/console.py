"""The console's application: what all screens share, and how an action finds the method that carries it out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.binding import BindingType
from textual.events import Event, Key, MouseDown, MouseScrollDown, MouseScrollUp, Paste
from textual.message import Message
from textual.screen import Screen

from appliance.api.common import Page
from appliance.api.jobs import Job
from appliance.api.people import Who
from appliance.api.status import Status
from bundles.errors import EXIT_DONE, LockgateError
from bundles.io.display import safe
from tui.actions.keymap import Keymap
from tui.actions.registry import ROOTS, Action
from tui.console_port import FirstAdministrator
from tui.dialogs.dialog import Dialog
from tui.guides.guide_facts import gather
from tui.guides.new_bundle import Draft
from tui.guides.steps import GuideFacts
from tui.shell.crash import Crash
from tui.shell.failing import Failing
from tui.shell.opening import Opening
from tui.shell.presence import Presence
from tui.shell.typing_order import TypingOrder
from tui.station.link import Link
from tui.station.port import NotLoggedInError, Station, StationLostError
from tui.terminal import clipboard
from tui.terminal.look import Look
from tui.terminal.painting import Painted
from tui.terminal.texts import count
from tui.terminal.workers import begin
from tui.widgets.kept_lists import KeptLists
from tui.widgets.table import Arrangement

if TYPE_CHECKING:
    from tui.screens.station_screen import StationScreen
    from tui.station.keyring import Keyring

POLL: Final = 2.0
"""Seconds between two looks at the station's state; what a person watches has its own stream of events."""


@dataclass
class Seen(Message):
    """What the station said of itself."""

    who: Who
    status: Status
    running: Job | None
    was_lost: bool


@dataclass
class Unseen(Message):
    """The station said nothing, or no."""

    error: LockgateError


class LockgateConsole(Opening, Failing, TypingOrder, inherit_bindings=False):
    """`station` is the control client; `now` gives the wire time that the clock shows. `other` is the station across
    the gap with its keys, and `hint` says who may log in: only the demo has them. `seconds` counts the time without a
    key, and `first` makes the first administrator. `after` is the defect that ended the console before this one: its
    page comes first."""

    CSS_PATH = "lockgate.tcss"
    BINDINGS: ClassVar[list[BindingType]] = []
    ENABLE_COMMAND_PALETTE = False
    TITLE = "Lockgate"

    def __init__(
        self,
        station: Station,
        keyring: Keyring,
        *,
        now: Callable[[], str],
        look: Look | None = None,
        keymap: Keymap | None = None,
        other: tuple[Station, Keyring] | None = None,
        hint: str = "",
        seconds: Callable[[], float] = time.monotonic,
        first: FirstAdministrator | None = None,
        after: Crash | None = None,
        lists: KeptLists | None = None,
    ) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.theme = "ansi-dark"
        self.link = Link(station, now)
        self._presence = Presence(self, seconds, first)
        self.keyring = keyring
        self.now = now
        self.look = look or Look()
        self.keymap = keymap or Keymap()
        self.other = other
        self.hint = hint
        self.status: Status | None = None
        self.running_job: Job | None = None
        self.draft = Draft()
        self.lists = lists or KeptLists()
        self.key_file = ""
        self.guide = ""
        self.guide_facts: GuideFacts | None = None
        self.painted = Painted(ascii_only=self.look.ascii)
        self.last_key = ("", 0.0)
        self._roots: dict[str, StationScreen] = {}
        self._after = after

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send what changed, in the place of Textual's whole regions (see `tui.terminal.painting`)."""
        if isinstance(screen, Dialog) and isinstance(renderable, LayoutUpdate | ChopsUpdate):
            screen.was_painted()
        driver = self._driver
        if self.is_headless or driver is None or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        changes = self.painted.changes(renderable, self.size, self.console._color_system)
        if changes:
            self._begin_update()
            driver.write(changes)
            self._end_update()
            driver.flush()

    def on_resize(self) -> None:
        self.painted.forget()

    async def on_unmount(self) -> None:
        await self.log_out_and_close()

    @property
    def presence(self) -> Presence:
        return self._presence

    def on_mount(self) -> None:
        self.set_class(self.look.ascii, "ascii")
        self.set_class(self.look.colour, "colour")
        if not self.is_headless:
            self.hear_signals()
        self.set_interval(1.0, self.tick)
        if self._after is not None:
            from tui.screens.start.failure import FailurePage

            self.push_screen(FailurePage(self._after.what, safe(str(self._after.report or ""))))
        else:
            self._begin()

    @property
    def on_failure_page(self) -> bool:
        """Whether the page about the defect before still stands."""
        return self._after is not None

    def go_on(self) -> None:
        self._after = None
        self.pop_screen()
        self._begin()

    def _begin(self) -> None:
        self.show_root("home")
        if self.presence.first is not None and self.presence.first.needed():
            self.presence.over()
        else:
            begin(self, self._watch, "watch")

    def tick(self) -> None:
        """Show the time, under a dialog too."""
        from tui.widgets.bars import Clock

        self.presence.tick()
        for screen in (self.shown, self.presence.gate):
            for clock in screen.query(Clock) if screen is not None else ():
                clock.tick(self.now())

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste | MouseDown | MouseScrollDown | MouseScrollUp):
            self.presence.touched()
        if isinstance(event, Key) and not self.is_headless and event.time > self.last_key[1]:
            self.last_key = (event.key, event.time)
        await super().on_event(event)

    async def _watch(self) -> None:
        """Look at the station every other second, as long as the console runs."""
        while True:
            await self.look_at_station()
            await asyncio.sleep(POLL)

    async def look_at_station(self) -> None:
        """Ask for the station's state and running job, and post what it said. Nobody looks at a locked console."""
        if self.presence.gate is not None:
            return
        was_lost = self.link.lost
        try:
            who = await self.link.ask(lambda station: station.who())
            status = await self.link.ask(lambda station: station.status())
            jobs: Page[Job] = Page(())
            if status.jobs.running:
                jobs = await self.link.ask(lambda station: station.jobs(limit=5))
            if self.guide:
                self.guide_facts = await self.link.ask(lambda station: gather(station, self.draft, self.guide))
        except LockgateError as error:
            self.post_message(Unseen(error))
        else:
            self.post_message(Seen(who, status, next((job for job in jobs.items if not job.final), None), was_lost))

    def look_now(self) -> None:
        """Look at the station before the next turn: something was just begun."""
        begin(self, self.look_at_station, "look")

    def on_seen(self, message: Seen) -> None:
        if self.presence.gate is not None:
            return
        seen = (message.who, message.status, message.running)
        changed = seen != (self.presence.who, self.status, self.running_job)
        first = self.status is None
        self.presence.who = message.who
        self.status, self.running_job = message.status, message.running
        shown = self.shown
        if shown is None or not shown.ready:
            return
        shown.frame_changed()
        if changed or message.was_lost:
            shown.state_changed()
        if message.was_lost:
            shown.load()
            shown.say("ok", "connected" if first else "the station answers again")

    def on_unseen(self, message: Unseen) -> None:
        if isinstance(message.error, NotLoggedInError):
            self.presence.over()
        elif isinstance(message.error, StationLostError):
            self.station_lost()
        else:
            self.tell("bad", message.error.diagnostics())

    def tell(self, role: str, text: str) -> None:
        """A sentence in the message row of the screen that is shown."""
        if self.shown is not None:
            self.shown.say(role, text)

    def station_lost(self) -> None:
        """Say so, and keep what is shown."""
        if self.shown is not None and self.shown.ready:
            self.shown.frame_changed()

    def perform(self, action: Action) -> None:
        """Carry out an action, or say why not."""
        shown = self.shown
        if shown is None or not shown.ready:
            return
        reason = action.allowed(shown.context())
        if reason:
            shown.hint(f"{action.label}: {reason}")
            return
        for owner in (shown, self):
            method = getattr(owner, f"do_{action.name}", None)
            if method is not None:
                method()
                return
        if action.name in ROOTS:
            self.show_root(action.name)

    def keep_list(self, screen: str, table: str, wanted: Arrangement) -> None:
        self.lists.keep(screen, table, wanted)
        begin(self, self._write_lists, "keep")

    async def _write_lists(self) -> None:
        try:
            await asyncio.to_thread(self.lists.write)
        except LockgateError as error:
            self.call_later(self.tell, "bad", error.diagnostics())

    def set_draft(self, draft: Draft) -> None:
        """Another new bundle; screens that show it hear of it."""
        self.draft = draft
        if self.shown is not None:
            self.shown.frame_changed()

    def do_swap(self) -> None:
        """Carry on at the demo's other station, as after a walk with the medium."""
        if self.other is None:
            return
        here = self.link.station, self.keyring
        (self.link.station, self.keyring), self.other = self.other, here
        self.status = self.presence.who = None
        self.forget_person()
        self.show_root("home")
        self.look_now()

    def forget_person(self) -> None:
        """Take down every screen with what somebody left on it: drafts, filters, what was copied."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        for name in list(self._roots):
            screen = self._roots.pop(name)
            self.uninstall_screen(name)
            screen.remove()
        self.running_job = self.guide_facts = None
        self.guide, self.draft, self.key_file, self._clipboard = "", Draft(), "", ""

    def come_back(self) -> None:
        """Somebody logged in: look at the station again, and show what it says now."""
        begin(self, self._watch, "watch")
        from tui.screens.station_screen import StationScreen

        for screen in self.screen_stack:
            if isinstance(screen, StationScreen) and screen.ready:
                screen.load()

    def do_lock(self) -> None:
        self.presence.lock("")

    def do_log_out(self) -> None:
        from tui.dialogs.confirm import Confirm

        if not self.draft.unsaved:
            self.presence.log_out()
            return
        question = Confirm("Log out?", "The new bundle's form is not empty; it would be lost. Jobs go on.")
        self.push_screen(question, lambda yes: self.presence.log_out() if yes else None)

    def do_password(self) -> None:
        from tui.dialogs.password import change_own

        change_own(self)

    def do_copy(self) -> None:
        shown = self.shown
        if shown is None:
            return
        marks = shown.copied_marks()
        text = marks or shown.copied()
        if not text:
            shown.say("note", "Copy: nothing to copy here")
            return
        clipboard.copy(self, text)
        said = f"{count(len(marks.splitlines()), 'name')}, a line each" if marks else safe(text)
        shown.say("ok", f"copied {said}; s saves it to a file where the terminal has no clipboard")

    def do_save(self) -> None:
        from tui.dialogs.save import ask_and_save

        if self.shown is not None:
            ask_and_save(self, self.shown.name_of, self.shown.as_text())

    def do_redraw(self) -> None:
        """Paint everything, whatever another program wrote onto the terminal."""
        self.painted.forget()
        self.refresh(layout=True)

    def do_quit(self) -> None:
        from tui.dialogs.confirm import Confirm

        if not self.draft.unsaved:
            self.exit(EXIT_DONE)
            return
        question = Confirm("Leave the console?", "The new bundle's form is not empty; it would be lost. Jobs go on.")
        self.push_screen(question, lambda yes: self.exit(EXIT_DONE) if yes else None)
