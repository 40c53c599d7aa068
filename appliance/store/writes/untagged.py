"""The transaction that takes manifests away to which no tag leads."""

from __future__ import annotations

import json
from typing import Any

from appliance.store.ports import Connection
from appliance.store.reads.untagged import state_of
from appliance.store.writes.content import forget_if_empty, repository_id
from appliance.store.writes.registry import refuse_released
from appliance.store.writes.rows import take_link
from appliance.store.writes.write import Write


class UnlinkUntagged(Write, frozen=True):
    """Manifests to which no tag leads vanish from their repository; all of them or, where anything there changed since
    the caller looked (`state`, appliance.store.reads.untagged.state_of) or a pin keeps one by now, none.

    The result is {taken: how many, state: the new one}. Raises RefusedError where the repository holds released
    content.
    """

    repository: str
    digests: tuple[str, ...]
    state: str

    def apply(self, db: Connection) -> dict[str, Any]:
        refuse_released(db, self.repository)
        repository = repository_id(db, self.repository)
        if repository is None or state_of(db, self.repository) != self.state or self._is_pinned(db):
            return {"taken": 0, "state": self.state}
        taken = sum(take_link(db, repository, digest, "manifest", "untagged") for digest in self.digests)
        forget_if_empty(db, repository)
        return {"taken": taken, "state": state_of(db, self.repository)}

    def _is_pinned(self, db: Connection) -> bool:
        found = db.execute(
            "SELECT 1 FROM json_each(?) j JOIN pins p ON p.digest = j.value LIMIT 1", (json.dumps(self.digests),)
        )
        return found.fetchone() is not None
