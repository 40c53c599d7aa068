"""Which source site may write to which repositories: `[[sources]]` of approvals.toml (docs/adr/0017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from appliance.permissions import check_pattern, matches
from bundles.errors import LockgateError, UsageError
from bundles.oci.reference import check_site


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site, and the repositories that its bundles may write to: patterns as in roles (`team/app`, `team/**`)."""

    site: str
    repositories: list[str]


def check_sources(sources: Iterable[Source]) -> None:
    """Raises UsageError naming the entry that is wrong."""
    for number, source in enumerate(sources, 1):
        try:
            check_site(source.site)
            for pattern in source.repositories:
                check_pattern(pattern)
        except LockgateError as error:
            raise UsageError(f"sources {number}: {error.what}", thing=error.thing, remedy=error.remedy) from None


@dataclass(frozen=True, slots=True)
class Writes:
    """What one site may write. Without a `[[sources]]`, every pinned site may write every repository; with one, those
    that it names, and nothing for a site that it does not name."""

    site: str
    sources: Sequence[Source] = ()

    def names(self, repository: str) -> bool:
        """Whether the policy names the repository for the site. That alone lets it move another source's tags."""
        return any(
            matches(pattern, repository)
            for source in self.sources
            if source.site == self.site
            for pattern in source.repositories
        )

    def allows(self, repository: str) -> bool:
        """Whether the site may write the repository at all."""
        return not self.sources or self.names(repository)
