"""The transactions of jobs."""

from __future__ import annotations

import json
from typing import ClassVar

from appliance.store.ports import Connection
from appliance.store.writes.write import Write
from bundles.errors import FailedError


class CreateJob(Write, frozen=True):
    """A job is asked for and queued. `params` is JSON text. The result is its number: jobs are listed in the order in
    which they were made, and their ids hang on a clock."""

    id: str
    kind: str
    params: str
    actor: str
    at: str

    def apply(self, db: Connection) -> int:
        (number,) = db.execute(
            "INSERT INTO jobs (number, id, kind, params, state, phase, done, total, actor, created) VALUES"
            " ((SELECT coalesce(max(number), 0) + 1 FROM jobs), ?, ?, ?, 'queued', '', 0, 0, ?, ?) RETURNING number",
            (self.id, self.kind, self.params, self.actor, self.at),
        ).fetchone()
        return int(number)


class MoveJob(Write, frozen=True):
    """A job changes its state or gets on. A final state is never left. Raises FailedError then."""

    unrecorded: ClassVar[str] = "how far a job has come, which its start announced"
    id: str
    state: str
    phase: str
    done: int
    total: int
    at: str
    result: str | None = None
    error: str | None = None

    def apply(self, db: Connection) -> None:
        changed = db.execute(
            "UPDATE jobs SET state = ?, phase = ?, done = ?, total = ?, result = coalesce(?, result),"
            " error = coalesce(?, error), started = coalesce(started, ?),"
            " finished = CASE WHEN ? IN ('done','failed','refused','incomplete','cancelled') THEN ? END"
            " WHERE id = ? AND state NOT IN ('done','failed','refused','incomplete','cancelled')",
            (
                self.state, self.phase, self.done, self.total, self.result, self.error,
                None if self.state == "queued" else self.at, self.state, self.at, self.id,
            ),
        ).rowcount  # fmt: skip
        if not changed:
            raise FailedError("the job has ended", thing=self.id, remedy="see: lockgate job list")


class DismissJob(Write, frozen=True):
    """A person has seen to a job that went wrong. It is kept beside what the job ended with. Raises FailedError where
    it did not go wrong."""

    id: str
    by: str
    at: str

    def apply(self, db: Connection) -> None:
        changed = db.execute(
            "UPDATE jobs SET error = json_set(error, '$.dismissed', json_object('by', ?, 'at', ?))"
            " WHERE id = ? AND error IS NOT NULL AND json_valid(error) AND state IN ('failed','refused','incomplete')",
            (self.by, self.at, self.id),
        ).rowcount
        if not changed:
            raise FailedError("the job did not go wrong", thing=self.id, remedy="see: lockgate job list")


class AddCosigner(Write, frozen=True):
    """A key that a finished build's bundle waited for has signed. Raises FailedError where it waits for none such."""

    id: str
    keyid: str

    def apply(self, db: Connection) -> None:
        row = db.execute("SELECT result FROM jobs WHERE id = ? AND state = 'done'", (self.id,)).fetchone()
        result = json.loads(row[0]) if row and row[0] else {}
        missing = list(result.get("missing_signers", ()))
        if self.keyid not in missing:
            raise FailedError("the bundle does not wait for this key", thing=self.keyid)
        result["missing_signers"] = [keyid for keyid in missing if keyid != self.keyid]
        result["signed_by"] = sorted({*result.get("signed_by", ()), self.keyid})
        db.execute("UPDATE jobs SET result = ? WHERE id = ?", (json.dumps(result), self.id))
