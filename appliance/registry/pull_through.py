"""What the registry asks of pull-through caches; appliance.caching fetches."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

import msgspec

from appliance.settings.caches import Caches
from bundles.oci.digest import Digest

State = Literal["arriving", "brought", "kept", "stale", "absent", "failed"]
"""It is being fetched; it was fetched; it was here, and its upstream says so too; it is here, and its upstream cannot
be asked; its upstream does not have it; it could not be fetched."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a question. `why`: of `stale` and `failed`, a line. `retry`: seconds after which another question
    may do better. `full`: it failed since the station's disk takes no more. `denied`: it failed by a rule.
    `path` and `size`: of `arriving`, the file that grows to so many bytes, of which none is checked."""

    state: State
    why: str = ""
    retry: int = 0
    full: bool = False
    denied: bool = False
    path: str = ""
    size: int = 0


class PullThrough(Protocol):
    """Fetches what caches do not hold. A question may be given up: what it began goes on."""

    caches: Caches

    async def manifest(self, repository: str, reference: str) -> Outcome:
        """See to it that a cache's repository shows a manifest, by its digest, or by its tag as it stands upstream."""
        ...

    async def blob(self, repository: str, digest: Digest) -> Outcome:
        """See to it that a cache's repository shows a blob."""
        ...

    def follow(self, repository: str, digest: Digest) -> AsyncGenerator[Outcome, None]:
        """As `blob`: what became of it, and before it, where that is known, one `arriving`."""
        ...


class NoCaches:
    """A station without caches."""

    caches = Caches()

    async def manifest(self, repository: str, reference: str) -> Outcome:
        """As PullThrough.manifest."""
        return Outcome(state="absent")

    async def blob(self, repository: str, digest: Digest) -> Outcome:
        """As PullThrough.blob."""
        return Outcome(state="absent")

    async def follow(self, repository: str, digest: Digest) -> AsyncGenerator[Outcome, None]:
        """As PullThrough.follow."""
        yield await self.blob(repository, digest)
