"""Which changes of accounts take two persons, and what waits: questions asked by routes and again in transactions.

The rule is docs/adr/0015-duties.md. Every function takes a connection, a reader's or the writer's. Times are UTC text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from appliance.limits import control as limits
from appliance.permissions import check_role, is_guarded
from appliance.store.ports import Reader
from appliance.store.reads import credentials
from appliance.store.writes.access import (
    BindKey,
    BindUid,
    DisableAccount,
    EnableAccount,
    GrantRole,
    SetPassword,
    WithdrawRole,
)
from bundles.errors import NotFoundError
from bundles.io.times import later

Change = SetPassword | BindUid | BindKey | EnableAccount | GrantRole | DisableAccount | WithdrawRole
How = Literal["plain", "alone", "own", "waits"]
"""`plain`: no change of duty. `alone`: done at once by one administrator. `own`: done at once by the person it is
about. `waits`: it needs a second person, or time."""

_FIELDS: Final = (
    "id", "account", "what", "detail", "change", "state", "asked_by", "asked", "starts", "decided_by", "decided", "how",
    "why", "shown",
)  # fmt: skip
_COLUMNS: Final = ", ".join(_FIELDS)


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change of duty as it was asked for, and what became of it. `change` is the write, "" once nothing waits."""

    id: str
    account: str
    what: str
    detail: dict[str, Any]
    change: str
    state: str
    asked_by: str
    asked: str
    starts: str
    decided_by: str
    decided: str
    how: str
    why: str
    shown: str

    @property
    def text(self) -> str:
        """The change in words."""
        detail = self.detail
        return {
            "password": f"a new password for {self.account}",
            "uid": f"uid {detail.get('uid')} calls for {self.account}",
            "bind-key": f"key {detail.get('keyid')} stands for {self.account}",
            "enable": f"{self.account} may log in again",
            "grant": f"{self.account} is {detail.get('role')} on {detail.get('pattern')}",
            "disable": f"{self.account}, an administrator, is disabled",
            "withdraw": f"{self.account} is no administrator any more",
        }.get(self.what, f"{self.what} of {self.account}")


def in_force(db: Reader) -> bool:
    """Whether a first security-officer has called: from then on no administrator acts alone. Point read."""
    return db.execute("SELECT 1 FROM duties").fetchone() is not None


def first_officer(db: Reader) -> str:
    """The security-officer who called first, "" where none did."""
    row = db.execute("SELECT officer FROM duties").fetchone()
    return "" if row is None else str(row[0])


def roles_of(db: Reader, account: str) -> set[str]:
    """The roles that an account holds now."""
    return {role for (role,) in db.execute("SELECT role FROM grants WHERE account = ?", (account,))}


def holds_guarded(db: Reader, account: str) -> bool:
    """Whether an account holds a role that gives one of `GUARDED`."""
    return any(is_guarded(check_role(role)) for role in roles_of(db, account))


def is_under_guard(db: Reader, account: str) -> bool:
    """Whether an account holds a guarded role, or the grant of one waits."""
    waits = db.execute(
        "SELECT 1 FROM account_changes WHERE account = ? AND state = 'waits' AND what = 'grant' LIMIT 1", (account,)
    ).fetchone()
    return waits is not None or holds_guarded(db, account)


def how_of(db: Reader, change: Change, actor: str, *, called: bool = False) -> How:
    """How a change that `actor` asks for may be done now. `called`: whether the audit log says that a first
    security-officer has called; the row of that can be taken away by whoever has the database's file."""
    if not _concerns(db, change):
        return "plain"
    if isinstance(change, DisableAccount | WithdrawRole) or not (called or in_force(db)):
        return "alone"
    return "own" if change.account == actor and not isinstance(change, GrantRole) else "waits"


def _concerns(db: Reader, change: Change) -> bool:  # noqa: PLR0911  one a kind of change
    """Whether it is a change of duty at all."""
    name = change.account
    match change:
        case GrantRole():
            held = db.execute(
                "SELECT 1 FROM grants WHERE account = ? AND role = ? AND pattern = ?",
                (name, change.role, change.pattern),
            ).fetchone()
            return held is None and is_guarded(check_role(change.role))
        case DisableAccount():
            return "administrator" in roles_of(db, name)
        case WithdrawRole():
            return change.role == "administrator" and "administrator" in roles_of(db, name)
        case EnableAccount():
            row = db.execute("SELECT disabled FROM accounts WHERE name = ?", (name,)).fetchone()
            return row is not None and row[0] is not None and is_under_guard(db, name)
        case BindUid():
            row = db.execute("SELECT uid FROM accounts WHERE name = ?", (name,)).fetchone()
            return change.uid is not None and row is not None and row[0] != change.uid and is_under_guard(db, name)
        case BindKey():
            row = db.execute("SELECT account FROM account_keys WHERE keyid = ?", (change.keyid,)).fetchone()
            return (row is None or row[0] != name) and is_under_guard(db, name)
        case SetPassword():
            return is_under_guard(db, name)


def administrators(db: Reader) -> list[str]:
    """The accounts that may administer now."""
    rows = db.execute(
        "SELECT DISTINCT a.name FROM accounts a JOIN grants g ON g.account = a.name"
        " WHERE g.role = 'administrator' AND a.disabled IS NULL ORDER BY a.name"
    )
    return [name for (name,) in rows]


def confirmers(db: Reader, change: AccountChange) -> list[str]:
    """Whose confirmation makes a change that waits: the person, where they can log in, and other administrators."""
    if change.state != "waits":
        return []
    group = group_of(db, change.asked_by)
    names = [name for name in administrators(db) if name not in group]
    row = db.execute("SELECT disabled, password, uid FROM accounts WHERE name = ?", (change.account,)).fetchone()
    able = row is not None and row[0] is None and (row[1] is not None or row[2] is not None)
    if change.what != "grant" and able and change.account not in names:
        names.insert(0, change.account)
    return names


def remedy_of(db: Reader, change: AccountChange, actor: str = "") -> str:
    """Who may confirm a change, or that it takes effect by waiting."""
    names = [name for name in confirmers(db, change) if name != actor]
    due = due_of(db, change)
    hours = limits.DUTY_WAIT // 3600
    wait = f"it takes effect at {due}, {hours} hours after it was asked for: no second administrator exists"
    return "; or ".join(part for part in (f"ask {' or '.join(names)}" if names else "", wait if due else "") if part)


def older(db: Reader, change: Change, what: str, before: str) -> list[str]:
    """The ids of changes that wait and are over once `change` takes effect: of the same credential, asked for until
    `before`. What is newer is not undone by what was asked for earlier."""
    if not isinstance(change, SetPassword | BindUid | BindKey):
        return []
    keyid = change.keyid if isinstance(change, BindKey) else ""
    rows = db.execute(
        "SELECT id, detail FROM account_changes WHERE account = ? AND what = ? AND state = 'waits' AND asked <= ?"
        " ORDER BY asked, id",
        (change.account, what, before),
    )
    return [change_id for change_id, detail in rows if not keyid or json.loads(detail).get("keyid") == keyid]


def credentials_of_grant(db: Reader, change: AccountChange) -> list[credentials.Credential]:
    """For a grant that waits: every credential of its account. Whoever confirms is to see who set them."""
    if change.what != "grant" or change.state != "waits":
        return []
    return credentials.of_account(db, change.account)


def foreign_of_grant(db: Reader, change: AccountChange) -> list[credentials.Credential]:
    """Those among them that wait when the grant takes effect: of an account that is guarded already none."""
    if holds_guarded(db, change.account):
        return []
    return [one for one in credentials_of_grant(db, change) if one.is_foreign]


def group_of(db: Reader, account: str) -> set[str]:
    """The accounts that do not count as others to `account`: changes that took effect by waiting alone, which no
    release has shown yet, tie who asked for them and whom they are about."""
    edges = db.execute(
        "SELECT account, asked_by FROM account_changes WHERE state = 'done' AND how = 'delay' AND shown = ''"
    ).fetchall()
    group = {account}
    size = 0
    while size != len(group):
        size = len(group)
        for pair in edges:
            if not group.isdisjoint(pair):
                group.update(pair)
    return group


def has_second(db: Reader, asked_by: str) -> bool:
    """Whether another administrator could confirm what `asked_by` asks for."""
    return not set(administrators(db)) <= group_of(db, asked_by)


def due_of(db: Reader, change: AccountChange) -> str | None:
    """When a change takes effect without a second person; None where one could confirm it."""
    if change.state != "waits" or has_second(db, change.asked_by):
        return None
    removed = db.execute(
        "SELECT coalesce(max(starts), '') FROM account_changes WHERE state = 'done' AND what IN ('disable', 'withdraw')"
    ).fetchone()[0]
    return later(max(change.starts, str(removed)), timedelta(seconds=limits.DUTY_WAIT))


def expires_of(change: AccountChange) -> str:
    """When a change that nobody confirmed is over."""
    return later(change.starts, timedelta(seconds=limits.DUTY_EXPIRES))


def id_after_grant(grant: str, what: str, thing: str) -> str:
    """The id of the change by which a credential waits since the grant of a role was confirmed; `thing` is what it
    names, a key's id or a uid, "" for a password."""
    return hashlib.sha256(f"{grant} {what} {thing}".encode()).hexdigest()[:8]


def find(db: Reader, change_id: str) -> AccountChange:
    """A change of duty. Raises NotFoundError."""
    row = db.execute(f"SELECT {_COLUMNS} FROM account_changes WHERE id = ?", (change_id,)).fetchone()  # noqa: S608
    if row is None:
        raise NotFoundError("no such change", thing=change_id[:40], remedy="see: lockgate user pending")
    return _change(row)


def count_waiting(db: Reader) -> int:
    """How many changes wait for somebody."""
    return int(db.execute("SELECT count(*) FROM account_changes WHERE state = 'waits'").fetchone()[0])


def waiting(db: Reader) -> list[AccountChange]:
    """What waits, the oldest first."""
    return _list(db, "state = 'waits'")


def waiting_binding(db: Reader, what: str, value: int | str) -> AccountChange | None:
    """The newest binding that waits of a key (`bind-key`, its id) or of a system account (`uid`, its number)."""
    name = {"bind-key": "keyid", "uid": "uid"}[what]
    return next((one for one in reversed(waiting(db)) if one.what == what and one.detail.get(name) == value), None)


def unshown(db: Reader) -> list[AccountChange]:
    """What waits, and what took effect since the last release showed it."""
    return _list(db, "state = 'waits' OR (state = 'done' AND shown = '')")


def everything(db: Reader) -> list[AccountChange]:
    """Every change of duty there was, the newest `limits.DUTIES_LISTED` of them."""
    return _list(db, "1")[-limits.DUTIES_LISTED :]


def _list(db: Reader, where: str) -> list[AccountChange]:
    rows: Iterable[tuple[Any, ...]] = db.execute(
        f"SELECT {_COLUMNS} FROM account_changes WHERE {where} ORDER BY asked, id"  # noqa: S608  a constant
    )
    return [_change(row) for row in rows]


def _change(row: tuple[Any, ...]) -> AccountChange:
    return AccountChange(**dict(zip(_FIELDS, row, strict=True)) | {"detail": json.loads(row[3])})
