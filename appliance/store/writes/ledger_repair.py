"""The ledger and the restores are what the audit log says again: rows that somebody made up go, those that somebody
took away or changed come back (appliance.intake.ledger_by_log)."""

from __future__ import annotations

import msgspec

from appliance.store.engine import engine_of
from appliance.store.ports import Connection
from appliance.store.writes.write import Write


class LostEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that came in by the log and of which the ledger has no row; `at` when it did, `actor` who brought it."""

    stream: str
    sequence: int
    digest: str
    id: str
    at: str
    actor: str


class RestoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """The restore that shut imports last: its row's time, and the ledger's entry after which a floor opens a stream."""

    at: str
    ledger_entry: int


class RepairLedger(Write, frozen=True):
    """What the audit log says in the place of what somebody wrote by hand.

    `struck` are entries of the ledger, `struck_restores` those of `restores`; `put_back` and `restore` come in their
    place. `made_up` is the digest of a bundle that never came in, and that has rows all the same; "" for none.
    """

    struck: tuple[int, ...] = ()
    put_back: tuple[LostEntry, ...] = ()
    struck_restores: tuple[int, ...] = ()
    restore: RestoreRow | None = None
    made_up: str = ""

    def apply(self, db: Connection) -> None:
        if self.struck:
            with engine_of(db).without_triggers(db, "ledger"):
                db.executemany("DELETE FROM ledger WHERE entry = ?", [(entry,) for entry in self.struck])
        db.executemany(
            "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
            " VALUES (?, ?, ?, ?, 'quarantined', 'put back by the audit log', ?, ?)",
            [(one.stream, one.sequence, one.digest, one.id, one.at, one.actor) for one in self.put_back],
        )
        db.executemany("DELETE FROM restores WHERE entry = ?", [(entry,) for entry in self.struck_restores])
        if self.restore is not None:
            db.execute("DELETE FROM restores WHERE created = ?", (self.restore.at,))
            db.execute(
                "INSERT INTO restores (ledger_entry, created, actor) VALUES (?, ?, 'station')",
                (self.restore.ledger_entry, self.restore.at),
            )
        if self.made_up:
            self._forget(db)

    def _forget(self, db: Connection) -> None:
        """A bundle of which somebody wrote that it came in: its steps up to there are its own."""
        with engine_of(db).without_triggers(db, "transitions"):
            db.execute(
                "DELETE FROM transitions WHERE digest = ? AND state NOT IN ('received', 'verified')", (self.made_up,)
            )
        came = db.execute("SELECT 1 FROM intake WHERE digest = ? AND state <> 'receiving'", (self.made_up,)).fetchone()
        if came is None:
            return
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.made_up,))
        for table in (
            "approvals", "released", "intake_volumes", "intake_sums", "intake_signatures", "intake_documents", "intake",
        ):  # fmt: skip
            db.execute(f"DELETE FROM {table} WHERE digest = ?", (self.made_up,))  # noqa: S608  constants
