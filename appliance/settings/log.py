"""What the program's log says and how: `[log]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from typing import Literal

import msgspec


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`format` of its lines; `requests`: whether each request that the registry answers has one, as JSON; `phases`:
    whether it says how long each phase of it took."""

    format: Literal["text", "json"] = "text"
    requests: bool = False
    phases: bool = False
