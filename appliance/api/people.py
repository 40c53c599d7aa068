"""Accounts, their roles and credentials, changes that take two persons, and sessions."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from appliance.api.common import Shape


class HeldRole(Shape, frozen=True, kw_only=True):
    """A role on the repositories that a pattern covers."""

    role: str
    pattern: str = "**"


class Who(Shape, frozen=True, kw_only=True):
    """GET /v1/session: who the caller is to the station. `denied` names the permissions that this account does not
    have, each with the reason; `keys` are those that stand for it; a session ends after `idle_seconds` without a
    request; on an `open` station nobody logs in. `session` is in the answer to a log-in alone: its bearer token."""

    account: str
    kind: str = "person"
    roles: tuple[HeldRole, ...] = ()
    permissions: tuple[str, ...] = ()
    denied: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    idle_seconds: int = 0
    open: bool = False
    session: str | UnsetType = UNSET


class Credential(Shape, frozen=True, kw_only=True):
    """A credential of an account, who set it and when. `foreign`: another than the person set it, and nobody confirmed
    it; `under` is the credential that its setter was logged in with."""

    what: str
    thing: str = ""
    set_by: str | None = None
    at: str | None = None
    under: str | None = None
    confirmed_by: str | None = None
    foreign: bool = False


class AccountChange(Shape, frozen=True, kw_only=True):
    """An item of GET /v1/account-changes. `due`: when it takes effect by itself, None where a second administrator
    could confirm it; `expires`: when it is over. Both are None once it waits no more. `confirmers`: who may confirm it,
    by name, None where the accounts cannot be named; `shown`: the release that showed it. `then` is in the answer to a
    confirmation alone: what waits because of it."""

    id: str
    account: str
    what: str
    detail: dict[str, Any] = {}
    text: str
    state: str
    asked_by: str
    asked: str
    decided_by: str = ""
    decided: str | None = None
    how: str = ""
    why: str = ""
    due: str | None = None
    expires: str | None = None
    shown: str = ""
    confirmers: tuple[str, ...] | None = None
    credentials: tuple[Credential, ...] = ()
    then: tuple[AccountChange, ...] | UnsetType = UNSET

    @property
    def waits(self) -> bool:
        return self.state == "waits"


class Account(Shape, frozen=True, kw_only=True):
    """GET /v1/accounts/{name}. Times are UTC text, None where there is none. `origin`: by what it proves itself,
    `directory`, `local` (a password or a secret of this station) or `workload NAME` (tokens of that issuer in
    config.toml), a comma between several. `waits` is in the answer to a change alone, where it waits for a second
    person."""

    name: str
    kind: str
    full_name: str = ""
    origin: str = "local"
    roles: tuple[HeldRole, ...] = ()
    keys: tuple[str, ...] = ()
    uid: int | None = None
    disabled: str | None = None
    locked_until: str | None = None
    created: str = ""
    seen: str | None = None
    credentials: tuple[Credential, ...] = ()
    waits: AccountChange | UnsetType = UNSET


class Asked(Shape, frozen=True, kw_only=True):
    """What every change of an account answers: `waits` is there where the change waits."""

    name: str = ""
    waits: AccountChange | UnsetType = UNSET


class GivenSecret(Shape, frozen=True, kw_only=True):
    """A robot's new secret: in this answer, and nowhere else."""

    name: str
    secret: str
    secret_id: str = ""
    expires: str


class RenewedSecret(Shape, frozen=True, kw_only=True):
    """POST /v1/session/secret: a robot's new secret, in this answer and nowhere else; "" while the one that it logged
    in with is not to be renewed yet. `expires` is when the one ends that the robot is to use from now on, `due` from
    when on that one can be renewed; `old_until` is when the one before ends, "" where there is no new one."""

    name: str
    secret: str = ""
    secret_id: str = ""
    expires: str
    due: str
    old_until: str = ""


class Explained(Shape, frozen=True, kw_only=True):
    """Whether an account has a permission, and why."""

    permission: str
    allowed: bool
    why: str


class Explanation(Shape, frozen=True, kw_only=True):
    """GET /v1/accounts/{name}/explain: what an account may do in a repository."""

    account: str
    repository: str
    items: tuple[Explained, ...]


class Token(Shape, frozen=True, kw_only=True):
    """A robot's secret (`kind` is `secret`) or a person's log-in at a registry client (`log-in`)."""

    id: str
    kind: str
    client: str
    created: str
    expires: str
    state: str


class TokenId(Shape, frozen=True, kw_only=True):
    """POST /v1/tokens/{id}/revoke."""

    id: str
