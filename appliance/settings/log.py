"""What the program's log says and how: `[log]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from typing import Literal

import msgspec


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`format` of its lines; `requests`: whether each request that the registry answers has one, as JSON."""

    format: Literal["text", "json"] = "text"
    requests: bool = False
