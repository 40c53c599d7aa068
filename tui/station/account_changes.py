"""Changes of accounts that take two persons (docs/adr/0015-duties.md), as the control API tells them."""

from __future__ import annotations

import msgspec


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential of the account that a grant is for, who set it and when. `foreign`: another than the person, and
    nobody confirmed it."""

    what: str
    thing: str = ""
    set_by: str | None = None
    at: str | None = None
    under: str | None = None
    foreign: bool = False


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """An item of GET /v1/account-changes. `due`: when it takes effect by itself, None where a second administrator
    could confirm it; `expires`: when it is over. Both are None once it waits no more. `confirmers`: who may confirm it,
    by name; `then`: in the answer to a confirmation, what waits because of it."""

    id: str
    account: str
    what: str
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
    then: tuple[AccountChange, ...] = ()

    @property
    def waits(self) -> bool:
        return self.state == "waits"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What POST to an account answers: `waits` is there where the change waits."""

    waits: AccountChange | None = None
