"""A secret that a client hands over: sealed memory without a name, never a path and never a parameter.

It goes from the client's process to the station's and on to the one job that it is for, as a descriptor. Nobody on the
way but that job reads it, and nothing writes it down.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Final

from appliance.limits import collecting as limits
from bundles.errors import RefusedError, UsageError

SECRET: Final = b'{"secret": true}'
"""The message that comes with its descriptor (appliance.control.handle_socket)."""

SECRET_ROOT: Final = ("", False)
"""Under what its descriptor stands among a job's: no path is empty."""

SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""What is done to it before: it cannot become another one while somebody reads it (fcntl(2), File Sealing)."""


def is_secret(message: bytes) -> bool:
    """Whether a message says that a secret comes with it."""
    try:
        return bool(json.loads(message) == json.loads(SECRET))
    except (ValueError, RecursionError):
        return False


def check_secret(descriptor: int) -> None:
    """Raises RefusedError for what is no sealed memory, UsageError where it is too large."""
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:  # a file that has a name, a pipe, a socket
        seals = 0
    if seals & SEALS != SEALS:
        raise RefusedError("a secret is handed over in sealed memory alone", remedy="see docs/reference/control-api.md")
    if os.fstat(descriptor).st_size > limits.ACCOUNTS_HANDED:
        raise UsageError("too many accounts", remedy=f"at most {limits.ACCOUNTS_HANDED} bytes at a time")


def read_secret(descriptor: int) -> bytes:
    """What was handed over, whole. Raises OSError."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
