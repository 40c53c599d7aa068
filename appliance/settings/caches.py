"""Pull-through caches: `[caches.NAME]` of config.toml (docs/adr/0065-pull-through.md).

A cache is a prefix of repositories. What a client asks for below it is what one upstream has under the rest of the
name: with the prefix `cache/hub`, `cache/hub/library/alpine:3` is `library/alpine:3` there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from appliance.permissions import matches
from bundles.errors import RefusedError
from bundles.oci.reference import check_registry, check_repository


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cache. `upstream`: `HOST[:PORT]`, with `/PREFIX` where repositories stand below one there. `prefix`: of its
    repositories here; "" for `cache/NAME`. `repositories`: patterns of what may be asked for, as they are called
    upstream; none: everything. `tag_minutes`: how long a tag stands before it is asked for again. `missing_seconds`:
    how long what the upstream does not have is not asked for again.
    """

    upstream: str
    prefix: str = ""
    repositories: tuple[str, ...] = ()
    tag_minutes: int = 60
    missing_seconds: int = 60


def split_upstream(text: str) -> tuple[str, str]:
    """The registry and the prefix of an upstream, "" for none. Raises MalformedError."""
    host, slash, prefix = text.partition("/")
    check_registry(host)
    if slash:
        check_repository(prefix)
    return host, prefix


def prefix_of(name: str, prefix: str) -> str:
    """Where a cache's repositories stand here, by its name and its setting."""
    return prefix or f"cache/{name}"


@dataclass(frozen=True, slots=True)
class Cached:
    """A repository of a cache, and what it is upstream."""

    cache: str
    settings: CacheSettings
    host: str
    repository: str

    @property
    def is_offered(self) -> bool:
        """Whether the cache's settings let it be asked for."""
        patterns = self.settings.repositories
        return not patterns or any(matches(pattern, self.repository) for pattern in patterns)


class Caches:
    """The caches of a station. `prefixes` have their slash."""

    def __init__(self, settings: Mapping[str, CacheSettings] | None = None) -> None:
        self._settings = {
            f"{prefix_of(name, one.prefix)}/": (name, one, *split_upstream(one.upstream))
            for name, one in (settings or {}).items()
        }
        self.prefixes = tuple(self._settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Caches) and self._settings == other._settings

    def __hash__(self) -> int:
        return hash(self.prefixes)

    def holds(self, repository: str) -> bool:
        """Whether a repository's name is a cache's, be it offered or not."""
        return f"{repository}/".startswith(self.prefixes)

    def find(self, repository: str) -> Cached | None:
        """What a repository is upstream; None where it is no cache's."""
        for prefix, (name, settings, host, above) in self._settings.items():
            if repository.startswith(prefix):
                rest = repository[len(prefix) :]
                return Cached(name, settings, host, f"{above}/{rest}" if above else rest)
        return None

    def refuse(self, repository: str) -> None:
        """Go on only where a repository is no cache's. Raises RefusedError."""
        if self.holds(repository):
            raise RefusedError(
                "the repository is a cache's: its upstream alone puts content there", thing=repository,
                remedy="use another repository, or another prefix for the cache in config.toml (caches)",
            )  # fmt: skip
