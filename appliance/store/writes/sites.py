"""The transactions of the list of destinations."""

from __future__ import annotations

import msgspec

from appliance.store.ports import Connection
from appliance.store.reads.sites import known_sites
from appliance.store.writes.write import Write
from bundles.errors import NotFoundError


class SiteRow(msgspec.Struct, frozen=True, array_like=True):
    """A destination, who listed it or took it off the list, and when."""

    site: str
    listed: bool
    actor: str
    at: str


class RestoreSites(Write, frozen=True):
    """The list of destinations, as a rebuild found it in the audit log. The result is how many are listed."""

    sites: tuple[SiteRow, ...]

    def apply(self, db: Connection) -> int:
        for one in self.sites:
            put_site(db, one.site, one.actor, one.at, listed=one.listed)
        return sum(one.listed for one in self.sites)


class ListSite(Write, frozen=True):
    """A destination is on the list from now on. The result is whether it was not known before."""

    site: str
    actor: str
    at: str

    def apply(self, db: Connection) -> bool:
        known = {one.site: one.listed for one in known_sites(db)}
        if not known.get(self.site, False):
            put_site(db, self.site, self.actor, self.at, listed=True)
        return self.site not in known


class RemoveSite(Write, frozen=True):
    """A destination is known no longer: the next build for it must say that it is new. Its bundles stay.

    Raises NotFoundError for one that is not known.
    """

    site: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
        if self.site not in {one.site for one in known_sites(db)}:
            raise NotFoundError("no such site is known", thing=self.site, remedy="see: lockgate site list")
        put_site(db, self.site, self.actor, self.at, listed=False)


def put_site(db: Connection, site: str, actor: str, at: str, *, listed: bool) -> None:
    """Write a site's row."""
    db.execute(
        "INSERT INTO sites (site, listed, actor, at) VALUES (?, ?, ?, ?) ON CONFLICT (site) DO UPDATE SET"
        " listed = excluded.listed, actor = excluded.actor, at = excluded.at",
        (site, listed, actor, at),
    )
