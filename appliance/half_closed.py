"""A station that was made open and is not closed by `lockgate close`: what its settings alone cannot make.

`open = false` written by hand leaves it without certificate and without accounts; every command that meets such a
station names the one that closes it.
"""

from __future__ import annotations

from contextlib import closing

from appliance.origin import was_made_open
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.store.database import open_reader
from appliance.store.errors import UnavailableEngineError
from appliance.store.reads.accounts import Accounts
from appliance.store.whereabouts import is_elsewhere, is_made
from bundles.errors import FailedError, UsageError


def has_administrator(paths: StationPaths) -> bool:
    """Whether somebody who may log in is administrator here. Raises FailedError for a database that cannot be read."""
    if not is_made(paths.database) or not (is_elsewhere(paths.database) or paths.database.stat().st_size):
        return False
    try:
        with closing(open_reader(paths.database)) as reader:
            return Accounts(reader).administrator_exists()
    except UnavailableEngineError:  # of a version before accounts
        return False


def require_closed_whole(paths: StationPaths, config: Config) -> None:
    """Go on where a closed station has a certificate and an administrator, or was never open. Raises UsageError."""
    if config.open or not was_made_open(paths, config):
        return
    try:
        whole = has_administrator(paths)
    except FailedError:  # a database that is damaged is told where it is needed
        return
    if not whole or not config.tls.path(paths.root, "certificate").is_file():
        raise UsageError(
            "the station was made open, and open = false alone does not close it",
            thing=str(paths.config),
            remedy=f"make its certificate and first administrator with: lockgate close -C {paths.root}",
        )


def require_accounts(paths: StationPaths, config: Config) -> None:
    """Go on where a station is one with accounts and certificates, whether they are there or not. Raises UsageError."""
    require_closed_whole(paths, config)
    if config.open:
        raise UsageError(
            "an open station has neither accounts nor a certificate",
            thing=config.site,
            remedy=f"stop it, and close it with: lockgate close -C {paths.root}",
        )
