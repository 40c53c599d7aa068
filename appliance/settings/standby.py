"""The stand-by of an inside station: `[standby]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import msgspec


class StandbySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where this station writes its states as the primary of a pair. `exchange`: the whole path of a folder that its
    stand-by reaches too, "" for none. `every`: seconds between two states. `hours`: windows `HH:MM-HH:MM` in UTC, none
    for always. `rate`: bytes a second, 0 for no limit."""

    exchange: str = ""
    every: int = 10
    hours: tuple[str, ...] = ()
    rate: int = 0
