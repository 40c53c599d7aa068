"""The collector that the audit log is sent to: `[syslog]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import msgspec


class SyslogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`host` is `HOST:PORT`, "" for no collector. `ca`: the authorities that count for it and no others. `name`: what
    its certificate must be for, "" for the host. `client_cert` and `client_key`: what this station shows. Files are
    relative to the station's folder, or whole paths. `program`: whether it gets the program's log too."""

    host: str = ""
    ca: str = ""
    name: str = ""
    client_cert: str = ""
    client_key: str = ""
    program: bool = False
