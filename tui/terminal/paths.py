"""What a path that is being typed can go on with: the folders and files of this machine, as a shell completes them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

from bundles.io.display import safe
from bundles.io.typed_paths import typed_path

MOST: Final = 100
"""Names that are offered."""
_LOOKED_AT: Final = 5_000
"""Entries of a folder that are looked at: a folder of millions must not hold the question."""


def entries(typed: str) -> list[str]:
    """The paths that begin as `typed` does, folders first and with a `/` behind; `~` stands for the home folder. Names
    that a terminal cannot show as they are, and hidden ones that were not begun, are left out. Blocking."""
    folder, slash, begun = typed.rpartition("/")
    shown = f"{folder}{slash}"
    looked_in = typed_path(shown) if shown else Path()
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(looked_in) as found:
            for _, entry in zip(range(_LOOKED_AT), found, strict=False):
                name = entry.name
                if not name.startswith(begun or "") or (name.startswith(".") and not begun.startswith(".")):
                    continue
                if name != safe(name):
                    continue
                (folders if _is_folder(entry) else files).append(name)
    except (OSError, ValueError):
        return []
    paths = [f"{shown}{name}/" for name in sorted(folders)] + [f"{shown}{name}" for name in sorted(files)]
    return paths[:MOST]


def common(paths: list[str]) -> str:
    """What all of them begin with."""
    least, most = (min(paths), max(paths)) if paths else ("", "")
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(least, most, strict=False))
    return "".join(letter for letter, _ in alike)


def whole(typed: str) -> str:
    """The path without spaces around it and without `/` at its end, `~` written out. One that does not begin at the
    root stays so: nobody at a console knows in which folder it was started."""
    text = typed.strip()
    return str(typed_path(text)) if text else ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
