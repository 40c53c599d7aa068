"""What a site has promised of its registry: `[slo]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.patterns import EVERYTHING

ALL: Final = "all"
"""The objective of a site that names none: every repository."""


class ObjectiveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the repositories that the patterns cover: the share in percent of pulls and of pushes that the station does
    not fail, and of small pulls that take at most `pull_seconds`. `owner` and `contact` stand in alarms."""

    repositories: list[str] = msgspec.field(default_factory=lambda: [EVERYTHING])
    pulls: float = 99.9
    pushes: float = 99.95
    fast_pulls: float = 99.0
    pull_seconds: float = 2.0
    owner: str = ""
    contact: str = ""


class SloSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`days` is what budgets are for. `storage` and `authentication_errors` are percent: what alarms begin at. Of
    `objectives` the first whose patterns cover a repository counts for it; none: one of everything."""

    days: int = 30
    storage: float = 70.0
    authentication_errors: float = 0.01
    objectives: dict[str, ObjectiveSettings] = {}

    def named(self) -> dict[str, ObjectiveSettings]:
        """The objectives by name, in their order."""
        return self.objectives or {ALL: ObjectiveSettings()}
