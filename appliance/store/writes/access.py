"""The transactions of access: accounts, their roles, passwords and keys (tokens: appliance.store.writes.tokens).

Whatever takes something away bumps the epoch, so that every worker forgets its verdicts and tokens at once, and the
account's generation, so that tokens made before are void.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from appliance.permissions import PERSONS, check_pattern, check_role, clash, is_guarded
from appliance.store.ports import Connection
from appliance.store.reads import credentials
from appliance.store.reads.accounts import check_full_name
from appliance.store.writes.logins import ForgetFailures
from appliance.store.writes.write import Write
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.people import is_same


def account_kind(db: Connection, name: str) -> str:
    """The kind of an account. Raises NotFoundError."""
    row = db.execute("SELECT kind FROM accounts WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFoundError("no such account", thing=name, remedy="see: lockgate user list")
    return str(row[0])


def _void(db: Connection, account: str) -> None:
    """Everything decided about the account so far is void, on every worker, from its next request on."""
    db.execute("UPDATE accounts SET generation = generation + 1 WHERE name = ?", (account,))
    bump(db)


def bump(db: Connection) -> None:
    """Everything decided about anybody is to be decided again."""
    db.execute("UPDATE epoch SET value = value + 1")


def _keep_an_administrator(db: Connection) -> None:
    row = db.execute(
        "SELECT 1 FROM accounts a JOIN grants g ON g.account = a.name"
        " WHERE g.role = 'administrator' AND a.disabled IS NULL LIMIT 1"
    ).fetchone()
    if row is None:
        raise RefusedError("the station would have no administrator", remedy="make another account administrator first")


def suspend_credential(db: Connection, account: str, what: str, thing: str, at: str) -> None:
    """A password, uid or key of an account is no longer in force, and what was made with it is void. `what` and
    `thing` as in the table of credentials."""
    if what == "password":
        db.execute("UPDATE accounts SET password = NULL WHERE name = ?", (account,))
    elif what == "uid":
        db.execute("UPDATE accounts SET uid = NULL WHERE name = ?", (account,))
    else:
        db.execute("DELETE FROM account_keys WHERE keyid = ? AND account = ?", (thing, account))
    credentials.forget(db, account, what, thing)
    RevokeTokens(account=account, at=at).apply(db)


class CreateAccount(Write, frozen=True):
    """A new account, without roles. `password` is an argon2id hash, None for robots. `by`: who made it, "" where that
    is not known; so in each write that sets a credential. Raises UsageError."""

    name: str
    kind: Literal["person", "robot"]
    full_name: str
    at: str
    password: str | None = None
    uid: int | None = None
    by: str = ""

    def apply(self, db: Connection) -> None:
        if db.execute("SELECT 1 FROM accounts WHERE name = ?", (self.name,)).fetchone() is not None:
            raise UsageError("the account exists", thing=self.name, remedy="choose another name: names are not reused")
        _looks_like_no_other(db, self.name, check_full_name(self.full_name), self.kind)
        _uid_is_free(db, self.uid)
        db.execute(
            "INSERT INTO accounts (name, kind, full_name, password, uid, generation, created)"
            " VALUES (?, ?, ?, ?, ?, 1, ?)",
            (self.name, self.kind, self.full_name, self.password, self.uid, self.at),
        )
        if self.password is not None:
            credentials.note(db, self.name, "password", "", self.by, self.at)
        if self.uid is not None:
            credentials.note(db, self.name, "uid", str(self.uid), self.by, self.at)


def _looks_like_no_other(db: Connection, name: str, full_name: str, kind: str) -> None:
    """Approvals count two names that look alike as one person's, and so does whoever reads them. What robots are for
    may be the same."""
    for other, full, other_kind in db.execute("SELECT name, full_name, kind FROM accounts"):
        if is_same(name, other):
            raise UsageError(
                "an account's name looks like it", thing=f"{name} and {other}", remedy="choose another name"
            )
        people = [one for one in ((full_name, kind), (full, other_kind)) if one[0] and one[1] == "person"]
        if not people:
            continue
        if (full_name and is_same(full_name, other)) or (full and is_same(full, name)):
            raise UsageError(
                "a full name looks like another account's name", thing=f"{name} and {other}",
                remedy="choose another name",
            )  # fmt: skip
        if full_name and full and is_same(full_name, full):
            raise UsageError(
                "another account's full name looks like it", thing=f"{name} and {other}",
                remedy="write a full name that tells them apart",
            )  # fmt: skip


def _uid_is_free(db: Connection, uid: int | None) -> None:
    row = db.execute("SELECT name FROM accounts WHERE uid = ?", (uid,)).fetchone()
    if row is not None:
        raise UsageError(
            "the system account is another's",
            thing=f"uid {uid} is {row[0]}",
            remedy=f"unbind it first: lockgate user bind {row[0]}",
        )


class FirstAdministrator(Write, frozen=True):
    """The first account, an administrator; made once. Raises RefusedError where there is an administrator."""

    name: str
    full_name: str
    password: str
    uid: int | None
    at: str

    def apply(self, db: Connection) -> None:
        if db.execute("SELECT 1 FROM grants WHERE role = 'administrator' LIMIT 1").fetchone() is not None:
            raise RefusedError(
                "the station has an administrator", remedy="they make further accounts: lockgate user create NAME"
            )
        CreateAccount(
            name=self.name, kind="person", full_name=self.full_name, at=self.at, password=self.password, uid=self.uid,
            by=self.name,
        ).apply(db)  # fmt: skip
        GrantRole(account=self.name, role="administrator").apply(db)


class SetPassword(Write, frozen=True):
    """Another password; what was made with the old one is void, a lock is gone."""

    account: str
    password: str
    at: str
    by: str = ""

    def apply(self, db: Connection) -> None:
        if account_kind(db, self.account) != "person":
            raise UsageError(
                "a robot has no password", thing=self.account, remedy=f"use: lockgate token rotate {self.account}"
            )
        credentials.refuse_directory(db, self.account)
        credentials.note(db, self.account, "password", "", self.by, self.at)
        db.execute("UPDATE accounts SET password = ? WHERE name = ?", (self.password, self.account))
        RevokeTokens(account=self.account, at=self.at).apply(db)
        ForgetFailures(name=self.account).apply(db)


class BindUid(Write, frozen=True):
    """The system account that calls for this account through the Unix socket; None unbinds."""

    account: str
    uid: int | None
    at: str = ""
    by: str = ""

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        if self.uid is None:
            credentials.forget(db, self.account, "uid")
        else:
            credentials.refuse_directory(db, self.account)
            credentials.note(db, self.account, "uid", str(self.uid), self.by, self.at)
        db.execute("UPDATE accounts SET uid = NULL WHERE name = ?", (self.account,))
        _uid_is_free(db, self.uid)
        db.execute("UPDATE accounts SET uid = ? WHERE name = ?", (self.uid, self.account))
        _void(db, self.account)


class DisableAccount(Write, frozen=True):
    """The account may do nothing from now on. Raises RefusedError for the last administrator."""

    account: str
    at: str

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        db.execute("UPDATE accounts SET disabled = ? WHERE name = ? AND disabled IS NULL", (self.at, self.account))
        held = db.execute("SELECT 1 FROM grants WHERE account = ? AND role = 'administrator'", (self.account,))
        if held.fetchone() is not None:
            _keep_an_administrator(db)
        RevokeTokens(account=self.account, at=self.at).apply(db)


class EnableAccount(Write, frozen=True):
    """The account may log in again; a lock is gone."""

    account: str

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        db.execute("UPDATE accounts SET disabled = NULL WHERE name = ?", (self.account,))
        ForgetFailures(name=self.account).apply(db)
        _void(db, self.account)


class GrantRole(Write, frozen=True):
    """A role on a pattern. Raises RefusedError where it clashes with a role the account holds."""

    account: str
    role: str
    pattern: str = "**"

    def apply(self, db: Connection) -> None:
        kind = account_kind(db, self.account)
        role = check_role(self.role)
        if is_guarded(role) and credentials.is_of_directory(db, self.account):
            raise RefusedError(
                "no account of the directory decides, trusts or looks after accounts", thing=f"{self.account}: {role}",
                remedy="make an account of this station for the person: lockgate user create NAME",
            )  # fmt: skip
        if kind == "robot" and role in PERSONS:
            raise RefusedError(f"{role} is a person's role", thing=self.account, remedy="give it to a person")
        held = [check_role(row[0]) for row in db.execute("SELECT role FROM grants WHERE account = ?", (self.account,))]
        pair = clash([*held, role])
        if pair is not None:
            raise RefusedError(
                f"separation of duties: nobody is {pair[0]} and {pair[1]}",
                thing=self.account,
                remedy="give the role to another account",
            )
        db.execute(
            "INSERT INTO grants (account, role, pattern) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (self.account, role, check_pattern(self.pattern)),
        )
        bump(db)


class WithdrawRole(Write, frozen=True):
    """A role on a pattern goes; on every pattern where it is "". Raises NotFoundError where it was not held."""

    account: str
    role: str
    pattern: str = ""

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        gone = db.execute(
            "DELETE FROM grants WHERE account = ? AND role = ? AND (? = '' OR pattern = ?)",
            (self.account, check_role(self.role), self.pattern, self.pattern),
        ).rowcount
        if not gone:
            raise NotFoundError(
                "the account does not hold the role",
                thing=f"{self.account}: {self.role}",
                remedy=f"see: lockgate user show {self.account}",
            )
        if self.role == "administrator":
            _keep_an_administrator(db)
        bump(db)


class BindKey(Write, frozen=True):
    """A key's approvals are this person's. Raises UsageError where the key is another's."""

    account: str
    keyid: str
    at: str
    by: str = ""

    def apply(self, db: Connection) -> None:
        if account_kind(db, self.account) != "person":
            raise RefusedError("a key stands for a person", thing=self.account, remedy="bind it to a person's account")
        row = db.execute("SELECT account FROM account_keys WHERE keyid = ?", (self.keyid,)).fetchone()
        if row is not None and row[0] != self.account:
            raise UsageError(
                "the key is another's", thing=f"{self.keyid} is {row[0]}'s",
                remedy=f"unbind it first: lockgate user unbind-key {row[0]} {self.keyid}",
            )  # fmt: skip
        if row is None:
            credentials.note(db, self.account, "bind-key", self.keyid, self.by, self.at)
        db.execute(
            "INSERT INTO account_keys (keyid, account, bound) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (self.keyid, self.account, self.at),
        )
        bump(db)


class UnbindKey(Write, frozen=True):
    """The key stands for nobody. Raises NotFoundError where it did not stand for the account."""

    account: str
    keyid: str

    def apply(self, db: Connection) -> None:
        gone = db.execute(
            "DELETE FROM account_keys WHERE keyid = ? AND account = ?", (self.keyid, self.account)
        ).rowcount
        if not gone:
            raise NotFoundError(
                "the key is not the account's",
                thing=f"{self.account}: {self.keyid}",
                remedy=f"see: lockgate user show {self.account}",
            )
        credentials.forget(db, self.account, "bind-key", self.keyid)
        bump(db)


class RevokeTokens(Write, frozen=True):
    """Every token the account has got is void now; a robot's secrets stay."""

    account: str
    at: str

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        db.execute(
            "UPDATE refresh_tokens SET revoked = ? WHERE account = ? AND revoked IS NULL", (self.at, self.account)
        )
        _void(db, self.account)


class Seen(Write, frozen=True):
    """The account proved itself."""

    unrecorded: ClassVar[str] = "a time that is shown"
    account: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO accounts_seen (account, at) VALUES (?, ?)"
            " ON CONFLICT (account) DO UPDATE SET at = excluded.at",
            (self.account, self.at),
        )
