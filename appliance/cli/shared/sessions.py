"""The log-in of whoever uses the command line: a file that its owner alone reads, one for each station."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic
from bundles.limits import KIB


def _path(station: Path) -> Path:
    """In the runtime folder where there is one (it is gone after a log-out of the system), else in the home folder."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) if base else Path.home() / ".local" / "state"
    return folder / "lockgate" / f"session-{hashlib.sha256(str(station.resolve()).encode()).hexdigest()[:16]}"


def kept_session(station: Path) -> str | None:
    """The session that `lockgate user login` kept for this station, or None."""
    try:
        return read_small(_path(station), KIB).decode("ascii") or None
    except (LockgateError, UnicodeDecodeError, RuntimeError):
        return None


def keep_session(station: Path, session: str) -> None:
    """Keep it, mode 0600. Raises FailedError."""
    path = _path(station)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, session.encode(), 0o600)


def forget_session(station: Path) -> None:
    """Harmless where there is none."""
    _path(station).unlink(missing_ok=True)
