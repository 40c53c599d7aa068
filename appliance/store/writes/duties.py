"""The transactions of duty: changes of accounts that take two persons (docs/adr/0015-duties.md).

Each asks the rule again: what a route decided a moment ago may no longer hold.
"""

from __future__ import annotations

import sqlite3
from typing import ClassVar

import msgspec

from appliance import limits
from appliance.store import duties
from appliance.store.duties import AccountChange, Change, How
from appliance.store.writes.base import Write
from bundles.errors import FailedError, LockgateError, RefusedError

_REMEDY = "see: lockgate user pending"


class ChangeAccount(Write, frozen=True):
    """A change that `actor` asks for: done, or kept until it is confirmed, as `how` says.

    `starts`: the later of the clock and its floor. `detail` is JSON for people. Raises FailedError where `how` no
    longer holds, RefusedError where too much waits, and what the change itself raises.
    """

    id: str
    what: str
    detail: str
    change: Change
    actor: str
    how: How
    at: str
    starts: str

    def apply(self, db: sqlite3.Connection) -> None:
        if duties.how_of(db, self.change, self.actor) != self.how:
            raise FailedError("the account was changed meanwhile", thing=self.change.account, remedy="try again")
        if self.how == "waits":
            _could_be_done(db, self.change)
            waiting = db.execute("SELECT count(*) FROM account_changes WHERE state = 'waits'").fetchone()[0]
            if waiting >= limits.DUTIES_WAITING:
                raise RefusedError("too many changes wait", thing=str(waiting), remedy="confirm or cancel some first")
            self._keep(db, "waits", msgspec.json.encode(self.change).decode())
            return
        self.change.apply(db)
        if self.how != "plain":
            self._keep(db, "done", "")

    def _keep(self, db: sqlite3.Connection, state: str, change: str) -> None:
        done = state == "done"
        db.execute(
            "INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked, starts,"
            " decided_by, decided, how) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.id, self.change.account, self.what, self.detail, change, state, self.actor, self.at, self.starts,
             self.actor if done else "", self.at if done else "", self.how if done else ""),
        )  # fmt: skip


def _could_be_done(db: sqlite3.Connection, change: Change) -> None:
    """Do the change and undo it. Raises what it raises."""
    db.execute("SAVEPOINT duty")
    try:
        change.apply(db)
    finally:
        db.execute("ROLLBACK TO duty")
        db.execute("RELEASE duty")


class ConfirmChange(Write, frozen=True):
    """A second person confirms a change, and it is done.

    Raises NotFoundError, FailedError where it no longer waits, RefusedError for whoever may not confirm it.
    """

    id: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        found = _waiting(db, self.id)
        if duties.expires_of(found) < self.at:
            raise RefusedError("the change is over", thing=found.text, remedy="have it asked for anew")
        how = self._standing(db, found)
        _decoded(found).apply(db)
        _settle(db, found, "done", self.actor, self.at, how)

    def _standing(self, db: sqlite3.Connection, found: AccountChange) -> str:
        row = db.execute("SELECT disabled FROM accounts WHERE name = ?", (self.actor,)).fetchone()
        if row is None or row[0] is not None:
            raise RefusedError("the account may not confirm", thing=self.actor, remedy="ask another administrator")
        if self.actor == found.account and found.what != "grant" and duties.holds_guarded(db, self.actor):
            return "own"
        if "administrator" not in duties.roles_of(db, self.actor):
            remedy = "ask a second administrator" if found.what == "grant" else f"ask {found.account}"
            raise RefusedError("another must confirm the change", thing=f"{found.id}: {found.text}", remedy=remedy)
        if found.asked_by == self.actor:
            raise RefusedError(
                "who asked for the change may not confirm it", thing=f"{found.id}: {found.text}",
                remedy="ask a second administrator",
            )  # fmt: skip
        if self.actor in duties.group_of(db, found.asked_by):
            raise RefusedError(
                "an administrator made by waiting alone does not confirm before a release has shown it",
                thing=f"{found.id}: {self.actor}, by {found.asked_by}",
                remedy="ask another administrator, or wait",
            )
        return "second"


class TakeEffect(Write, frozen=True):
    """A change that no second administrator could confirm takes effect after its time.

    The result says whether it did. One that can no longer be done is settled as failed. Raises RefusedError before it
    is due.
    """

    id: str
    at: str

    def apply(self, db: sqlite3.Connection) -> bool:
        found = _waiting(db, self.id)
        due = duties.due_of(db, found)
        if due is None or due > self.at or found.asked_by not in duties.administrators(db):
            raise RefusedError("the change is not due", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
        db.execute("SAVEPOINT duty")
        try:
            _decoded(found).apply(db)
        except LockgateError as error:
            db.execute("ROLLBACK TO duty")
            _settle(db, found, "failed", "station", self.at, "delay", error.diagnostics())
            return False
        finally:
            db.execute("RELEASE duty")
        _settle(db, found, "done", "station", self.at, "delay")
        return True


class EndChange(Write, frozen=True):
    """A change that waits will not be done: `cancelled` by a person, or `expired`. FailedError where it ended."""

    id: str
    state: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        found = _waiting(db, self.id)
        if self.state == "expired" and duties.expires_of(found) >= self.at:
            raise RefusedError("the change is not over", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
        _settle(db, found, self.state, self.actor, self.at, "")


class ShowChanges(Write, frozen=True):
    """A release of `bundle` has shown these changes to whoever released it."""

    unrecorded: ClassVar[str] = "the event of the release names the changes that it shows"

    ids: tuple[str, ...]
    bundle: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.executemany(
            "UPDATE account_changes SET shown = ? WHERE id = ? AND state = 'done'",
            [(self.bundle, change_id) for change_id in self.ids],
        )


class FirstOfficer(Write, frozen=True):
    """A first security-officer has called. From now on no administrator acts alone; it is never taken back."""

    officer: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO duties (one, officer, since) VALUES (1, ?, ?) ON CONFLICT DO NOTHING", (self.officer, self.at)
        )


def _waiting(db: sqlite3.Connection, change_id: str) -> AccountChange:
    found = duties.find(db, change_id)
    if found.state != "waits":
        raise FailedError(f"the change is {found.state}", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
    return found


def _decoded(found: AccountChange) -> Change:
    change: Change = msgspec.json.decode(found.change, type=Change)
    return change


def _settle(
    db: sqlite3.Connection, found: AccountChange, state: str, by: str, at: str, how: str, why: str = ""
) -> None:
    """Nothing waits any more. What was to be done is forgotten: it may hold a password's hash."""
    db.execute(
        "UPDATE account_changes SET state = ?, decided_by = ?, decided = ?, how = ?, why = ?, change = '' WHERE id = ?",
        (state, by, at, how, why, found.id),
    )
