"""The transactions of retirements."""

from __future__ import annotations

from appliance.store.ports import Connection
from appliance.store.writes.access import bump
from appliance.store.writes.write import Write


class Retire(Write, frozen=True, kw_only=True):
    """A reference is retired from a time on, in the place of what was said of it before. What is judged meanwhile is
    judged anew."""

    reference: str
    repository: str
    tag: str
    digest: str
    successor: str
    after: str
    reason: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute("DELETE FROM retirements WHERE reference = ?", (self.reference,))
        db.execute(
            "INSERT INTO retirements (reference, repository, tag, digest, successor, after, reason, actor, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.reference, self.repository, self.tag, self.digest, self.successor, self.after, self.reason,
                self.actor, self.at,
            ),
        )  # fmt: skip
        bump(db)


class Unretire(Write, frozen=True):
    """A reference is not retired any more. The result says whether it was."""

    reference: str

    def apply(self, db: Connection) -> bool:
        done = db.execute("DELETE FROM retirements WHERE reference = ?", (self.reference,))
        bump(db)
        return done.rowcount > 0
