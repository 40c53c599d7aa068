"""Who set the credentials of an account, and when (docs/adr/0024-credentials-before-a-grant.md).

A credential is a password, a bound uid, a bound key or a robot's secret. One that another than the account's own
person set, and that no second person confirmed, is *foreign*. Every function takes a connection, a reader's or the
writer's. Times are UTC text.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store.ports import Reader
from bundles.errors import UsageError


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that is in force. `set_by` is "" where that is not known; see the table for the other fields."""

    account: str
    what: str
    thing: str
    set_by: str
    at: str
    under: str = ""
    confirmed_by: str = ""

    @property
    def is_foreign(self) -> bool:
        """Whether another than the person set it, and nobody confirmed it. A robot's secret is never its own."""
        return self.what != "secret" and self.set_by != self.account and not self.confirmed_by


def of_account(db: Reader, account: str) -> list[Credential]:
    """Every credential of an account that is in force, those from before this was kept without who set them."""
    row = db.execute("SELECT password IS NOT NULL, uid, created FROM accounts WHERE name = ?", (account,)).fetchone()
    if row is None:
        return []
    keys = db.execute("SELECT keyid, bound FROM account_keys WHERE account = ? ORDER BY keyid", (account,))
    secrets = db.execute(
        "SELECT id, created FROM robot_secrets WHERE account = ? AND revoked IS NULL ORDER BY created, id", (account,)
    )
    held = [("password", "", str(row[2]))] if row[0] else []
    held += [("uid", str(row[1]), str(row[2]))] if row[1] is not None else []
    held += [("bind-key", keyid, at) for keyid, at in keys] + [("secret", name, at) for name, at in secrets]
    known = {
        (found[1], found[2]): Credential(*found)
        for found in db.execute(
            "SELECT account, what, thing, set_by, at, under, confirmed_by FROM credentials WHERE account = ?",
            (account,),
        )
    }
    return [known.get((what, thing), Credential(account, what, thing, "", at)) for what, thing, at in held]


def foreign(db: Reader, account: str) -> list[Credential]:
    """The foreign credentials of an account."""
    return [one for one in of_account(db, account) if one.is_foreign]


def note(db: Reader, account: str, what: str, thing: str, set_by: str, at: str) -> None:
    """Write down who set a credential. Called before it is in force, so that what the person was logged in with is
    still there; what it takes the place of is forgotten."""
    others = foreign(db, account) if set_by == account else []
    under = (others[0].set_by or "somebody unknown") if others else ""
    if what in ("password", "uid"):
        db.execute("DELETE FROM credentials WHERE account = ? AND what = ?", (account, what))
    db.execute(
        "INSERT INTO credentials (account, what, thing, set_by, at, under) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (account, what, thing) DO UPDATE SET set_by = excluded.set_by, at = excluded.at,"
        " under = excluded.under, confirmed_by = excluded.confirmed_by",
        (account, what, thing, set_by, at, under),
    )


def forget(db: Reader, account: str, what: str, thing: str = "") -> None:
    """A credential is gone; every one of its kind where `thing` is ""."""
    db.execute(
        "DELETE FROM credentials WHERE account = ?1 AND what = ?2 AND (?3 = '' OR thing = ?3)", (account, what, thing)
    )


def confirm(db: Reader, account: str, what: str, thing: str, by: str) -> None:
    """A second person, or the delay, confirmed a credential."""
    db.execute(
        "UPDATE credentials SET confirmed_by = ? WHERE account = ? AND what = ? AND thing = ?",
        (by, account, what, thing),
    )


def is_of_directory(db: Reader, account: str) -> bool:
    """Whether the directory tells who the account is."""
    return db.execute("SELECT 1 FROM directory_accounts WHERE account = ?", (account,)).fetchone() is not None


def refuse_directory(db: Reader, account: str) -> None:
    """No password or system account of this station stands for a person of the directory. Raises UsageError."""
    if is_of_directory(db, account):
        raise UsageError(
            "the directory tells who this account is", thing=account,
            remedy="change the password there; to shut it out here: lockgate user disable " + account,
        )  # fmt: skip
