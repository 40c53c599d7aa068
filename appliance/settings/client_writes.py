"""Which repositories clients may write to: push, mount, delete, move tags (docs/adr/0015-duties.md).

Outside: all of them. Inside: those that `[registry] push` of config.toml names, and on an open station all; never one
that holds released content. What a cache brought clients may take away, and put nothing beside it.
A role that gives `push` or `delete` is needed besides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.permissions import matches
from appliance.settings.caches import Caches
from appliance.settings.station import Config
from bundles.errors import RefusedError


@dataclass(frozen=True, slots=True)
class ClientWrites:
    """The rule of one station. `patterns` None: every repository; `keeps_released`: none with released content."""

    patterns: tuple[str, ...] | None = None
    keeps_released: bool = False
    caches: Caches = field(default_factory=Caches)

    @classmethod
    def of(cls, config: Config) -> ClientWrites:
        """What a station's settings say."""
        if config.side == "outside":
            return cls(caches=Caches(config.caches))
        patterns = None if config.open else config.registry.push
        return cls(patterns, keeps_released=True, caches=Caches(config.caches))

    def require(self, repository: str, *, takes_away: bool = False) -> None:
        """Go on only where the settings let clients write there, or take something away. Raises RefusedError."""
        if self.caches.holds(repository):
            if takes_away:
                return
            self.caches.refuse(repository)
        if self.patterns is None or any(matches(pattern, repository) for pattern in self.patterns):
            return
        named = "have the repository named in config.toml: [registry] push"
        if takes_away:
            raise RefusedError(
                "clients take nothing away from this station: what is here came by bundle",
                thing=repository,
                remedy=f"withdraw its bundle (lockgate intake withdraw BUNDLE --why TEXT), or {named}",
            )
        raise RefusedError(
            "this station takes content by bundle only", thing=repository, remedy=f"carry it in, or {named}"
        )
