"""An open station is made a closed one, in its folder: certificate, first administrator, settings, signed origin."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance.access.certificates import CA_KEY, check_names, default_names, expiry_of, make_ca, make_server
from appliance.access.passwords import check_password
from appliance.access.tls import server_context
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.cli.shared.first_steps import make_administrator
from appliance.half_closed import has_administrator
from appliance.lifecycle.forgotten import require_whole
from appliance.origin import adopt, was_made_open
from appliance.paths import StationPaths
from appliance.settings.access import TlsSettings
from appliance.settings.station import Config, load_config
from appliance.station import station_lock
from appliance.store.reads.accounts import check_full_name, check_name
from bundles import limits
from bundles.errors import MalformedError, RefusedError, UsageError
from bundles.io import toml
from bundles.io.files import read_small, write_atomic

_LINE: Final = r"^(\s*{key}\s*=\s*)(?:true|false|[0-9]+)(?=\s*(?:#|$))"
_TABLE: Final = re.compile(r"^\s*\[", re.MULTILINE)
_PEOPLE: Final = 2
"""People whose approvals a closed station takes at least (Config.threshold)."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who is to be the first administrator."""

    name: str
    full_name: str
    password: str


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of the station. `administrator` is "" where it had one; `not_after`: of its certificate."""

    site: str
    administrator: str
    not_after: str


class Closing:
    """The station must not run. Every step can be taken again: what a step before it has made is kept."""

    def __init__(self, station: Path) -> None:
        self._station, self._paths = station, StationPaths(station)

    def check(self) -> bool:
        """Whether there is anything to close, and an administrator still to be made.

        Raises RefusedError for a station that is closed, or whose record of how it was made does not hold.
        """
        config = load_config(self._paths.config)
        if not was_made_open(self._paths, config):
            raise RefusedError(
                "the station is not open", thing=config.site,
                remedy="log in with: lockgate user login NAME; its first administrator: lockgate user claim NAME",
            )  # fmt: skip
        return not has_administrator(self._paths)

    def prepare(self, name: str | None, full_name: str, names: Sequence[str]) -> bool:
        """`check`, and whatever else is known before a password is typed. Whether an administrator is to be made.

        Raises FailedError where the station runs, RefusedError as `check`, UsageError for a name that cannot be.
        """
        needed = self.check()
        if name is not None:
            check_name(name)
        check_full_name(full_name)
        check_names(names)
        with station_lock(self._paths):
            require_whole(self._paths, load_config(self._paths.config))
        return needed

    def close(self, administrator: Administrator | None, names: Sequence[str]) -> Closed:
        """Close the station. `names`: what clients call it by, for its certificate.

        The settings change first, so a station whose closing was cut off is served to nobody, and the same call goes
        on. Raises FailedError where the station runs, RefusedError as `check`, UsageError for a name, a password or
        settings that cannot be.
        """
        if administrator is not None:
            check_name(administrator.name)
            check_full_name(administrator.full_name)
            check_password(administrator.password)
        check_names(names)
        with station_lock(self._paths):
            needed = self.check()
            if needed and administrator is None:
                raise UsageError("nobody is administrator yet", thing=str(self._station), remedy="name one")
            config = load_config(self._paths.config)
            require_whole(self._paths, config)
            text, closed = _closed_settings(self._paths, config)
            if not _names_own_files(closed):
                server_context(closed, self._paths)  # the site's own must be there before anything is changed
            detail = {"administrator": administrator.name if needed and administrator else ""}
            with recorded(self._station, Act.CLOSE, config.site, detail):
                if text is not None:
                    mode = self._paths.config.stat().st_mode & 0o777
                    write_atomic(self._paths.config, text.encode(), mode, owned=True)
                self._make_certificate(closed, names)
                if needed and administrator is not None:
                    one = administrator
                    make_administrator(self._station, one.name, one.full_name, one.password)
                adopt(self._paths, closed)
        expiry = expiry_of(closed.tls.path(self._paths.root, "certificate"), "server")
        return Closed(config.site, detail["administrator"], expiry.not_after)

    def _make_certificate(self, config: Config, names: Sequence[str]) -> None:
        """A CA and a certificate, where the settings name the station's own files."""
        if _names_own_files(config):
            if not (self._paths.tls / CA_KEY).is_file():
                make_ca(self._paths, config.site)
            if names or not config.tls.path(self._paths.root, "certificate").is_file():
                make_server(self._paths, list(dict.fromkeys([*names, *default_names()])))
        server_context(config, self._paths)


def _names_own_files(config: Config) -> bool:
    own = TlsSettings()
    return (config.tls.certificate, config.tls.key) == (own.certificate, own.key)


def _closed_settings(paths: StationPaths, config: Config) -> tuple[str | None, Config]:
    """config.toml as it is on a closed station (None: it is so), and what it then says. Comments stay.

    Raises UsageError where the text cannot be changed in place.
    """
    closed = msgspec.structs.replace(config, open=False, approvals_needed=max(_PEOPLE, config.approvals_needed))
    if not config.open:
        return None, closed
    text = read_small(paths.config, limits.KEY_FILE).decode()
    changed = _set(_set(text, "open", "false"), "approvals_needed", str(closed.approvals_needed))
    with contextlib.suppress(MalformedError, msgspec.ValidationError):
        if msgspec.convert(toml.loads(changed.encode()), Config, strict=True) == closed:
            return changed, closed
    raise UsageError(
        "open cannot be changed in place", thing=str(paths.config),
        remedy=f"write open = false and approvals_needed = {closed.approvals_needed} there, then run it again",
    )  # fmt: skip


def _set(text: str, key: str, value: str) -> str:
    """A key before the first table set to a value, where it stands on a line of its own."""
    table = _TABLE.search(text)
    end = len(text) if table is None else table.start()
    line = re.compile(_LINE.format(key=key), re.MULTILINE)
    return line.sub(lambda found: f"{found[1]}{value}", text[:end], count=1) + text[end:]
