"""The process of a running primary that writes its states: one after another, in the hours that config.toml says."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.paths import StationPaths
from appliance.settings.standby import StandbySettings
from appliance.settings.station import Config, load_config
from appliance.sftp.pace import opens
from appliance.standby.documents import FENCED, PRIMARY, Role
from appliance.standby.exchange import Exchange
from appliance.standby.role import changed, find_role, require_primary
from appliance.standby.sending import Sender, later_term
from bundles.errors import LockgateError

_log: Final = logging.getLogger(__name__)


def require_startable(paths: StationPaths, config: Config) -> None:
    """Go on only where this folder is no stand-by, and no later primary is known of in its exchange. Raises
    RefusedError, FailedError."""
    role = find_role(paths, config.site)
    require_primary(paths.root, role)
    exchange = config.standby.exchange or (role.exchange if role is not None else "")
    if role is not None and exchange and Path(exchange).is_dir():
        require_primary(paths.root, _fenced(paths, role, Exchange(Path(exchange))))


def run(root: Path, ready: Callable[[], object]) -> None:
    """Write states until SIGTERM; end the station where another one was promoted. Raises LockgateError where it cannot
    begin."""
    config = load_config(StationPaths(root).config)
    sender = Sender(root, Path(config.standby.exchange), config.standby.rate)
    ready()
    said = ""
    while True:
        fault = ""
        if _is_open(config.standby):
            try:
                if sender.send().role == FENCED:
                    return _end(root, config.site)
            except LockgateError as error:
                fault = error.diagnostics()
                _keep(StationPaths(root), config.site, fault)
        if fault and fault != said:
            _log.error("no state was written for the stand-by: %s", fault)
        said = fault
        time.sleep(config.standby.every)


def _is_open(settings: StandbySettings) -> bool:
    return opens(settings.hours, datetime.fromtimestamp(clock.seconds(clock.now()), UTC)) is None


def _keep(paths: StationPaths, site: str, fault: str) -> None:
    with suppress(LockgateError):
        role = find_role(paths, site)
        if role is not None and role.role == PRIMARY:
            changed(paths, role, fault=fault[:1000])


def _end(root: Path, site: str) -> None:
    """Record that another one was promoted, and end the station's supervisor, whose child this is."""
    paths = StationPaths(root)
    role = find_role(paths, site)
    detail = {"term": 0 if role is None else role.term, "head": "" if role is None else role.head}
    _log.error("another station of this site was promoted: this one ends, and does not start again")
    with recorded(root, Act.STANDBY_FENCE, site, detail):
        os.kill(os.getppid(), signal.SIGTERM)


def _fenced(paths: StationPaths, role: Role, exchange: Exchange) -> Role:
    """The role after a look for a later term. Raises FailedError."""
    word = later_term(paths, role, exchange)
    if word is None:
        return role
    with recorded(paths.root, Act.STANDBY_FENCE, role.site, {"term": word.term, "head": word.head}):
        return changed(paths, role, role=FENCED, head=word.head)
