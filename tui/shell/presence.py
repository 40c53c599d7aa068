"""Who sits at the console: a person who logged in, a locked screen that waits for them, or nobody.

What is on the screen belongs to one person. While the console is locked nothing of it is painted, nothing is asked of
the station, and answers that were on their way are kept; the same person finds everything as it was. Whoever else
logs in begins with empty screens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen

from tui.terminal.texts import span
from tui.terminal.workers import begin

if TYPE_CHECKING:
    from appliance.api.people import Who
    from tui.console_port import ConsolePort, FirstAdministrator

OVER: Final = "the log-in is over: log in again, nothing is lost"
_FOLLOWING: Final = ("watch", "follow", "look")
"""Workers that hear the station for as long as somebody looks."""


class Presence:
    """`seconds` only goes forward: it counts the time without a key."""

    def __init__(self, app: ConsolePort, seconds: Callable[[], float], first: FirstAdministrator | None) -> None:
        self._app = app
        self._seconds = seconds
        self._last_key = seconds()
        self._held: list[tuple[MessagePump, Message]] = []
        self.first = first
        self.who: Who | None = None
        self.kept_for = ""
        """Whose screens lie behind the lock."""
        self.gate: Screen[None] | None = None
        self.changing = False
        """Whether one log-in is just giving way to the next of the same person."""

    @property
    def name(self) -> str:
        """The account that is logged in, empty where none is."""
        return self.who.account if self.who is not None and self.gate is None else ""

    @property
    def denied(self) -> Mapping[str, str]:
        """What this account may not do, each with the station's reason."""
        return self.who.denied if self.who is not None else {}

    def touched(self) -> None:
        """A key was pressed."""
        self._last_key = self._seconds()

    def tick(self) -> None:
        """Lock where no key was pressed for as long as a log-in lasts without one."""
        who = self.who
        if self.gate is not None or who is None or who.open:
            return
        if self._seconds() - self._last_key >= who.idle_seconds > 0:
            self.lock(f"no key was pressed for {span(who.idle_seconds)}")

    def hold(self, screen: MessagePump, message: Message) -> bool:
        """Keep an answer that came while the console is locked; whether it is."""
        if self.gate is None:
            return False
        self._held.append((screen, message))
        return True

    def lock(self, why: str) -> None:
        """Hide everything until somebody logs in, and end the log-in at the station."""
        self._shut(why, self.who.account if self.who is not None else "")

    def over(self) -> None:
        """The station knows nobody here (any more): to the log-in, with what was there kept for the same person."""
        if self.gate is None and not self.changing:
            self._shut(OVER if self.who is not None else "", self.who.account if self.who is not None else "")

    def log_out(self) -> None:
        """Nobody is here any more, and nothing is kept."""
        self._shut("logged out", "")

    def _shut(self, why: str, kept_for: str) -> None:
        from tui.screens.people.log_in import make_gate

        if self.gate is not None:
            return
        app = self._app
        self.kept_for = kept_for
        self.gate = make_gate(app, why, kept_for)
        for worker in list(app.workers):
            if worker.group in _FOLLOWING:
                worker.cancel()
        app.push_screen(self.gate)
        begin(app, self._end, "end")

    def show_gate(self, gate: Screen[None]) -> None:
        """Show another log-in in the place of the one that is shown."""
        self.gate = gate
        self._app.switch_screen(gate)

    async def _end(self) -> None:
        """The log-in ends here at once, and at the station where it answers."""
        await self._app.link.station.log_out()

    def let_in(self, who: Who) -> None:
        """Somebody logged in: back to where they were, or to empty screens."""
        app = self._app
        if self.gate is None:
            return
        self.gate, self.who = None, who
        self.touched()
        held, self._held = self._held, []
        app.pop_screen()
        if who.account == self.kept_for:
            for screen, message in held:
                screen.post_message(message)
        else:
            app.forget_person()
            app.show_root("home")
        app.come_back()
