"""Paths as people type them: a home's `~`, names that no system takes, and the folder that a shell stands in, which may
be gone with its medium."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from bundles.errors import UsageError

_SHOWN: Final = 160
"""Characters of a path that a message shows."""

_NO_PATH: Final = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR})


def typed_path(text: str) -> Path:
    """The path that somebody typed, `~` and `~NAME` written out; as it stands where nobody has that name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_file(path: Path) -> bool:
    """Whether a file is there, by links too. A name that the system does not take is none."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False


def exists(path: Path) -> bool:
    """Whether anything is there, as `is_file`."""
    with contextlib.suppress(OSError, ValueError):
        return path.exists()
    return False


def folder_here() -> Path:
    """The current folder; the person's home where it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return typed_path("~")


def usage_of(error: BaseException) -> UsageError | None:
    """What a system's error about a path means for whoever typed it: it is too long, a link in a circle, has a file
    where a folder belongs, or is relative to a folder that is gone. None for any other error."""
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib before Python 3.13
        return UsageError("a link that leads in a circle", thing=_cut(str(error)), remedy="check the path")
    if not isinstance(error, OSError):
        return None
    if error.errno in _NO_PATH and error.filename is not None:
        why = (error.strerror or "").lower()
        return UsageError(f"no such path ({why})", thing=_cut(os.fsdecode(error.filename)), remedy="check the path")
    if error.errno == errno.ENOENT and error.filename is None and not _has_folder():
        return UsageError(
            "the folder that this was called in is gone", thing=_cut(os.environ.get("PWD", ".")),
            remedy="cd to another one, and give whole paths",
        )  # fmt: skip
    return None


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _cut(path: str) -> str:
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
