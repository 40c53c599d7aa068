"""Keys that come before a screen stands: kept, and pressed again when it does. Nobody who types ahead loses a key.

A key that was on its way to the screen below is handed on, and may get here behind one that was typed after it. Kept
keys are therefore pressed in the order in which they were typed.
"""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.message import Message
from textual.screen import Screen

R = TypeVar("R")


class Stands(Message):
    """To the application: the widgets of a screen are there, and it takes keys."""


class EarlyKeys(Screen[R], inherit_bindings=False):
    """The base of screens and dialogs. `ready` says that the widgets are there."""

    ready = False
    _early: tuple[events.Key, ...] = ()

    def too_early(self, event: events.Key) -> bool:
        """Keep a key for later where the screen is not ready, and hand on one that was meant for what has opened above
        it meanwhile; whether the key was either."""
        if self.app.screen is not self:
            event.stop()
            self.app.post_message(_again(event))
            return True
        if self.ready:
            return False
        event.stop()
        self._early = (*self._early, event)
        return True

    def now_ready(self) -> None:
        """The widgets are there: press what was kept, as it was typed, behind what is being handled now."""
        self.ready = True
        kept, self._early = self._early, ()
        for event in sorted(kept, key=lambda event: event.time):
            self.app.post_message(_again(event))
        self.app.post_message(Stands())


def _again(event: events.Key) -> events.Key:
    """The same key, typed at the same time, for another screen."""
    key = events.Key(event.key, event.character)
    key.time = event.time
    return key
