"""The transaction that shows what one repository shows in another one, too."""

from __future__ import annotations

from appliance.store.ports import Connection
from appliance.store.rows import WrongRowError
from appliance.store.writes.content import ensure_repository, move_tag, repository_id
from appliance.store.writes.registry import ClientWrite, tag_stays
from appliance.store.writes.rows import Kind, is_linked, link, tag_target
from bundles.errors import FailedError, NotFoundError

Item = tuple[str, Kind]
"""A digest, and what it is shown as."""


class CopyArtifacts(ClientWrite, frozen=True, kw_only=True):
    """Content that `source` shows becomes visible in `repository` too, with tags, all at once.

    `links` are made: an event names each of them. `present` is there already. `tags` are pairs of tag and digest; those
    in `stays` move nowhere. The result lists the tags that stood elsewhere, as [tag, digest]. Raises NotFoundError
    where the source does not show something any more, FailedError where the repository changed meanwhile, RefusedError
    for a tag that stays.
    """

    source: str
    links: tuple[Item, ...]
    present: tuple[Item, ...]
    tags: tuple[tuple[str, str], ...]
    at: str
    stays: tuple[str, ...] = ()

    def change(self, db: Connection) -> list[list[str]]:
        source = repository_id(db, self.source)
        for digest, kind in self.links:
            if source is None or not is_linked(db, source, digest, kind):
                raise NotFoundError(
                    "it is not shown any more", thing=f"{self.source}@{digest}", remedy="see: lockgate repo list"
                )
        repository = ensure_repository(db, self.repository, self.at)
        for digest, kind in self.present:
            if not is_linked(db, repository, digest, kind):
                raise FailedError("the repository changed meanwhile", thing=self.repository, remedy="copy again")
        for digest, kind in self.links:
            link(db, repository, digest, kind, self.at)
        moved = []
        for tag, digest in self.tags:
            stood = standing_at(db, repository, tag)
            if stood not in (None, digest) and tag in self.stays:
                raise tag_stays(f"{self.repository}:{tag}")
            if stood not in (None, digest):
                moved.append([tag, str(stood)])
            move_tag(db, repository, tag, digest, self.at)
        return moved

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        name = self.repository
        manifests = [f"{name}@{digest}" for digest, kind in self.links if kind == "manifest"]
        tags = [thing for tag, digest in self.tags for thing in (f"{name}:{tag}", f"{name}@{digest}")]
        blobs = tuple(f"{name}@{digest}" for digest, kind in self.links if kind == "blob")
        return tuple(dict.fromkeys((*manifests, *tags))), blobs


def standing_at(db: Connection, repository: int, tag: str) -> str | None:
    """Where a tag stands; None for nowhere, and for a damaged row, which the write puts right."""
    try:
        return tag_target(db, repository, tag)
    except WrongRowError:
        return None
