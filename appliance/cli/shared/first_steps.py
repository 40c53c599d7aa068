"""The first administrator of a station that has no accounts yet, made in its folder with the one-time code."""

from __future__ import annotations

import contextlib
from pathlib import Path

from appliance import clock
from appliance.access.first_administrator import check_code, forget_code, require_code
from appliance.access.passwords import check_password, hash_password
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.half_closed import require_accounts
from appliance.lifecycle.forgotten import require_whole
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.station import station_lock
from appliance.store.database import open_writer
from appliance.store.reads.accounts import check_name, mark_of
from appliance.store.writer import LocalWriter
from appliance.store.writes.access import FirstAdministrator
from appliance.store.writes.write import Guarded


def make_administrator(station: Path, name: str, full_name: str, password: str) -> None:
    """Make the first administrator without a code: for whoever makes or closes the station, under its lock.

    The database is made before the event, so that it is not taken for one that was lost where the write is cut off.
    Raises UsageError for a name or password that cannot be, RefusedError where there is an administrator.
    """
    check_name(name)
    check_password(password)
    paths = StationPaths(station)
    open_writer(paths.database).close()
    hashed = hash_password(check_password(password))
    with recorded(station, Act.ACCOUNT_CLAIM, name, _claim(hashed)):
        _submit(paths, name, full_name, hashed)


def _claim(hashed: str) -> dict[str, str]:
    return {"role": "administrator", "mark": mark_of(hashed)}


def _submit(paths: StationPaths, name: str, full_name: str, hashed: str) -> None:
    with contextlib.closing(open_writer(paths.database)) as database:
        write = FirstAdministrator(name=name, full_name=full_name, password=hashed, uid=None, at=clock.now())
        Guarded(LocalWriter(database)).submit(write)
    if paths.database.is_file():
        paths.database.chmod(0o600)


class FirstSteps:
    """What `lockgate user claim` and the console share. Blocking; the station must not run."""

    def __init__(self, station: Path) -> None:
        self._station, self._paths = station, StationPaths(station)

    def needed(self) -> bool:
        """Whether the one-time code was not used yet."""
        return self._paths.first_code.is_file()

    def require(self, name: str) -> None:
        """Go on only where somebody can still be made administrator with a code: nobody is asked for one that is none.

        Raises UsageError on an open station, RefusedError where there is an administrator; that is recorded.
        """
        if not self.needed():
            with recorded(self._station, Act.ACCOUNT_CLAIM, name, {"role": "administrator"}):
                require_code(self._paths)

    def claim(self, name: str, full_name: str, code: str, password: str) -> None:
        """Make the first administrator; the code is then void.

        Raises UsageError for a name or password that cannot be, RefusedError for another code, FailedError where the
        station runs.
        """
        check_name(name)
        config = load_config(self._paths.config)
        require_accounts(self._paths, config)
        with station_lock(self._paths):
            require_whole(self._paths, config)
            hashed = hash_password(check_password(password))
            with recorded(self._station, Act.ACCOUNT_CLAIM, name, _claim(hashed)):
                check_code(self._paths, code)
                _submit(self._paths, name, full_name, hashed)
            forget_code(self._paths)
