"""The head of the last checkpoint that the station signed, noted beside the log's folder: whoever removes the log, or
puts an older one in its place, is seen without a head that somebody wrote down.

The note follows each checkpoint and is never ahead of the log, also over a power cut. Where the log does not hold what
is noted, the note stays until the log holds it again, or somebody says with `lockgate restore` which copy was put back.
Whoever removes the note too is seen by `audit verify --expect-head` alone.
"""

from __future__ import annotations

import json
from contextlib import suppress

from appliance.audit.lane import lines_backwards
from appliance.paths import StationPaths
from bundles import limits
from bundles.documents.audit_log import CHECKPOINTS, head_name, is_head
from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic


def noted_head(paths: StationPaths) -> str:
    """The head that is noted, as NUMBER-SHA256; "" where none is, or where the note cannot be read."""
    try:
        text = read_small(paths.audit_head, limits.KEY_FILE).decode("ascii", "replace").strip()
    except (LockgateError, OSError):
        return ""
    return text if is_head(text) else ""


def lost_head(paths: StationPaths) -> str:
    """The noted head, where the log does not hold it; else "". Reads the end of the checkpoints, back to its number."""
    noted = noted_head(paths)
    return noted if noted and not _holds(paths, noted) else ""


def note_head(paths: StationPaths, head: str) -> None:
    """Note the head of a checkpoint that was signed, unless the log lost what is noted. A disk that takes no note does
    not keep the log from being written: the next checkpoint is noted."""
    noted = noted_head(paths)
    if noted == head or (noted and not _holds(paths, noted)):
        return
    _write(paths, head)


def forget_head(paths: StationPaths) -> None:
    """Go on with the log as it is: the next checkpoint is noted. Raises OSError."""
    paths.audit_head.unlink(missing_ok=True)


def _write(paths: StationPaths, head: str) -> None:
    with suppress(LockgateError):
        write_atomic(paths.audit_head, f"{head}\n".encode(), 0o600, owned=True)


def _holds(paths: StationPaths, noted: str) -> bool:
    """Whether the log holds the checkpoint of that head."""
    path, wanted = paths.audit / CHECKPOINTS, int(noted.partition("-")[0])
    if not path.exists():
        return False
    with suppress(LockgateError):
        for line in lines_backwards(path):
            number = _number(line)
            if number == wanted and head_name(number, line + b"\n") == noted:
                return True
            if number is not None and number < wanted:
                return False
    return False


def _number(line: bytes) -> int | None:
    """The number that a checkpoint's line says, unverified; None where it says none."""
    try:
        number = json.loads(line)["checkpoint"]["number"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return number if isinstance(number, int) else None
