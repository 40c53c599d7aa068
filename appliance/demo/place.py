"""Where the demo lies: a private folder below the temporary one, whose lock its keeper holds.

A folder whose lock nobody holds is one of a keeper that was killed: the next demo takes it away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from bundles.errors import FailedError

INSIDE_SITE: Final = "bravo"
OUTSIDE_SITE: Final = "alpha"
MEDIA: Final = "media"
"""The folder that stands for what is carried by hand."""

_PREFIX: Final = "lockgate-demo-"
_LOCK: Final = "lock"
_ATTEMPTS: Final = 20
"""A process that was just killed may still write once."""


def new_place() -> tuple[Path, int]:
    """A new folder (0700) and the descriptor of its lock, which is held as long as that is open anywhere.

    Raises FailedError where there is no room for one.
    """
    try:
        above = Path(tempfile.gettempdir())
        _clear(above)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
        lock = os.open(folder / f"{_LOCK}.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / f"{_LOCK}.new").rename(folder / _LOCK)  # held from the first moment that another demo may see it
    except OSError as error:
        raise FailedError("the demo has no place", thing=f"the temporary folder ({error.strerror or error})",
                          remedy="free some space, or set TMPDIR to a folder that has it") from None  # fmt: skip
    return folder, lock


def _clear(above: Path) -> None:
    """Take away what keepers left that were killed: this account's own folders, and no link."""
    for folder in above.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
            finally:
                os.close(lock)


def remove(folder: Path) -> None:
    """Take a demo's folder away, with everything in it."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
