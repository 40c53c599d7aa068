"""Whether the disk of a station's folder takes writes at all: a file system that had an error is read-only from one
moment to the next, and its free space says nothing of it."""

from __future__ import annotations

import os

from appliance.paths import StationPaths
from appliance.store.reserve import NO_SPACE


def unwritable(paths: StationPaths) -> str:
    """Why the station's folder takes no writes, by the system's words; "" where it does. A full disk is no such reason
    (appliance.store.reserve). One system call, which sets the times of a file that nobody reads."""
    try:
        os.utime(paths.lease)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return "" if error.errno in NO_SPACE else error.strerror or str(error)
    return ""
