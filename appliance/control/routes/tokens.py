"""Robots' secrets and people's log-ins: given, listed, taken away."""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Final

from aiohttp import web

from appliance import clock
from appliance.access.identity import MARK
from appliance.access.passwords import hash_secret, new_secret
from appliance.api.common import Page
from appliance.api.people import GivenSecret, RenewedSecret, Token, TokenId
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, caller, get, post
from appliance.control.request_fields import Body, body_of
from appliance.limits import access as limits
from appliance.store.reads.accounts import Secret, mark_of
from appliance.store.writes.tokens import AddSecret, RevokeToken
from bundles.errors import UsageError

_DAY: Final = 24 * 60 * 60
_OVERLAP: Final = 30 * _DAY


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    accounts = control.accounts

    async def rotate(request: web.Request) -> web.Response:
        body = await body_of(request)
        overlap = body.number("overlap_seconds", limits.ROBOT_OVERLAP)
        if not 0 <= overlap <= _OVERLAP:
            raise UsageError("the overlap is 0 to 30 days", thing=f"{overlap} s", remedy="give 0 to 720 hours")
        name = accounts.get(request.match_info["name"]).name
        return await give_secret(control, request, name, days(body), overlap)

    async def tokens(request: web.Request) -> web.Response:
        name, now = accounts.get(request.match_info["name"]).name, clock.now()
        secret = (
            Token(
                id=entry.id, kind="secret", client="", created=entry.created, expires=entry.expires,
                state="revoked" if entry.revoked else "over" if entry.expires <= now else "good",
            )
            for entry in accounts.secrets_of(name)
        )  # fmt: skip
        logged_in = (
            Token(
                id=entry.family, kind="log-in", client=entry.client, created=entry.created, expires=entry.expires,
                state="good",
            )
            for entry in accounts.logins(name, now)
        )  # fmt: skip
        return answer(Page((*secret, *logged_in)))

    async def revoke(request: web.Request) -> web.Response:
        token_id = request.match_info["id"]
        await control.by_log.ensure(control.station)
        write = RevokeToken(id=token_id, at=clock.now())
        await act(control, AuditEvent(Act.TOKEN_REVOKE, caller(request), token_id), write)
        return answer(TokenId(id=token_id))

    async def renew(request: web.Request) -> web.Response:
        old = accounts.secret(control.callers.secret_of(request))
        if old is None:
            raise UsageError(
                "only a robot renews its secret, logged in with it", thing=caller(request),
                remedy="log in as the robot: lockgate user login robot-NAME",
            )  # fmt: skip
        if clock.now() < due(old):
            return answer(RenewedSecret(name=old.account, expires=old.expires, due=due(old)))
        life = math.ceil((clock.seconds(old.expires) - clock.seconds(old.created)) / _DAY)
        made = await new_secret_of(control, request, old.account, life, limits.ROBOT_OVERLAP, renews=old.id)
        fresh = accounts.secret(made.secret_id) or old
        until = (accounts.secret(old.id) or old).expires
        return answer(
            RenewedSecret(
                name=made.name, secret=made.secret, secret_id=made.secret_id, expires=made.expires, due=due(fresh),
                old_until=until,
            )
        )  # fmt: skip

    return [
        post("/v1/session/secret", "status", renew),
        get("/v1/accounts/{name}/tokens", "account", tokens),
        post("/v1/accounts/{name}/secret", "account", rotate),
        post("/v1/tokens/{id}/revoke", "account", revoke),
    ]


async def give_secret(control: Control, request: web.Request, name: str, lasting: int, overlap: int) -> web.Response:
    """A robot's new secret, for `lasting` days; the ones before end after `overlap` seconds. It is in this answer,
    and nowhere else."""
    return answer(await new_secret_of(control, request, name, lasting, overlap))


async def new_secret_of(
    control: Control, request: web.Request, name: str, lasting: int, overlap: int, *, renews: str = ""
) -> GivenSecret:
    """As `give_secret`; only the secret that it `renews` ends where there is one, and the others stay."""
    secret_id = secrets.token_hex(8)
    secret = f"{MARK}{secret_id}_{new_secret()}"
    write = AddSecret(
        account=name, id=secret_id, hash=await asyncio.to_thread(hash_secret, secret), at=clock.now(),
        expires=clock.after(lasting * _DAY), old_until=clock.after(overlap), by=caller(request), renews=renews,
    )  # fmt: skip
    detail = {"id": secret_id, "expires": write.expires, "mark": mark_of(write.hash)}
    detail |= {"renews": renews} if renews else {}
    event = AuditEvent(Act.ACCOUNT_SECRET, caller(request), name, "done", detail)
    await control.by_log.ensure(control.station)
    await act(control, event, write)
    return GivenSecret(name=name, secret=secret, secret_id=secret_id, expires=write.expires)


def due(secret: Secret) -> str:
    """From when on a robot may renew its secret: in the last third of its life. A stolen one is renewed no earlier, and
    ends for its owner then, who hears of it."""
    created, expires = clock.seconds(secret.created), clock.seconds(secret.expires)
    return clock.at(expires - (expires - created) / 3)


def days(body: Body) -> int:
    """How many days a robot's secret is to last. Raises UsageError."""
    usual, most = limits.ROBOT_LIFE
    wanted = body.number("days", usual)
    if not 1 <= wanted <= most:
        raise UsageError(f"a secret lasts 1 to {most} days", thing=str(wanted), remedy="rotate it when it ends")
    return wanted
