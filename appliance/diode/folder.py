"""The folder of a diode's unfinished transfers, below its drop folder: on the same disk, so that a rename delivers."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from bundles.errors import FailedError, RefusedError

NAME: Final = ".lockgate-diode"
"""Its name; what looks into drop folders leaves it alone."""

_TRANSFER: Final = re.compile(r"[0-9a-f]{32}\Z")


def open_unfinished(drop: Path) -> Path:
    """The folder, made where there is none. Raises FailedError, RefusedError where another account could change it."""
    folder = drop / NAME
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
    except OSError as error:
        raise FailedError(
            f"the diode's drop folder cannot be used ({error.strerror})", thing=str(drop),
            remedy="make it, and give it to the station's account",
        ) from None  # fmt: skip
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    if not mine:
        raise RefusedError(
            "the folder of unfinished transfers is another account's", thing=str(folder), remedy="remove it"
        )
    return folder


def transfers(folder: Path) -> list[Path]:
    """The folders of transfers, the one that changed the longest ago first."""
    with os.scandir(folder) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime, entry.name)
            for entry in entries
            if _TRANSFER.match(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return [folder / name for _, name in sorted(found)]
