"""Which key does what: the registry's keys, changed by a person's own file.

`[keys]` in `$XDG_CONFIG_HOME/lockgate/console.toml` (or the station's `console.toml`) gives an action other keys:
`approve = "ctrl+a"`, or a list of them. A key given to one action is taken from the others of the same screens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bundles.errors import UsageError
from tui.actions.registry import ACTIONS, BY_NAME, Action
from tui.terminal.console_toml import tables

FORBIDDEN: Final = frozenset({"ctrl+s", "ctrl+q"})
"""Flow control: a serial line or a terminal may keep these for itself."""

_SHOWN: Final = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "escape": "esc",
    "plus": "+",
    "minus": "-",
}


def key_text(key: str) -> str:
    """A key as it is printed: `?`, `/`, `esc`, `ctrl+l`."""
    return _SHOWN.get(key, key)


class Keymap:
    """Actions by screen and key."""

    def __init__(self, changes: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._changes = dict(changes or {})

    def keys(self, action: Action) -> tuple[str, ...]:
        """The keys of an action, the one to show first."""
        if action.name in self._changes:
            return self._changes[action.name]
        taken = {
            key
            for name, keys in self._changes.items()
            for key in keys
            if _overlap(BY_NAME[name].screens, action.screens)
        }
        return tuple(key for key in action.keys if key not in taken)

    def action(self, screen: str, key: str) -> Action | None:
        """What a key does on a screen: an action of that screen before one that is everywhere."""
        found = [action for action in ACTIONS if action.on(screen) and key in self.keys(action)]
        return min(found, key=lambda action: not action.screens, default=None)

    def shown(self, action: Action) -> str:
        """The action's first key as printed; empty when it has none."""
        keys = self.keys(action)
        return key_text(keys[0]) if keys else ""


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not one or not other or bool(set(one) & set(other))


def load(root: Path | None) -> Keymap:
    """The keymap of this person and station; the person's file wins. Raises UsageError for a file that is wrong."""
    changes: dict[str, tuple[str, ...]] = {}
    for path, table in tables(root, "keys"):
        changes |= _read(path, table)
    return Keymap(changes)


def _read(path: Path, table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    changes: dict[str, tuple[str, ...]] = {}
    for name, value in table.items():
        keys = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
        if name not in BY_NAME:
            raise UsageError("no such action", thing=f"{name} in {path}", remedy="the help screen lists their names")
        if not keys or not all(isinstance(key, str) for key in keys):
            raise UsageError("not a key", thing=f"{name} in {path}", remedy='write a key such as "ctrl+a", or a list')
        refused = [key for key in keys if key in FORBIDDEN or "alt+" in key]
        if refused:
            raise UsageError("a key that terminals keep for themselves", thing=refused[0], remedy="choose another key")
        changes[name] = keys
    return changes
