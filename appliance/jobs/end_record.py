"""How a job ended, in a file of its folder whose disk was taken before the job ran: it is written where nothing else
can be, so that a job that was called failed never runs again after a restart.

The file holds a sha256 in hex, a space and a JSON object, in place of zeros. It counts only where the digest is right:
what a power cut tore says nothing, and nobody had heard of that end.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from appliance.limits import jobs as limits
from appliance.store.reserve import NO_SPACE
from bundles.io.files import failures_named

_NAME: Final = "end"
_ENDED: Final = "ended"
"""What becomes of the file, empty, once the metadata knows."""
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(folder: Path) -> None:
    """Make a job's folder, with the disk for its end. Raises NoSpaceError, FailedError."""
    with failures_named(folder, "the job's folder cannot be made"):
        folder.mkdir(mode=0o700, parents=True)
    prepare(folder)


def prepare(folder: Path) -> None:
    """Take the disk for the end of a job that is about to begin. Raises NoSpaceError, FailedError."""
    with failures_named(folder / _NAME, "the job's end could not be recorded"):
        descriptor = os.open(folder / _NAME, _FLAGS, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, limits.JOB_END)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep(folder: Path, fields: Mapping[str, Any]) -> bool:
    """Keep how a job ended, durably; whether that could be done. An error's parts are left out where they do not fit
    into what was taken for them."""
    try:
        descriptor = os.open(folder / _NAME, _FLAGS, 0o600)
    except OSError:
        return False
    try:
        try:
            _put(descriptor, fields)
        except OSError as error:
            if error.errno not in NO_SPACE or not fields.get("error"):
                return False
            short = {key: value for key, value in fields["error"].items() if key != "parts"}
            _put(descriptor, {**fields, "error": short})
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def read(folder: Path) -> dict[str, Any] | None:
    """What `keep` kept, or None."""
    try:
        digest, _, text = (folder / _NAME).read_bytes().rstrip(b"\0").partition(b" ")
    except OSError:
        return None
    if sha256(text).hexdigest().encode() != digest:
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def forget(folder: Path) -> None:
    """Give the disk back, once the metadata says how the job ended; that it did stays known (`has_ended`)."""
    with contextlib.suppress(OSError):
        os.truncate(folder / _NAME, 0)
        (folder / _NAME).replace(folder / _ENDED)


def has_ended(folder: Path) -> bool:
    """Whether the metadata was told that the job ended: whatever its row says by now.

    The disk for its end is there from before a job's row until then. Where it is not, the job had ended in a version
    that gave it back without a mark, or its folder is gone.
    """
    return (folder / _ENDED).exists() or not (folder / _NAME).exists()


def _put(descriptor: int, fields: Mapping[str, Any]) -> None:
    text = json.dumps(fields).encode()
    line = memoryview(sha256(text).hexdigest().encode() + b" " + text)
    at = 0
    while at < len(line):
        at += os.pwrite(descriptor, line[at:], at)
    # What an earlier, longer try left behind would be read as part of the text.
    os.pwrite(descriptor, b"\0" * max(0, min(limits.JOB_END, os.fstat(descriptor).st_size) - at), at)
    os.fsync(descriptor)
