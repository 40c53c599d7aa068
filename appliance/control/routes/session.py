"""/v1/session: log in as a person, see who one is, log out."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET, UnsetType

from appliance.api.common import Empty
from appliance.api.people import HeldRole, Who
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.control.api import Control, account, answer, anybody, caller, delete, get
from appliance.control.callers import peer_uid, system_name
from appliance.control.duties import note_officer
from appliance.control.request_fields import body_of
from appliance.permissions import PERMISSIONS, Caller, who_may
from bundles.errors import LockgateError, RefusedError, UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def log_in(request: web.Request) -> web.Response:
        body = await body_of(request)
        if control.station.config.open:
            raise UsageError(
                "an open station has no accounts: nobody logs in", thing=control.station.config.site,
                remedy="call as its owner; for accounts stop it, and close it with: lockgate close",
            )  # fmt: skip
        name, password, kind = body.text("account"), body.text("password"), body.text("kind", "person")
        actor = system_name(peer_uid(request))
        try:
            known = await control.identity.identify(name, password, f"uid {peer_uid(request)}")
            if known is None or known.account.kind != kind:
                what = "secret" if kind == "robot" else "password"
                raise RefusedError(f"wrong name or {what}", thing=name[:64], remedy="try again")
        except LockgateError as error:
            await control.record(refusal(Act.SESSION_LOGIN, actor, name[:64], error, origin=actor))
            raise
        await control.record(AuditEvent(Act.SESSION_LOGIN, name, name, "done", {"by": actor}))
        await note_officer(control, known.account.caller())
        return answer(describe(control, known.account.caller(), control.callers.log_in(known)))

    async def show(request: web.Request) -> web.Response:
        return answer(describe(control, account(request)))

    async def log_out(request: web.Request) -> web.Response:
        await control.record(AuditEvent(Act.SESSION_LOGOUT, caller(request), caller(request)))
        control.callers.log_out(request)
        return answer(Empty())

    return [
        anybody("POST", "/v1/session", log_in),
        get("/v1/session", "status", show),
        delete("/v1/session", "status", log_out),
    ]


def describe(control: Control, who: Caller, session: str | UnsetType = UNSET) -> Who:
    """The caller, what they hold, what they may, and why not the rest; seconds after which a silent session ends."""
    decided = {permission: control.rules.decide(who, permission) for permission in PERMISSIONS}
    return Who(
        account=who.name,
        kind=who.kind,
        roles=tuple(HeldRole(role=grant.role, pattern=grant.pattern) for grant in who.grants),
        permissions=tuple(permission for permission, decision in decided.items() if decision),
        denied={
            permission: f"{decision.why}; {who_may(permission)}"
            for permission, decision in decided.items()
            if not decision
        },
        keys=tuple(control.accounts.keys_of(who.name)),
        idle_seconds=control.station.config.access.session_minutes * 60,
        open=control.station.config.open,
        session=session,
    )
