"""Accounts as they stand in the station's database, read on a connection that cannot write."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

from appliance.permissions import Caller, Grant, check_role
from appliance.store.ports import Reader
from bundles.errors import NotFoundError, UsageError
from bundles.people import is_unseen

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_FULL_NAME_MOST: Final = 200
ROBOT: Final = "robot-"
"""What robots' names begin with. The kind stands in the name, so that a refusal does the same work for a name that
does not exist as for one that does."""

RESERVED: Final = frozenset({"anonymous", "token", "oauth2", "root", "workload", "directory"})
"""Names that mean something else: to clients, and as who did it in the audit log."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account. `password` is an argon2id hash; `disabled` the time since when; `generation` see Caller."""

    name: str
    kind: Literal["person", "robot"]
    full_name: str
    password: str | None
    uid: int | None
    disabled: str | None
    generation: int
    created: str
    grants: tuple[Grant, ...]

    def caller(self, address: str = "") -> Caller:
        """The account as it calls from an address."""
        return Caller(self.name, self.kind, self.grants, self.uid, address, self.generation)


@dataclass(frozen=True, slots=True)
class Secret:
    """A robot's secret: its argon2id hash, and until when it is good."""

    id: str
    account: str
    hash: str
    created: str
    expires: str
    revoked: str | None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token. `hash` authenticates its secret half and its fields (appliance.access.token_endpoint); `used`:
    it was given for another one."""

    id: str
    family: str
    account: str
    client: str
    hash: str
    created: str
    expires: str
    used: str | None
    revoked: str | None


def mark_of(stored: str) -> str:
    """What the audit log says of a password's or secret's argon2id record: its sha256, hex. The record's 128 bits of
    salt are in the database alone, so that nobody tries passwords against this (docs/adr/0043-accounts-by-the-log.md).
    """
    return hashlib.sha256(stored.encode()).hexdigest()


def check_name(text: str, *, robot: bool = False) -> str:
    """An account's name. Raises UsageError."""
    if not robot and text.startswith(ROBOT) and _NAME.match(text):
        raise UsageError(
            "this is a robot's name",
            thing=text,
            remedy=f"choose another one, or make a robot: lockgate token create {text}",
        )
    if not _NAME.match(text) or text in RESERVED or text.startswith(ROBOT) is not robot:
        form = f"{ROBOT}NAME" if robot else f"1 to 64 of a-z, 0-9, '.', '_' and '-', and not {ROBOT}…"
        raise UsageError("not a name for an account", thing=repr(text)[:80], remedy=f"write {form}")
    return text


def check_full_name(text: str) -> str:
    """A person's name, or what a robot is for, without the blanks around it. Raises UsageError for one that is not
    printable, or that holds what nobody sees (`bundles.people.is_unseen`)."""
    text = text.strip(" ")
    if len(text) > _FULL_NAME_MOST or not text.isprintable():
        raise UsageError(
            f"a name has at most {_FULL_NAME_MOST} printable characters",
            thing=ascii(text)[:60],
            remedy="give a shorter one",
        )
    unseen = next((letter for letter in text if is_unseen(letter)), None)
    if unseen is not None:
        raise UsageError(
            "a name holds a character that nobody sees",
            thing=f"U+{ord(unseen):04X} in {ascii(text)[:60]}",
            remedy="type it anew, without what was pasted",
        )
    return text


class Accounts:
    """Point reads, and short lists, of one thread's connection."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader.execute

    def find(self, name: str) -> Account | None:
        """The account of that name, disabled or not."""
        row = self._read(
            "SELECT name, kind, full_name, password, uid, disabled, generation, created FROM accounts WHERE name = ?",
            (name,),
        ).fetchone()
        return None if row is None else Account(*(*row, self._grants(name)))

    def get(self, name: str) -> Account:
        """As `find`. Raises NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError("no such account", thing=name, remedy="see: lockgate user list")
        return found

    def waiting_uid(self, uid: int) -> tuple[str, str] | None:
        """The id and the account of the newest binding of a system account that waits to be confirmed, or None."""
        row = self._read(
            "SELECT id, account FROM account_changes WHERE state = 'waits' AND what = 'uid'"
            " AND CAST(json_extract(detail, '$.uid') AS BIGINT) = ? ORDER BY asked DESC, id DESC LIMIT 1",
            (uid,),
        ).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def of_uid(self, uid: int) -> Account | None:
        """The account that a system account stands for."""
        row = self._read("SELECT name FROM accounts WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else self.find(row[0])

    def holder_of(self, keyid: str) -> str | None:
        """The person whose approvals a key makes, or None."""
        row = self._read("SELECT account FROM account_keys WHERE keyid = ?", (keyid,)).fetchone()
        return None if row is None else str(row[0])

    def of_directory(self, name: str) -> bool:
        """Whether the directory tells who the account is, and no password of this station."""
        return self._read("SELECT 1 FROM directory_accounts WHERE account = ?", (name,)).fetchone() is not None

    def keys_of(self, name: str) -> list[str]:
        """The ids of a person's keys."""
        return [
            row[0] for row in self._read("SELECT keyid FROM account_keys WHERE account = ? ORDER BY keyid", (name,))
        ]

    def page(self, limit: int, after: str = "", text: str = "") -> list[Account]:
        """Accounts by name, after `after`, whose name or full name contains `text`."""
        rows = self._read(
            "SELECT name FROM accounts WHERE name > ? AND (instr(name, ?) > 0 OR instr(lower(full_name), ?) > 0)"
            " ORDER BY name LIMIT ?",
            (after, text.lower(), text.lower(), limit),
        ).fetchall()
        return [self.get(name) for (name,) in rows]

    def exist(self) -> bool:
        """Whether there is an account at all."""
        return self._read("SELECT 1 FROM accounts LIMIT 1").fetchone() is not None

    def administrator_exists(self) -> bool:
        """Whether somebody who may log in is administrator."""
        row = self._read(
            "SELECT 1 FROM accounts a JOIN grants g ON g.account = a.name"
            " WHERE g.role = 'administrator' AND a.disabled IS NULL LIMIT 1"
        ).fetchone()
        return row is not None

    def secret(self, secret_id: str) -> Secret | None:
        """A robot's secret, good or not."""
        row = self._read(
            "SELECT id, account, hash, created, expires, revoked FROM robot_secrets WHERE id = ?", (secret_id,)
        ).fetchone()
        return None if row is None else Secret(*row)

    def secrets_of(self, name: str) -> list[Secret]:
        """A robot's secrets, the newest first."""
        rows = self._read(
            "SELECT id, account, hash, created, expires, revoked FROM robot_secrets WHERE account = ?"
            " ORDER BY created DESC, id",
            (name,),
        )
        return [Secret(*row) for row in rows]

    def refresh(self, token_id: str) -> Refresh | None:
        """A refresh token, good or not."""
        row = self._read(f"{_REFRESH} WHERE id = ?", (token_id,)).fetchone()
        return None if row is None else Refresh(*row)

    def family_is_good(self, family: str, now: str) -> bool:
        """Whether a log-in is neither revoked nor over."""
        row = self._read(
            "SELECT 1 FROM refresh_tokens WHERE family = ? AND revoked IS NULL AND expires > ? LIMIT 1", (family, now)
        ).fetchone()
        return row is not None

    def logins(self, name: str, now: str) -> list[Refresh]:
        """The log-ins of an account that are good, each by its newest refresh token."""
        rows = self._read(
            f"{_REFRESH} WHERE account = ? AND revoked IS NULL AND used IS NULL AND expires > ? ORDER BY created DESC",
            (name, now),
        )
        return [Refresh(*row) for row in rows]

    def seen(self, name: str) -> str | None:
        """When the account last proved itself, within limits.SEEN_STEP."""
        row = self._read("SELECT at FROM accounts_seen WHERE account = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def locked_until(self, name: str, now: str, origin: str | None = None) -> str | None:
        """Until when a name is locked for an origin (None: for any), whether there is such an account or not."""
        row = self._read(
            "SELECT max(locked_until) FROM failed_logins WHERE name = ?1 AND origin = coalesce(?2, origin)",
            (name, origin),
        ).fetchone()
        return None if row[0] is None or row[0] <= now else str(row[0])

    def _grants(self, name: str) -> tuple[Grant, ...]:
        rows = self._read("SELECT role, pattern FROM grants WHERE account = ? ORDER BY role, pattern", (name,))
        return tuple(Grant(check_role(role), pattern) for role, pattern in rows)


_REFRESH: Final = "SELECT id, family, account, client, hash, created, expires, used, revoked FROM refresh_tokens"
