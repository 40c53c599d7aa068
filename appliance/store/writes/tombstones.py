"""What was asked for although a collection took it, and the end of what is remembered."""

from __future__ import annotations

from typing import ClassVar

from appliance.limits import lifecycle as limits
from appliance.store.ports import Connection
from appliance.store.writes.rows import Kind
from appliance.store.writes.write import Write


class CountAsked(Write, frozen=True):
    """A client asked for what a collection took."""

    unrecorded: ClassVar[str] = "how often what was collected is asked for"
    repository: str
    digest: str
    kind: Kind

    def apply(self, db: Connection) -> None:
        db.execute(
            "UPDATE tombstones SET asked = asked + 1"
            " WHERE repository = ? AND digest = ? AND kind = ? AND taken IS NOT NULL",
            (self.repository, self.digest, self.kind),
        )


class PruneTombstones(Write, frozen=True):
    """Forget links that went before the time `before`, and the oldest of more than `limits.TOMBSTONES`; at most
    `limits.TOMBSTONES_PRUNED` at a time, for other writes wait meanwhile. The result counts them."""

    unrecorded: ClassVar[str] = "what is remembered of collected blobs"
    before: str

    def apply(self, db: Connection) -> int:
        count = db.execute("SELECT count(*) FROM tombstones").fetchone()[0]
        return db.execute(
            "DELETE FROM tombstones WHERE (digest, repository, kind) IN"
            " (SELECT digest, repository, kind FROM tombstones WHERE unlinked < ?1 OR ?2 > 0"
            " ORDER BY unlinked LIMIT CASE WHEN ?2 > 0 THEN min(?2, ?3) ELSE ?3 END)",
            (self.before, count - limits.TOMBSTONES, limits.TOMBSTONES_PRUNED),
        ).rowcount
