"""The key of a link, which both ends were given: a credential of the service, or a file of the station's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import RefusedError, UsageError
from bundles.io.files import read_small

_KEY: Final = re.compile(rb"[0-9a-f]{64}\Z")
_OTHERS: Final = 0o077


def link_key(root: Path, name: str) -> bytes:
    """The 32 bytes of the link `name`: the credential `diode-NAME`, else `keys/diode-NAME.secret`, in hex.

    Raises UsageError where there is none, RefusedError where other accounts can read it.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / f"diode-{name}" if folder else None
    if path is None or not path.is_file():
        path = root / "keys" / f"diode-{name}.secret"
        if not path.is_file():
            raise UsageError(
                "the link has no key", thing=name,
                remedy=f"make one: (umask 077; openssl rand -hex 32 > {path}), and carry it to the other end",
            )  # fmt: skip
        if path.stat().st_mode & _OTHERS:
            raise RefusedError("other accounts can read a secret", thing=str(path), remedy=f"chmod 600 {path}")
    raw = read_small(path, limits.KEY_FILE).strip()
    if not _KEY.match(raw):
        raise UsageError("not a link's key", thing=str(path), remedy="it is 64 hex digits: openssl rand -hex 32")
    return bytes.fromhex(raw.decode())
