"""Keys that come before a screen stands: kept, and pressed again when it does. Nobody who types ahead loses a key."""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.screen import Screen

R = TypeVar("R")


class EarlyKeys(Screen[R], inherit_bindings=False):
    """The base of screens and dialogs. `ready` says that the widgets are there."""

    ready = False
    _early: tuple[tuple[str, str | None], ...] = ()

    def too_early(self, event: events.Key) -> bool:
        """Keep a key for later where the screen is not ready, and hand on one that was meant for what has opened above
        it meanwhile; whether the key was either."""
        if self.app.screen is not self:
            event.stop()
            self.app.post_message(events.Key(event.key, event.character))
            return True
        if self.ready:
            return False
        event.stop()
        self._early = (*self._early, (event.key, event.character))
        return True

    def now_ready(self) -> None:
        """The widgets are there: press what was kept, in its order, behind what is being handled now."""
        self.ready = True
        kept, self._early = self._early, ()
        for key, character in kept:
            self.app.post_message(events.Key(key, character))
