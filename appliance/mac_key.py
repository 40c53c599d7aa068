"""Keys of the station by which it knows its own rows again: HMAC-SHA256 (RFC 2104) under 32 random bytes."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Final

from bundles.errors import FailedError, UsageError
from bundles.io.files import read_small, write_atomic

_BYTES: Final = 32


def mac_key(path: Path, *, after: str) -> bytes:
    """The key in a file, mode 0600; made where there is none. `after` says what follows from removing one. Blocking.

    Raises FailedError for a damaged one, or where none can be written.
    """
    if not path.exists():
        with contextlib.suppress(UsageError):  # another process made one meanwhile
            write_atomic(path, secrets.token_bytes(_BYTES), 0o600, replace=False, owned=True)
    key = read_small(path, _BYTES)
    if len(key) != _BYTES:
        raise FailedError("the key is damaged", thing=str(path), remedy=f"remove the file: {after}")
    return key
