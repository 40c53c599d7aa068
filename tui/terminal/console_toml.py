"""A person's own settings of the console: `console.toml` of the station, then that of the person, which wins.

`[keys]` gives actions other keys (`tui.actions.keymap`); `[look]` says how it looks and whether the mouse is heard:

    [look]
    theme = "light"        # dark, light, high-contrast or monochrome
    mouse = false
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundles import limits
from bundles.errors import LockgateError, UsageError
from bundles.io import toml
from bundles.io.files import read_small
from tui.terminal.look import THEMES


@dataclass(frozen=True)
class LookSettings:
    """What `[look]` says; None where it says nothing."""

    theme: str | None = None
    mouse: bool | None = None


def tables(root: Path | None, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The table `[name]` of each file that there is, the person's last. Raises UsageError for a file that is wrong."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for path in (*((root / "console.toml",) if root else ()), home / "lockgate" / "console.toml"):
        if not path.is_file():
            continue
        try:
            table = toml.loads(read_small(path.resolve(), limits.KEY_FILE)).get(name, {})
        except (OSError, LockgateError) as error:
            thing, why = str(path), str(error)
            raise UsageError("the console's configuration cannot be read", thing=thing, remedy=why) from None
        if not isinstance(table, dict):
            raise UsageError(f"{name} is no table", thing=str(path), remedy=f"write its settings below [{name}]")
        yield path, table


def look_settings(root: Path | None) -> LookSettings:
    """The settings of `[look]`. Raises UsageError."""
    theme: str | None = None
    mouse: bool | None = None
    for path, table in tables(root, "look"):
        for key, value in table.items():
            if key == "theme" and value in THEMES:
                theme = str(value)
            elif key == "theme":
                raise UsageError("no such theme", thing=f"{value} in {path}", remedy=f"use one of {', '.join(THEMES)}")
            elif key == "mouse" and isinstance(value, bool):
                mouse = value
            elif key == "mouse":
                raise UsageError("mouse is neither true nor false", thing=str(path), remedy="write mouse = false")
            else:
                raise UsageError("no such setting of [look]", thing=f"{key} in {path}", remedy="use theme or mouse")
    return LookSettings(theme, mouse)
