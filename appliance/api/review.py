"""The access review: who may do what, since when, last seen when; and what the station lets in from where."""

from __future__ import annotations

from appliance.api.common import Shape


class ReviewedRole(Shape, frozen=True, kw_only=True):
    """A role of an account. `since` is when it was given by the audit log, None where that is from before its record
    of accounts began (docs/adr/0043-accounts-by-the-log.md)."""

    role: str
    pattern: str
    since: str | None = None


class ReviewedSecret(Shape, frozen=True, kw_only=True):
    """A robot's secret that is not revoked, and when it ends."""

    id: str
    created: str
    expires: str


class ReviewedAccount(Shape, frozen=True, kw_only=True):
    """An item of GET /v1/access-review. `origin` as in GET /v1/accounts/{name}; `seen` is None for an account that
    never proved itself; `disabled` since when.

    `concerns` are codes of what a reviewer should look at (docs/reference/control-api.md, Access review).
    """

    name: str
    kind: str
    full_name: str = ""
    origin: str = "local"
    created: str
    seen: str | None = None
    disabled: str | None = None
    roles: tuple[ReviewedRole, ...] = ()
    keys: tuple[str, ...] = ()
    uid: int | None = None
    secrets: tuple[ReviewedSecret, ...] = ()
    concerns: tuple[str, ...] = ()


class Exposed(Shape, frozen=True, kw_only=True):
    """A way in that config.toml opens: its code, and the setting's value or pattern."""

    code: str
    thing: str


class Exposure(Shape, frozen=True, kw_only=True):
    """GET /v1/access-review/exposure, at a time in UTC."""

    site: str
    at: str
    exposed: tuple[Exposed, ...] = ()
