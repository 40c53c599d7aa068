"""An entry of the intake, and the only ways between its states.

They are: receiving -> quarantined -> approved -> released -> withdrawn, from there approved again, and rejected from
quarantined, approved or withdrawn; a new inspection report puts an approved or withdrawn one back into quarantine. Each
but the first appends a row to the ledger in the same transaction. Beside them `transitions` has every step by its full
name (received, verified, quarantined, inspected, …), one a transaction, and the database refuses one that was skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.api.states import DECIDABLE
from appliance.store.errors import ConflictEngineError
from appliance.store.ports import Connection
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError

_GO_ON: Final = {
    "receiving": "import its missing volumes first: lockgate intake import DIR",
    "released": "it is decided and shown; take it back first: lockgate intake withdraw {} --why TEXT",
    "rejected": "a rejection is final: have what it carried built and carried in anew",
}
"""How people go on with a bundle about which nothing is to be decided, by its state."""


def not_decidable(name: str, state: str) -> FailedError:
    """Why nothing can be decided about an entry in that state, and how to go on."""
    remedy = _GO_ON.get(state, "read its inspection report first: lockgate intake inspect {}").format(name)
    return FailedError(f"the bundle is {state}", thing=name, remedy=remedy)


def not_approved(name: str, state: str) -> LockgateError:
    """Why an entry in that state cannot be released. It is refused where approvals are what it lacks: policy asks for
    them."""
    if state in DECIDABLE:
        remedy = f"too few have approved it: lockgate intake approve {name} --key KEY; see: lockgate intake show {name}"
        return RefusedError(f"the bundle is {state}, not approved", thing=name, remedy=remedy)
    remedy = f"nothing of it is left to release; see: lockgate intake show {name}"
    return FailedError(
        f"the bundle is {state}, not approved", thing=name,
        remedy=remedy if state == "released" else _GO_ON[state].format(name),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class IntakeEntry:
    id: str
    stream: str
    sequence: int
    state: str
    report_digest: str | None
    job: str


def entry_of(db: Connection, digest: str) -> IntakeEntry:
    row = db.execute(
        "SELECT id, stream, sequence, state, report_digest, job FROM intake WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise NotFoundError("no such bundle in the intake", thing=digest, remedy="see: lockgate intake list")
    return IntakeEntry(*row)


def move(db: Connection, digest: str, entry: IntakeEntry, state: str, actor: str, at: str, why: str = "") -> None:
    """Change the entry's state, append the ledger's row and the step, together."""
    stand(db, digest, entry, state, actor, at, why)
    step(db, digest, entry.id, state, actor, at, why)


def stand(db: Connection, digest: str, entry: IntakeEntry, state: str, actor: str, at: str, why: str) -> None:
    db.execute("UPDATE intake SET state = ?, decided = ? WHERE digest = ?", (state, at, digest))
    db.execute(
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.stream, entry.sequence, digest, entry.id, state, why, at, actor),
    )


def step(db: Connection, digest: str, name: str, state: str, actor: str, at: str, note: str = "") -> None:
    """Append a step; the database refuses one that may not follow the last."""
    try:
        db.execute(
            "INSERT INTO transitions (digest, id, state, at, actor, note) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, name, state, at, actor, note),
        )
    except ConflictEngineError as error:
        raise RefusedError(f"{error}: the bundle cannot be {state} now", thing=name) from None


def last_step(db: Connection, digest: str) -> str:
    row = db.execute("SELECT state FROM transitions WHERE digest = ? ORDER BY entry DESC LIMIT 1", (digest,)).fetchone()
    return "" if row is None else str(row[0])
