"""Log-ins that failed, by name and origin, and what a success or an administrator forgets of them."""

from __future__ import annotations

from typing import ClassVar, Final

from appliance.store.ports import Connection
from appliance.store.writes.write import Write

FAILURES_KEPT: Final = 10_000
"""Rows of `failed_logins`: whoever tries more names than this forgets the oldest, and no disk fills up."""


class RecordFailure(Write, frozen=True):
    """A log-in failed. `locks` are the times until which each further failure locks, the first after `free` failures.

    The result is the time until which the name is locked for the origin, or None.
    """

    unrecorded: ClassVar[str] = "a counter; the refusal is an event"
    name: str
    origin: str
    at: str
    forget_before: str
    free: int
    locks: tuple[str, ...]

    def apply(self, db: Connection) -> str | None:
        db.execute("DELETE FROM failed_logins WHERE last < ?", (self.forget_before,))
        key = (self.name, self.origin)
        row = db.execute("SELECT failures FROM failed_logins WHERE name = ? AND origin = ?", key).fetchone()
        failures = (row[0] if row else 0) + 1
        over = failures - self.free
        until = self.locks[min(over, len(self.locks)) - 1] if over > 0 else None
        db.execute(
            "INSERT INTO failed_logins (name, origin, failures, last, locked_until) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name, origin) DO UPDATE SET failures = excluded.failures, last = excluded.last,"
            " locked_until = excluded.locked_until",
            (*key, failures, self.at, until),
        )
        if row is None:
            db.execute(
                "DELETE FROM failed_logins WHERE (name, origin) IN (SELECT name, origin FROM failed_logins"
                " ORDER BY last DESC LIMIT -1 OFFSET ?)",
                (FAILURES_KEPT,),
            )
        return until


class ForgetFailures(Write, frozen=True):
    """A log-in succeeded at `origin`, or an administrator unlocked the name everywhere (None)."""

    unrecorded: ClassVar[str] = "a counter"
    name: str
    origin: str | None = None

    def apply(self, db: Connection) -> None:
        db.execute(
            "DELETE FROM failed_logins WHERE name = ?1 AND origin = coalesce(?2, origin)", (self.name, self.origin)
        )
