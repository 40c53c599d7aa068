"""Opening and closing screens and dialogs, and dropping those that come late.

A dialog takes the keys of whoever sits there. One that an answer opens belongs to the screen and the moment that asked
for it: a person who has gone on meanwhile must not find their keys answering it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from textual.await_complete import AwaitComplete
from textual.screen import Screen
from textual.widget import AwaitMount

from tui.actions.action import Action
from tui.actions.further_screens import BY_SCREEN
from tui.actions.registry import TITLES, place_of
from tui.console_port import ConsolePort, Moment
from tui.dialogs.dialog import Dialog
from tui.screens import make
from tui.screens.people.log_in import LogInForm

if TYPE_CHECKING:
    from appliance.api.jobs import Job
    from tui.screens.station_screen import StationScreen


class Opening(ConsolePort, inherit_bindings=False):
    """The base of the application: what is on the screen, and how it comes there."""

    moment: Moment = (0, 0)
    _asked: tuple[Screen[Any], Moment] | None = None
    _roots: dict[str, StationScreen]

    @property
    def shown(self) -> StationScreen | None:
        """The station screen on top, under any dialog; None where the console closes, whose screens lose their widgets
        before they are gone themselves."""
        from tui.screens.station_screen import StationScreen

        if not self.is_running:
            return None
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, StationScreen)), None)

    @contextmanager
    def answering(self, screen: Screen[Any], moment: Moment) -> Iterator[None]:
        before, self._asked = self._asked, (screen, moment)
        try:
            yield
        finally:
            self._asked = before

    def _is_late(self, name: str, *, is_dialog: bool = False) -> bool:
        """Whether what is to be opened comes late, and is dropped with a line that names it. A page may come behind a
        lock that the same person opened; a dialog may not."""
        asked, self._asked = self._asked, None
        if asked is None:
            return False
        screen, (opened, locks) = asked
        if self.screen is screen and opened == self.moment[0] and not (is_dialog and locks != self.moment[1]):
            return False
        self.tell("note", f"{name}: not opened, since you had gone on; it can be asked for again")
        return True

    def _count(self, screen: object) -> None:
        opened, locks = self.moment
        gate = isinstance(screen, LogInForm)
        self.moment = (opened, locks + 1) if gate else (opened + 1, locks)

    def push_screen(
        self, screen: Any, callback: Any = None, wait_for_dismiss: bool = False, *, mode: str | None = None
    ) -> Any:
        name = screen.question if isinstance(screen, Dialog) else TITLES.get(getattr(screen, "name_of", ""), "")
        if name and self._is_late(name, is_dialog=isinstance(screen, Dialog)):
            return AwaitMount(self.screen, ())
        self._count(screen)
        return super().push_screen(screen, callback, wait_for_dismiss, mode=mode)  # type: ignore[call-overload]

    def pop_screen(self) -> AwaitComplete:
        self._count(self.screen)
        return super().pop_screen()

    def switch_screen(self, screen: Any) -> AwaitComplete:
        self._count(screen)
        return super().switch_screen(screen)

    def show_root(self, name: str) -> None:
        """Go to one of the numbered screens; what was open above it closes, what it showed before is kept."""
        if self._is_late(TITLES[name]):
            return
        if name not in self._roots:
            self._roots[name] = make(name)
            self.install_screen(self._roots[name], name)
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if len(self.screen_stack) == 1:
            self.push_screen(name)
        elif self.screen is not self._roots[name]:
            self.switch_screen(name)

    def do_help(self) -> None:
        """Help, over the screen that it was asked for on and opened at it: leaving it leads back there."""
        if self.shown is None or self.shown.name_of == "help":
            return
        self.push_screen(make("help", self.shown.name_of))

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
        """Carry an action out; one of another screen is led to, and done there by its key."""
        if action is None or self.shown is None:
            return
        if action.on(self.shown.name_of):
            self.perform(action)
            return
        self.show_root(place_of(action))
        key = self.keymap.shown(action)
        self.tell("note", f"{action.label}{f' ({key})' if key else ''}: {action.help}")

    def do_jump(self) -> None:
        from tui.dialogs.jump import Jump

        self.push_screen(Jump(), self._jump_to)

    def _jump_to(self, target: tuple[str, str] | None) -> None:
        if target is not None:
            self.open_thing(*target)

    def open_begun(self, job: Job) -> None:
        """Open a job that was begun here: it asks for its signature as soon as it waits for one."""
        from tui.screens.jobs.job import JobScreen

        self.push_screen(JobScreen(job.id, begun=job))
        self.look_now()

    def open_thing(self, kind: str, reference: str) -> None:
        """Open what the finder found: a repository, tag, digest, intake entry, bundle, job, key, account or screen."""
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
            case "account":
                self.show_root("accounts")
                self._roots["accounts"].reveal(reference)
            case "bundle":
                self.open_further("custody_record", reference)
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
