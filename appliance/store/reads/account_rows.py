"""Accounts as their rows have them, to be held against the audit log (appliance.release_check.changed_accounts)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from appliance.store.ports import Reader
from appliance.store.reads.accounts import mark_of

_ACCOUNTS = "SELECT name, kind, disabled, password, uid FROM accounts"


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A change of duty that waits: what it changes, and how, as its row says. `change` is the write, as JSON."""

    id: str
    what: str
    change: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with everything that lets somebody act as it. `password` is `mark_of` its record, "" without one;
    `uid` is "" without one; `directory`: the directory tells who it is. `secrets`: of each that is not revoked,
    `mark_of` its record and until when it is good."""

    name: str
    kind: str
    disabled: bool
    password: str
    uid: str
    keys: frozenset[str]
    grants: frozenset[tuple[str, str]]
    secrets: dict[str, tuple[str, str]]
    waits: tuple[WaitingRow, ...]
    directory: bool = False

    def seal(self) -> str:
        """A digest of all of it: what was once found to be right is right while this is the same."""
        said: list[Any] = [
            self.name, self.kind, self.disabled, self.password, self.uid, sorted(self.keys), sorted(self.grants),
            self.directory, sorted(self.secrets.items()), [[one.id, one.what, one.change] for one in self.waits],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def account_row(db: Reader, name: str) -> AccountRow | None:
    """One account; None where there is none."""
    row = db.execute(f"{_ACCOUNTS} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _row(db, row)


def account_rows(db: Reader) -> Iterator[AccountRow]:
    """Every account, by name."""
    for row in db.execute(f"{_ACCOUNTS} ORDER BY name").fetchall():
        yield _row(db, row)


def _row(db: Reader, row: tuple[Any, ...]) -> AccountRow:
    name, kind, disabled, password, uid = row
    keys = db.execute("SELECT keyid FROM account_keys WHERE account = ?", (name,))
    grants = db.execute("SELECT role, pattern FROM grants WHERE account = ?", (name,))
    secrets = db.execute("SELECT id, hash, expires FROM robot_secrets WHERE account = ? AND revoked IS NULL", (name,))
    directory = db.execute("SELECT 1 FROM directory_accounts WHERE account = ?", (name,)).fetchone()
    waits = db.execute(
        "SELECT id, what, change FROM account_changes WHERE account = ? AND state = 'waits' ORDER BY id", (name,)
    )
    return AccountRow(
        name=str(name), kind=str(kind), disabled=disabled is not None, password=mark_of(password) if password else "",
        uid="" if uid is None else str(uid), keys=frozenset(str(keyid) for (keyid,) in keys),
        grants=frozenset((str(role), str(pattern)) for role, pattern in grants),
        secrets={str(one): (mark_of(stored), str(expires)) for one, stored, expires in secrets},
        waits=tuple(WaitingRow(str(one), str(what), str(change)) for one, what, change in waits),
        directory=directory is not None,
    )  # fmt: skip
