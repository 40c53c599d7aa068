"""`/token`: the Docker token protocol, GET and OAuth2 POST (distribution: Token Authentication Specification, Token
Scope Documentation, OAuth2 Token Authentication).

A token is given for what of the scopes the account may have now, be it nothing: a client then hears at the registry
what it lacks, and nobody learns here what exists.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from appliance import clock
from appliance.access.identity import UnexplainedError
from appliance.access.passwords import new_secret, same
from appliance.access.request_gate import TOKEN_PATH, AccountAccess, address_of, ticket_of
from appliance.access.scopes import granted, parse_scopes
from appliance.access.tokens import Claims, new_id, sign
from appliance.access.workload_tokens import Workload
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.limits import access as limits
from appliance.limits import registry as registry_limits
from appliance.mac_key import mac_key
from appliance.permissions import Caller
from appliance.registry.errors import RefusedRequestError, WireError, request_timeout
from appliance.registry.plain_head import PlainFields
from appliance.registry.receiving import InterruptedBodyError, read_small
from appliance.registry.services import Action, Passed
from appliance.store.reads.accounts import Account, Refresh
from appliance.store.writes.tokens import AddRefresh, RotateRefresh
from appliance.store.writes.write import AsyncWriter
from bundles.errors import UsageError

MARK: Final = "lgt_"
"""What a refresh token begins with; then its id, an underscore, and 256 random bits."""

_NO_MAC: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a token. `offline`: with a refresh token beside it."""

    scopes: list[str]
    service: str
    offline: bool
    client: str


@dataclass(frozen=True, slots=True)
class _Login:
    """Who asks, by what session or as which workload, and the refresh token that is handed back."""

    caller: Caller
    session: str = ""
    refresh: str = ""
    expires: str = ""
    workload: Workload | None = None


class TokenEndpoint:
    """Gives tokens to whom the gate recognises."""

    def __init__(self, gate: AccountAccess, writer: AsyncWriter, key: bytes) -> None:
        """`key` authenticates refresh tokens (`refresh_key`)."""
        self._gate, self._writer, self._key = gate, writer, key
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def answer(self, request: web.Request) -> tuple[web.StreamResponse | WireError, list[AuditEvent]]:
        """The answer, and the events that go with it."""
        try:
            if request.method == "GET":
                return await self._get(request)
            if request.method == "POST":
                return await self._post(request)
        except UsageError as error:
            return WireError(400, "UNSUPPORTED", error.what, error.thing), []
        return WireError(405, "UNSUPPORTED", "the operation is unsupported", headers={"Allow": "GET, POST"}), []

    async def _get(self, request: web.Request) -> tuple[web.StreamResponse | WireError, list[AuditEvent]]:
        query = request.query
        asked = _Asked(
            query.getall("scope", []), query.get("service", ""), query.get("offline_token") in ("true", "1"),
            query.get("client_id", ""),
        )  # fmt: skip
        ticket = ticket_of(request)
        if ticket.access is not None:  # a token is no way to another one
            return self._gate.challenge(request, "list", ""), []
        return await self._give(asked, _Login(ticket.caller, ticket.session, workload=ticket.workload))

    async def _post(self, request: web.Request) -> tuple[web.StreamResponse | WireError, list[AuditEvent]]:
        form = await _form(request)
        asked = _Asked(
            [form.get("scope", "")], form.get("service", ""), form.get("access_type") == "offline",
            form.get("client_id", ""),
        )  # fmt: skip
        kind = form.get("grant_type", "")
        if kind == "password":
            known = await self._gate.prove(request, form.get("username", ""), form.get("password", ""))
            if isinstance(known, WireError):
                return known, []
            caller = known.account.caller(address_of(request))
            return await self._give(asked, _Login(caller, known.secret, workload=known.workload))
        if kind == "refresh_token":
            try:
                login = await self._renew(request, form.get("refresh_token", ""), asked.offline)
            except UnexplainedError as error:
                return self._gate.unexplained(request, error), []
            if login is None:
                return self._gate.challenge(request, "list", ""), []
            return await self._give(asked, login)
        raise UsageError("unsupported grant_type", thing=kind[:60], remedy="use password or refresh_token")

    async def _renew(self, request: web.Request, token: str, rotate: bool) -> _Login | None:
        """The log-in that a refresh token stands for; None for one that is not good (any more).

        One that was rotated away and comes again is somebody's copy: the log-in ends for both. Raises UnexplainedError.
        """
        kept, account = self._kept(token)
        if kept is None or account is None:
            return None
        await self._gate.identity.require_explained(account.name)
        caller = account.caller(address_of(request))
        if not rotate and kept.used is None:
            return _Login(caller, kept.family, token, kept.expires)
        fresh_id, fresh = secrets.token_hex(16), new_secret()
        mac = self._mac(fresh, fresh_id, kept.family, kept.account, kept.expires)
        write = RotateRefresh(old=kept.id, id=fresh_id, hash=mac, at=clock.now())
        if not await self._writer.submit(write):
            return None
        return _Login(caller, kept.family, f"{MARK}{fresh_id}_{fresh}", kept.expires)

    def _kept(self, token: str) -> tuple[Refresh | None, Account | None]:
        accounts = self._gate.accounts
        parts = token.split("_", 2)
        right = len(parts) == 3 and token.startswith(MARK)
        found = accounts.refresh(parts[1]) if right else None
        about = (found.id, found.family, found.account, found.expires) if found else ()
        good = same(self._mac(parts[2] if right else "", *about), found.hash if found else _NO_MAC)
        if found is None or not good or found.revoked is not None or found.expires <= clock.now():
            return None, None
        account = accounts.find(found.account)
        return found, None if account is None or account.disabled is not None else account

    def _mac(self, secret: str, *about: str) -> str:
        """What is kept of a token's secret half, bound to the fields of its row: who can write the database cannot make
        one, nor turn one into another account's."""
        return hmac.new(self._key, json.dumps(["refresh", secret, *about]).encode(), hashlib.sha256).hexdigest()

    async def _give(self, asked: _Asked, login: _Login) -> tuple[web.StreamResponse | WireError, list[AuditEvent]]:
        gate = self._gate
        if asked.service not in ("", gate.audience):
            raise UsageError("another service's tokens are not given here", thing=asked.service[:120])
        access = granted(parse_scopes(asked.scopes), login.caller, gate.rules)
        now, events, refresh, session = int(time.time()), [], login.refresh, login.session
        nobody = login.caller.kind == "anonymous"
        lasting = login.caller.kind == "person" and not gate.accounts.of_directory(login.caller.name)
        if asked.offline and not refresh and lasting:
            session, refresh = secrets.token_hex(16), ""
            token_id, secret, expires = session, new_secret(), clock.after(limits.REFRESH_LIFE)
            await self._writer.submit(
                AddRefresh(
                    id=token_id, family=session, account=login.caller.name, client=asked.client[:120],
                    hash=self._mac(secret, token_id, session, login.caller.name, expires), expires=expires,
                    at=clock.now(),
                )
            )  # fmt: skip
            refresh = f"{MARK}{token_id}_{secret}"
            detail = {"address": login.caller.address, "client": asked.client[:120], "session": session}
            events.append(AuditEvent(Act.TOKEN_LOGIN, login.caller.name, session, "done", detail))
        events += self._told_workload(login)
        ring = await gate.bearers.ring()
        claims = Claims(
            issuer=gate.issuer, audience=gate.audience, subject="" if nobody else login.caller.name, issued=now,
            expires=min(now + limits.TOKEN_LIFE, self._end_of(login)), id=new_id(),
            generation=login.caller.generation, session=session, access=access,
        )  # fmt: skip
        token = sign(claims, ring.kid, ring.signs)
        document: dict[str, Any] = {
            "token": token,
            "access_token": token,
            "expires_in": claims.expires - now,
            "issued_at": clock.now(),
            "scope": " ".join(map(str, access)),
            "token_type": "Bearer",
        }
        if refresh:
            document["refresh_token"] = refresh
        return web.json_response(document, headers={"Cache-Control": "no-store", "Pragma": "no-cache"}), events

    def _told_workload(self, login: _Login) -> list[AuditEvent]:
        """The event of a workload that gets a token: once in limits.SEEN_STEP for each subject and address, however
        many tokens it gets."""
        workload = login.workload
        if workload is None:
            return []
        key, now = (workload.issuer, workload.subject, login.caller.address), time.monotonic()
        if now - self._told.get(key, -limits.SEEN_STEP) < limits.SEEN_STEP:
            return []
        self._told[key] = now
        self._told.move_to_end(key)
        while len(self._told) > limits.TOKEN_CACHE:
            self._told.popitem(last=False)
        detail = {"address": login.caller.address, "issuer": workload.issuer, "subject": workload.subject}
        return [AuditEvent(Act.TOKEN_WORKLOAD, login.caller.name, login.caller.name, "done", detail)]

    def _end_of(self, login: _Login) -> int:
        """When what the token was asked for with is over."""
        if login.workload is not None:
            return login.workload.expires
        if login.expires:
            return clock.seconds(login.expires)
        secret = self._gate.accounts.secret(login.session) if login.session else None
        return clock.seconds(secret.expires) if secret else 1 << 40


def refresh_key(path: Path) -> bytes:
    """The key that refresh tokens are authenticated with; made where there is none. Blocking. Raises FailedError."""
    return mac_key(path, after="a new one is made at the next start, and everybody logs in again")


async def _form(request: web.Request) -> Mapping[str, str]:
    """The fields of a form, each once. Raises UsageError; RefusedRequestError, 413, for one that is too large."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise UsageError("not a form", thing=request.content_type, remedy="send application/x-www-form-urlencoded")
    too_large = WireError(413, "SIZE_INVALID", f"a form may have {limits.TOKEN_BODY} bytes")
    try:
        async with asyncio.timeout(registry_limits.FIRST_REQUEST):
            body = await read_small(request, limits.TOKEN_BODY, too_large)
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except TimeoutError:
        raise RefusedRequestError(request_timeout()) from None
    except (InterruptedBodyError, ValueError):
        raise UsageError("a malformed form", remedy="send application/x-www-form-urlencoded") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise UsageError("a field stands twice in the form", remedy="send each once")
    return fields


class StationAccess:
    """The registry's `Access` of a station with accounts: the gate, and the endpoint that gives tokens for it."""

    def __init__(self, gate: AccountAccess, endpoint: TokenEndpoint) -> None:
        self._gate, self._endpoint = gate, endpoint

    async def admit(self, request: web.Request) -> web.StreamResponse | WireError | None:
        """As Access.admit."""
        refusal = await self._gate.admit(request)
        if refusal is not None or request.rel_url.raw_path != TOKEN_PATH:
            return refusal
        answer, events = await self._endpoint.answer(request)
        ticket_of(request).events += events
        return answer

    def check(self, request: web.Request, action: Action, repository: str) -> WireError | None:
        """As Access.check."""
        return self._gate.check(request, action, repository)

    def events(self, request: web.Request, outcome: web.StreamResponse | WireError) -> list[AuditEvent]:
        """As Access.events."""
        return [*ticket_of(request).events, *self._gate.refusals(request, outcome)]

    def glance(self, fields: PlainFields, address: str, repository: str) -> Passed | None:
        """As Access.glance."""
        return self._gate.glance(fields, address, repository)

    def spend(self, passed: Passed) -> None:
        """As Access.spend."""
        self._gate.spend(passed)
