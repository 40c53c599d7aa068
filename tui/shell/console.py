"""The console's application: what all screens share, and how an action finds the method that carries it out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.binding import BindingType
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.screen import Screen

from appliance.api.common import Page
from appliance.api.jobs import Job
from appliance.api.people import Who
from appliance.api.status import Status
from bundles.errors import EXIT_DONE, LockgateError
from bundles.io.display import safe
from tui.actions.further_screens import BY_SCREEN
from tui.actions.keymap import Keymap
from tui.actions.registry import ROOTS, Action
from tui.console_port import ConsolePort, FirstAdministrator
from tui.guides.facts import gather
from tui.guides.new_bundle import Draft
from tui.guides.steps import GuideFacts
from tui.screens import make
from tui.shell.presence import Presence
from tui.station.link import Link
from tui.station.port import NotLoggedInError, Station, StationLostError
from tui.terminal import clipboard
from tui.terminal.look import Look
from tui.terminal.painting import Painted
from tui.terminal.workers import begin

if TYPE_CHECKING:
    from tui.screens.base import StationScreen
    from tui.station.keyring import Keyring

POLL: Final = 2.0
"""Seconds between two looks at the station's state; what a person watches has its own stream of events."""


LEAVING: Final = 2.0
"""Seconds the station has to hear of a log-out when the console is left; it ends log-ins by itself, too."""


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


class LockgateConsole(ConsolePort, inherit_bindings=False):
    """`station` is the control client or the demo's; `now` gives the wire time that the clock shows; `other` is the
    station across the gap, which only the demo has; `seconds` counts the time without a key, and `first` makes the
    first administrator."""

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
        other: Station | None = None,
        seconds: Callable[[], float] = time.monotonic,
        first: FirstAdministrator | None = None,
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
        self.status: Status | None = None
        self.running_job: Job | None = None
        self.draft = Draft()
        self.guide = ""
        self.guide_facts: GuideFacts | None = None
        self.painted = Painted(ascii_only=self.look.ascii)
        self._roots: dict[str, StationScreen] = {}

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send what changed, in the place of Textual's whole regions (see `tui.terminal.painting`)."""
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
        """Leave nothing at the station: neither a log-in nor a connection."""
        with contextlib.suppress(LockgateError, TimeoutError):
            async with asyncio.timeout(LEAVING):
                await self.link.station.log_out()
                await self.link.station.close()

    @property
    def presence(self) -> Presence:
        return self._presence

    @property
    def shown(self) -> StationScreen | None:
        """The station screen on top, under any dialog."""
        from tui.screens.base import StationScreen

        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, StationScreen)), None)

    def on_mount(self) -> None:
        self.set_class(self.look.ascii, "ascii")
        self.set_class(self.look.colour, "colour")
        self.show_root("home")
        self.set_interval(1.0, self.tick)
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
        if isinstance(event, Key | Paste):
            self.presence.touched()
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
                self.guide_facts = await self.link.ask(lambda station: gather(station, self.draft))
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
            shown.say("ok", "the station answers again")

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

    def show_root(self, name: str) -> None:
        """Go to one of the numbered screens; what was open above it closes, what it showed before is kept."""
        if name not in self._roots:
            self._roots[name] = make(name)
            self.install_screen(self._roots[name], name)
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if len(self.screen_stack) == 1:
            self.push_screen(name)
        elif self.screen is not self._roots[name]:
            self.switch_screen(name)

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

    def set_draft(self, draft: Draft) -> None:
        """Another new bundle; screens that show it hear of it."""
        self.draft = draft
        if self.shown is not None:
            self.shown.frame_changed()

    def do_help(self) -> None:
        """Help, over the screen that it was asked for on: leaving it leads back there."""
        if self.shown is None or self.shown.name_of == "help":
            return
        self.push_screen(make("help"))

    def do_back(self) -> None:
        shown = self.shown
        if shown is not None and shown.go_back():
            return
        if len(self.screen_stack) > 2:
            self.pop_screen()
        elif shown is not None and shown.name_of in BY_SCREEN:
            self.show_root("more")
        elif shown is not None and shown.name_of != "home":
            self.show_root("home")

    def do_palette(self) -> None:
        from tui.dialogs.palette import Palette

        if self.shown is not None:
            self.push_screen(Palette(self.shown.context()), self._chosen)

    def _chosen(self, action: Action | None) -> None:
        if action is not None:
            self.perform(action)

    def do_jump(self) -> None:
        from tui.dialogs.jump import Jump

        self.push_screen(Jump(), self._jump_to)

    def _jump_to(self, target: tuple[str, str] | None) -> None:
        if target is not None:
            self.open_thing(*target)

    def open_thing(self, kind: str, reference: str) -> None:
        """Open what the finder found: a repository, tag, digest, intake entry, job, key or screen."""
        match kind:
            case "tag" | "digest" | "artifact":
                self.push_screen(make("artifact", reference))
            case "intake":
                self.push_screen(make("intake_entry", reference))
            case "job":
                self.push_screen(make("job", reference))
                self.look_now()
            case "repository":
                self.show_root("repositories")
                self._roots["repositories"].reveal(reference)
            case "key":
                self.show_root("trust")
                self._roots["trust"].reveal(reference)
            case "screen" if reference == "help":
                self.do_help()
            case "screen":
                self.show_root(reference)

    def open_further(self, name: str, reference: str) -> None:
        """Open a further screen that is about one thing (see `tui.actions.further_screens`)."""
        self.push_screen(make(name, reference))

    def open_guide(self, name: str) -> None:
        """Begin or go on with a guide: `carry_out`, `bring_in` or `recover`."""
        self.guide, self.guide_facts = name, None
        self.push_screen(make("guide", name))

    def do_guides(self) -> None:
        """The guides, or straight back to the one that is being followed."""
        guide = self.guide
        self.show_root("guides")
        if guide:
            self.open_guide(guide)

    def do_swap(self) -> None:
        """Carry on at the demo's other station, as after a walk with the medium."""
        if self.other is None:
            return
        self.other, self.link.station = self.link.station, self.other
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
        self.guide, self.draft, self._clipboard = "", Draft(), ""

    def come_back(self) -> None:
        """Somebody logged in: look at the station again, and show what it says now."""
        begin(self, self._watch, "watch")
        from tui.screens.base import StationScreen

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
        text = shown.copied() if shown else ""
        if shown is None:
            return
        if not text:
            shown.say("note", "Copy: nothing to copy here")
            return
        clipboard.copy(self, text)
        shown.say("ok", f"copied {safe(text)}; s saves it to a file where the terminal has no clipboard")

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
