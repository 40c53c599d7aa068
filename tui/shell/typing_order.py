"""Keys and pasted text are taken in one after another, in the order in which they were typed.

Textual forwards each to what has the focus as it comes, into the queue of that widget. One that changes the screen is
followed by one that still lies in the queue of the screen below, and by one that goes straight to the new screen and
overtakes it. Here the next one waits until the one before was handled, up to its screen, and until the screen that is
then on top stands.
"""

from __future__ import annotations

from bisect import insort

from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump
from textual.screen import Screen

from tui.console_port import ConsolePort
from tui.terminal.early_keys import EarlyKeys, Stands


class TypingOrder(ConsolePort, inherit_bindings=False):
    """The base of the application: the keys that were typed and not taken in yet."""

    def __init__(self, *, ansi_color: bool) -> None:
        super().__init__(ansi_color=ansi_color)
        self._waiting: list[Key | Paste] = []
        self._under_way = False

    @property
    def takes_in(self) -> bool:
        """Whether anything that was typed is still on its way."""
        return self._under_way or bool(self._waiting)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            insort(self._waiting, event, key=lambda waiting: waiting.time)
            await self._take_in()
        else:
            await super().on_event(event)

    async def on_stands(self, message: Stands) -> None:
        await self._take_in()

    async def _take_in(self) -> None:
        """Forward what was typed first, where nothing is under way and the screen on top stands."""
        if self._under_way or not self._waiting or not self.screen_stack:
            return
        screen = self.screen
        if isinstance(screen, EarlyKeys) and not screen.ready:
            return
        self._under_way = True
        target = self.focused or screen
        await super().on_event(self._waiting.pop(0))
        self._follow(target)

    def _follow(self, place: MessagePump | None) -> None:
        """Go behind what is under way from widget to widget, as events bubble: each handles it before it hears this."""
        while place is not None and place is not self:
            beyond = None if isinstance(place, Screen) else place._parent
            if place.call_later(self._follow, beyond):
                return
            place = beyond  # it closes, and hears nothing more
        self.call_later(self._handled)

    async def _handled(self) -> None:
        self._under_way = False
        await self._take_in()
