"""The one-time code that makes the first administrator: shown once, kept as a hash, gone when it was used."""

from __future__ import annotations

import secrets
import time
from typing import Final

from appliance.access.passwords import hash_secret, verify
from appliance.limits import access as limits
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from bundles.errors import RefusedError, UsageError
from bundles.io.files import read_small, write_atomic
from bundles.limits import KEY_FILE

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def make_code(paths: StationPaths) -> str:
    """A new code, 16 letters in fours. The one before is void."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    write_atomic(paths.first_code, hash_secret(letters).encode(), 0o600, owned=True)
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def require_code(paths: StationPaths) -> None:
    """Raises RefusedError where no one-time code is left: the first administrator has been made; UsageError on an open
    station, which has no accounts."""
    if not paths.first_code.is_file():
        if load_config(paths.config).open:
            raise UsageError(
                "an open station has no accounts", thing=str(paths.root), remedy="whoever owns its folder may do all"
            )
        raise RefusedError(
            "the first administrator has been made", thing=str(paths.root),
            remedy="they make further accounts: lockgate user create NAME",
        )  # fmt: skip


def check_code(paths: StationPaths, code: str) -> None:
    """Raises RefusedError where it is not the code, or there is none any more. Blocking."""
    require_code(paths)
    stored = read_small(paths.first_code, KEY_FILE).decode()
    if not verify(stored, "".join(code.split("-")).strip().upper(), robot=True):
        time.sleep(limits.FIRST_CODE_WAIT)
        raise RefusedError("not the one-time code", remedy="make a new one with: lockgate user code")


def forget_code(paths: StationPaths) -> None:
    """It was used."""
    paths.first_code.unlink(missing_ok=True)
