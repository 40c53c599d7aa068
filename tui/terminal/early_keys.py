"""Keys that come before a screen stands: kept, and pressed again when it does. Nobody who types ahead loses a key.

A key that was on its way to the screen below is handed on, and may get here behind one that was typed after it. Kept
keys are therefore pressed in the order in which they were typed.

Where a screen has several fields, what is typed behind a key that goes to another field waits until that field has the
cursor: a password typed at once behind the name must never stand, readable, in the name's field.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual import events
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

R = TypeVar("R")

FIELD_KEYS = frozenset({"enter", "tab", "shift+tab", "up", "down"})


class Stands(Message):
    """To the application: the widgets of a screen are there, and it takes keys."""


class EarlyKeys(Screen[R], inherit_bindings=False):
    """The base of screens and dialogs. `ready` says that the widgets are there."""

    ready = False
    moves_by: ClassVar[frozenset[str]] = frozenset()
    """Keys that go to another field: `FIELD_KEYS` where there are several. `on_key` then calls `cursor_stands`."""
    _early: tuple[events.Key, ...] = ()
    _moving = False
    _behind: tuple[events.Key | events.Paste, ...] = ()

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

    def keeps_back(self, event: events.Key | events.Paste) -> bool:
        """Keep what was typed behind a key that is about to go to another field; whether it was kept."""
        if self._moving:
            self._behind = (*self._behind, event)
            return True
        if self.ready and isinstance(event, events.Key) and event.key in self.moves_by:
            self._moving = isinstance(self.focused, Input) and len(self.query(Input)) > 1
        return False

    def cursor_stands(self) -> None:
        """The cursor stands where the key wanted it: type what was kept, up to the next key that goes on."""
        self._moving = False
        while self._behind and not self._moving:
            event, *rest = self._behind
            self._behind = tuple(rest)
            if self.app.screen is not self:
                self.app.post_message(_again(event) if isinstance(event, events.Key) else events.Paste(event.text))
            else:
                self.keeps_back(event)
                (self.focused or self)._forward_event(event)


def _again(event: events.Key) -> events.Key:
    """The same key, typed at the same time, for another screen."""
    key = events.Key(event.key, event.character)
    key.time = event.time
    return key
