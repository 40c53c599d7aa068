"""Ceilings of the control API: requests, changes of duty, files that clients hand over."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

# Requests.

CONTROL_THREADS: Final = 8
"""Threads of the control process that wait for the disk or look through the database: a few requests at once, and the
upkeep beside them."""

CONTROL_BODY: Final = 32 * MIB
"""A request to the control API: an approval's document with a report beside it stays far below."""

CONTROL_NODES: Final = 400_000
"""JSON values and keys in a request to the control API; a report of full lists has about as many."""

CONTROL_PAGE: Final = (100, 1_000)
"""Items in one answer of the control API: where the caller asked for no number, and at most."""

# Changes of duty (docs/adr/0015-duties.md).

DUTY_WAIT: Final = 72 * 60 * 60
"""Seconds before a change of duty takes effect where no second administrator exists: a weekend passes, and somebody
sees it in `lockgate status`."""

DUTY_EXPIRES: Final = 14 * 24 * 60 * 60
"""Seconds after which a change that nobody confirmed is over: a forgotten one must not be confirmed by mistake."""

DUTIES_WAITING: Final = 100
"""Changes that may wait at once: more than a station has officers, and a list that a person still reads."""

DUTIES_LISTED: Final = 1_000
"""Past changes of duty in one answer."""

DUTIES_LOOKED_AT: Final = 30.0
"""Seconds between looks at whether a change is due or over."""

# Folders and files that clients hand over.

HANDLE_LIFE: Final = 60.0
"""Seconds a handle waits for the request that uses it; the client sends that at once."""

HANDLES: Final = (128, 512)
"""Handles that wait, of one uid and in all: an import takes one a medium, and each is a descriptor of this process."""

HANDLE_CALLERS: Final = (4, 32)
"""Connections that hand over, of one uid and in all; each is a thread, which a file system that hangs may hold."""

HANDLE_IDLE: Final = 10.0
"""Seconds such a connection may be silent."""

HANDLE_MESSAGE: Final = 16 * KIB
"""One message: a path of 4,096 bytes, each of them escaped in JSON, and two words."""

FILE_NAME: Final = 255
"""Bytes of a file's name (NAME_MAX)."""

PATH: Final = 4096
"""Bytes of a path (PATH_MAX)."""

JOB_PATHS: Final = 64
"""Paths that one job is handed; each is a descriptor of its process. More media than that nobody has plugged in."""

GRANTS_FILE: Final = MIB
"""The record of what a job was handed: `JOB_PATHS` paths and the groups of their caller."""

LASTING_AGAIN: Final = 10.0
"""Before something that the station does by itself begins again where it failed: it may fail at once each time."""
