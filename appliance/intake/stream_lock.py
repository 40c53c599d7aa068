"""One import of a stream at a time: two at once would each see half of the volumes, and race for one number."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from appliance.paths import StationPaths
from bundles.io.files import failures_named
from bundles.ports import Progress

_LOOK: Final = 0.2
"""Seconds between two looks at a lock that another holds; a cancel is noticed in between."""


@contextmanager
def stream_turn(paths: StationPaths, stream: str, progress: Progress) -> Iterator[None]:
    """Wait for, then hold, the stream's turn. Raises CancelledError through `progress`. A killed holder lets go."""
    path = paths.import_lock(stream)
    with failures_named(path, "the stream cannot be locked"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while not _try(descriptor):
            progress(f"wait for another import of {stream}", 0, 0)
            time.sleep(_LOOK)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
