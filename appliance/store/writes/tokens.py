"""The transactions of tokens: robots' secrets, and what log-ins gave to renew their tokens with."""

from __future__ import annotations

from typing import ClassVar

from appliance.store.ports import Connection
from appliance.store.reads import credentials
from appliance.store.writes.access import account_kind, bump
from appliance.store.writes.write import Write
from bundles.errors import NotFoundError, UsageError


class AddSecret(Write, frozen=True):
    """A robot's further secret; the ones before stay good until `old_until` at most ("" leaves them as they are), or
    the one that it `renews` alone."""

    account: str
    id: str
    hash: str
    expires: str
    at: str
    old_until: str = ""
    by: str = ""
    renews: str = ""

    def apply(self, db: Connection) -> None:
        if account_kind(db, self.account) != "robot":
            raise UsageError(
                "a person has a password", thing=self.account, remedy=f"use: lockgate user password {self.account}"
            )
        credentials.note(db, self.account, "secret", self.id, self.by, self.at)
        if self.old_until:
            db.execute(
                "UPDATE robot_secrets SET expires = min(expires, ?1) WHERE account = ?2 AND revoked IS NULL"
                " AND (?3 = '' OR id = ?3)",
                (self.old_until, self.account, self.renews),
            )
        db.execute(
            "INSERT INTO robot_secrets (id, account, hash, created, expires) VALUES (?, ?, ?, ?, ?)",
            (self.id, self.account, self.hash, self.at, self.expires),
        )
        bump(db)


class AddRefresh(Write, frozen=True):
    """What a log-in gave to renew its tokens with. `client` is what the client calls itself."""

    unrecorded: ClassVar[str] = "the log-in, as token.login, before the secret is handed out"
    id: str
    family: str
    account: str
    client: str
    hash: str
    expires: str
    at: str

    def apply(self, db: Connection) -> None:
        account_kind(db, self.account)
        db.execute("DELETE FROM refresh_tokens WHERE expires < ?", (self.at,))
        db.execute(
            "INSERT INTO refresh_tokens (id, family, account, client, hash, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.id, self.family, self.account, self.client, self.hash, self.at, self.expires),
        )


class RotateRefresh(Write, frozen=True):
    """A refresh token is given for another one, once (RFC 9700, section 4.14.2).

    The result is False where it had been given before: then somebody has a copy, and the whole family is revoked.
    """

    unrecorded: ClassVar[str] = "the same log-in under a new secret"
    old: str
    id: str
    hash: str
    at: str

    def apply(self, db: Connection) -> bool:
        row = db.execute(
            "SELECT family, account, client, expires, used FROM refresh_tokens WHERE id = ? AND revoked IS NULL",
            (self.old,),
        ).fetchone()
        if row is None:
            return False
        family, account, client, expires, used = row
        if used is not None:
            db.execute("UPDATE refresh_tokens SET revoked = ? WHERE family = ?", (self.at, family))
            bump(db)
            return False
        db.execute("UPDATE refresh_tokens SET used = ? WHERE id = ?", (self.at, self.old))
        db.execute(
            "INSERT INTO refresh_tokens (id, family, account, client, hash, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self.id, family, account, client, self.hash, self.at, expires),
        )
        return True


class RevokeToken(Write, frozen=True):
    """A robot's secret, or a log-in with all it gave, is void now. Raises NotFoundError."""

    id: str
    at: str

    def apply(self, db: Connection) -> None:
        gone = db.execute(
            "UPDATE refresh_tokens SET revoked = coalesce(revoked, ?) WHERE family = ?", (self.at, self.id)
        ).rowcount
        gone += db.execute(
            "UPDATE robot_secrets SET revoked = coalesce(revoked, ?) WHERE id = ?", (self.at, self.id)
        ).rowcount
        if not gone:
            raise NotFoundError("no such token", thing=self.id, remedy="see: lockgate token list ACCOUNT")
        bump(db)
