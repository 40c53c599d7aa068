"""The transactions of duty: changes of accounts that take two persons (docs/adr/0015-duties.md).

Each asks the rule again: what a route decided a moment ago may no longer hold.
"""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec

from appliance.limits import control as limits
from appliance.store.ports import Connection
from appliance.store.reads import credentials
from appliance.store.reads.credentials import Credential
from appliance.store.writes import pending_changes
from appliance.store.writes.access import BindKey, BindUid, GrantRole, SetPassword, suspend_credential
from appliance.store.writes.pending_changes import AccountChange, Change, How
from appliance.store.writes.write import Write
from bundles.errors import FailedError, LockgateError, RefusedError

_REMEDY = "see: lockgate user pending --all"


class ChangeAccount(Write, frozen=True):
    """A change that `actor` asks for: done, or kept until it is confirmed, as `how` says.

    `starts`: the later of the clock and its floor. `detail` is JSON for people. `called` as `pending_changes.how_of`.
    Raises FailedError where `how` no longer holds, RefusedError where too much waits, and what the change itself
    raises.
    """

    id: str
    what: str
    detail: str
    change: Change
    actor: str
    how: How
    at: str
    starts: str
    called: bool = False

    def apply(self, db: Connection) -> None:
        if pending_changes.how_of(db, self.change, self.actor, called=self.called) != self.how:
            raise FailedError("the account was changed meanwhile", thing=self.change.account, remedy="try again")
        if self.how == "waits":
            _could_be_done(db, self.change)
            waiting = db.execute("SELECT count(*) FROM account_changes WHERE state = 'waits'").fetchone()[0]
            if waiting >= limits.DUTIES_WAITING:
                raise RefusedError("too many changes wait", thing=str(waiting), remedy="confirm or cancel some first")
            self._keep(db, "waits", msgspec.json.encode(self.change).decode())
            return
        self.change.apply(db)
        _end_older(db, pending_changes.older(db, self.change, self.what, self.at), self.actor, self.at)
        if self.how != "plain":
            self._keep(db, "done", "")

    def _keep(self, db: Connection, state: str, change: str) -> None:
        done = state == "done"
        db.execute(
            "INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked, starts,"
            " decided_by, decided, how) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.id, self.change.account, self.what, self.detail, change, state, self.actor, self.at, self.starts,
             self.actor if done else "", self.at if done else "", self.how if done else ""),
        )  # fmt: skip


def _could_be_done(db: Connection, change: Change) -> None:
    """Do the change and undo it. Raises what it raises."""
    db.execute("SAVEPOINT duty")
    try:
        change.apply(db)
    finally:
        db.execute("ROLLBACK TO duty")
        db.execute("RELEASE duty")


class ConfirmChange(Write, frozen=True):
    """A second person confirms a change, and it is done.

    The result are the ids of changes that wait from now on: with the grant of a guarded role, of each credential that
    another than the person had set. Raises NotFoundError, FailedError where it no longer waits, RefusedError for
    whoever may not confirm it.
    """

    id: str
    actor: str
    at: str

    def apply(self, db: Connection) -> list[str]:
        found = _waiting(db, self.id)
        if pending_changes.expires_of(found) < self.at:
            raise RefusedError("the change is over", thing=found.text, remedy="have it asked for anew")
        how = self._standing(db, found)
        settled = _take_effect(db, found, self.actor, self.at, how)
        _settle(db, found, "done", self.actor, self.at, how)
        return settled

    def _standing(self, db: Connection, found: AccountChange) -> str:
        row = db.execute("SELECT disabled FROM accounts WHERE name = ?", (self.actor,)).fetchone()
        if row is None or row[0] is not None:
            raise RefusedError(
                "the account may not confirm", thing=self.actor, remedy=pending_changes.remedy_of(db, found, self.actor)
            )
        if self.actor == found.account and found.what != "grant" and found.asked_by != self.actor:
            return "own"
        remedy = pending_changes.remedy_of(db, found, self.actor)
        if found.asked_by == self.actor:
            raise RefusedError(
                "who asked for the change may not confirm it", thing=f"{found.id}: {found.text}", remedy=remedy
            )
        if "administrator" not in pending_changes.roles_of(db, self.actor):
            raise RefusedError("another must confirm the change", thing=f"{found.id}: {found.text}", remedy=remedy)
        if self.actor in pending_changes.group_of(db, found.asked_by):
            raise RefusedError(
                "an administrator made by waiting alone does not confirm before a release has shown it",
                thing=f"{found.id}: {self.actor}, by {found.asked_by}",
                remedy=remedy,
            )
        return "second"


class TakeEffect(Write, frozen=True):
    """A change that no second administrator could confirm takes effect after its time.

    The result says whether it did. One that can no longer be done is settled as failed. Raises RefusedError before it
    is due.
    """

    id: str
    at: str

    def apply(self, db: Connection) -> bool:
        found = _waiting(db, self.id)
        due = pending_changes.due_of(db, found)
        if due is None or due > self.at or found.asked_by not in pending_changes.administrators(db):
            raise RefusedError("the change is not due", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
        db.execute("SAVEPOINT duty")
        try:
            _take_effect(db, found, "station", self.at, "delay")
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

    def apply(self, db: Connection) -> None:
        found = _waiting(db, self.id)
        if self.state == "expired" and pending_changes.expires_of(found) >= self.at:
            raise RefusedError("the change is not over", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
        _settle(db, found, self.state, self.actor, self.at, "")


class ShowChanges(Write, frozen=True):
    """A release of `bundle` has shown these changes to whoever released it."""

    unrecorded: ClassVar[str] = "the event of the release names the changes that it shows"

    ids: tuple[str, ...]
    bundle: str

    def apply(self, db: Connection) -> None:
        db.executemany(
            "UPDATE account_changes SET shown = ? WHERE id = ? AND state = 'done'",
            [(self.bundle, change_id) for change_id in self.ids],
        )


class FirstOfficer(Write, frozen=True):
    """A first security-officer has called. From now on no administrator acts alone; it is never taken back."""

    officer: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO duties (one, officer, since) VALUES (1, ?, ?) ON CONFLICT DO NOTHING", (self.officer, self.at)
        )


def _take_effect(db: Connection, found: AccountChange, by: str, at: str, how: str) -> list[str]:
    """Do a change that was confirmed. Returns the ids of what waits because of it."""
    change = _decoded(found)
    newly = isinstance(change, GrantRole) and not pending_changes.holds_guarded(db, found.account)
    trusted = how != "own" or not credentials.foreign(db, found.account)
    change.apply(db)
    _end_older(
        db, [one for one in pending_changes.older(db, change, found.what, found.asked) if one != found.id], by, at
    )
    if isinstance(change, SetPassword | BindUid | BindKey):
        # What was confirmed under a log-in that another can make is confirmed by nobody.
        if trusted:
            credentials.confirm(db, found.account, found.what, _thing_of(change), by)
        return []
    if not newly:
        return []
    made = []
    for one in credentials.foreign(db, found.account):
        if how == "delay":  # it waited as long as the grant, or longer
            credentials.confirm(db, found.account, one.what, one.thing, "station")
        made.append(_put_off(db, found, one, at, how))
    return made if how != "delay" else []


def _thing_of(change: Change) -> str:
    if isinstance(change, BindUid):
        return str(change.uid)
    return change.keyid if isinstance(change, BindKey) else ""


def _put_off(db: Connection, found: AccountChange, one: Credential, at: str, how: str) -> str:
    """A row for a credential that was set before a grant: it waits anew or, by delay, is in effect with the grant."""
    asked_by = one.set_by or found.asked_by
    change_id = pending_changes.id_after_grant(found.id, one.what, one.thing)
    detail = {"uid": int(one.thing)} if one.what == "uid" else {"keyid": one.thing} if one.what == "bind-key" else {}
    change: Change
    if one.what == "password":
        held = db.execute("SELECT password FROM accounts WHERE name = ?", (one.account,)).fetchone()[0]
        change = SetPassword(account=one.account, password=str(held), at=at, by=one.set_by)
    elif one.what == "uid":
        change = BindUid(account=one.account, uid=int(one.thing), at=at, by=one.set_by)
    else:
        change = BindKey(account=one.account, keyid=one.thing, at=at, by=one.set_by)
    done = how == "delay"
    if not done:
        suspend_credential(db, one.account, one.what, one.thing, at)
    db.execute(
        "INSERT INTO account_changes (id, account, what, detail, change, state, asked_by, asked, starts, decided_by,"
        " decided, how) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (change_id, one.account, one.what, json.dumps(detail), "" if done else msgspec.json.encode(change).decode(),
         "done" if done else "waits", asked_by, at, max(at, found.starts), "station" if done else "",
         at if done else "", "before" if done else ""),
    )  # fmt: skip
    return change_id


def _end_older(db: Connection, ids: list[str], by: str, at: str) -> None:
    for change_id in ids:
        found = pending_changes.find(db, change_id)
        _settle(db, found, "cancelled", by, at, "", "a newer one took effect")


def _waiting(db: Connection, change_id: str) -> AccountChange:
    found = pending_changes.find(db, change_id)
    if found.state != "waits":
        raise FailedError(f"the change is {found.state}", thing=f"{found.id}: {found.text}", remedy=_REMEDY)
    return found


def _decoded(found: AccountChange) -> Change:
    change: Change = msgspec.json.decode(found.change, type=Change)
    return change


def _settle(db: Connection, found: AccountChange, state: str, by: str, at: str, how: str, why: str = "") -> None:
    """Nothing waits any more. What was to be done is forgotten: it may hold a password's hash."""
    db.execute(
        "UPDATE account_changes SET state = ?, decided_by = ?, decided = ?, how = ?, why = ?, change = '' WHERE id = ?",
        (state, by, at, how, why, found.id),
    )
