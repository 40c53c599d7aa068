"""/v1/accounts: people and robots, their roles and keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, Final

from aiohttp import web
from msgspec import UNSET, UnsetType

from appliance import clock
from appliance.access.identity import Known, is_good
from appliance.access.origins import origin_of
from appliance.access.passwords import check_password, hash_password
from appliance.api import people
from appliance.api.people import AccountChange, Asked, Explained, Explanation, HeldRole
from appliance.audit.acts import Act, account_changed
from appliance.audit.event import AuditEvent
from appliance.control import duties
from appliance.control.api import Control, account, act, answer, audited, caller, get, page, page_of, post, require
from appliance.control.callers import peer_uid
from appliance.control.request_fields import Body, body_of, query_text
from appliance.control.routes.tokens import days, give_secret
from appliance.limits import station as limits
from appliance.patterns import EVERYTHING
from appliance.permissions import check_pattern, check_role
from appliance.store.reads import credentials
from appliance.store.reads.accounts import Account, check_full_name, check_name, mark_of
from appliance.store.writes import access as writes
from appliance.store.writes import pending_changes
from appliance.store.writes.pending_changes import Change
from appliance.store.writes.write import Write
from bundles.errors import RefusedError, UsageError
from bundles.oci.reference import check_repository
from bundles.signing.trust import TrustFolder

_KEYID: Final = re.compile(r"[0-9a-f]{16}\Z")
_CHANGES: Final = "disable|enable|uid|grant|withdraw|bind-key|unbind-key|revoke"


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    accounts = control.accounts

    async def listed(request: web.Request) -> web.Response:
        limit, after, text = page_of(request)
        found = [describe(control, entry) for entry in accounts.page(limit, after, text)]
        return page(found, limit, lambda entry: str(entry.name))

    async def show(request: web.Request) -> web.Response:
        return account_now(request.match_info["name"])

    def account_now(name: str, waits: AccountChange | UnsetType = UNSET) -> web.Response:
        return answer(describe(control, accounts.get(name), waits))

    async def do(request: web.Request, what: str, name: str, write: Write, **detail: object) -> None:
        await control.by_log.ensure(control.station)
        await act(control, AuditEvent(account_changed(what), caller(request), name, "done", detail), write)

    async def create(request: web.Request) -> web.Response:
        body = await body_of(request)
        robot = body.text("kind", "person") == "robot"
        name, full_name = check_name(body.text("name"), robot=robot), check_full_name(body.text("full_name", ""))
        if robot:
            good_for = days(body)
            write = writes.CreateAccount(name=name, kind="robot", full_name=full_name, at=clock.now())
            await do(request, "create", name, write, kind="robot")
            if body.flag("secretless"):
                return account_now(name)
            return await give_secret(control, request, name, good_for, 0)
        hashed = await asyncio.to_thread(hash_password, check_password(body.text("password")))
        uid = _uid(body)
        write = writes.CreateAccount(
            name=name, kind="person", full_name=full_name, password=hashed, uid=uid, at=clock.now(), by=caller(request)
        )
        await do(request, "create", name, write, kind="person", uid=uid, mark=mark_of(hashed))
        return account_now(name)

    def old(request: web.Request, given: str) -> Awaitable[Known | None]:
        return control.identity.identify(request.match_info["name"], given, f"uid {peer_uid(request)}")

    async def password(request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await body_of(request)
        if account(request).name != name:
            await require(request, "account")
        elif await audited(control, request, Act.ACCOUNT_PASSWORD, name, old(request, body.text("old", ""))) is None:
            raise RefusedError(
                "the old password is wrong",
                thing=name,
                remedy=f"try again, or have an administrator set a new one: lockgate user password {name}",
            )
        hashed = await asyncio.to_thread(hash_password, check_password(body.text("password")))
        write = writes.SetPassword(account=name, password=hashed, at=clock.now(), by=caller(request))
        waits = await duties.ask(control, request, "password", write, {})
        return answer(Asked(name=name, waits=waits))

    async def change(request: web.Request) -> web.Response:
        name, what, body = request.match_info["name"], request.match_info["what"], await body_of(request)
        accounts.get(name)
        write, detail = _change(name, what, body, caller(request))
        if isinstance(write, writes.BindKey):
            _check_pinned(await asyncio.to_thread(control.station.trust), write.keyid)
        if isinstance(write, Change):
            waits = await duties.ask(control, request, what, write, detail)
            return account_now(name, waits)
        await do(request, what, name, write, **detail)
        return account_now(name)

    async def explain(request: web.Request) -> web.Response:
        found = accounts.get(request.match_info["name"])
        repository = check_repository(query_text(request, "repository"))
        who = found.caller(request.query.get("address", ""))
        off = f"the account is disabled since {found.disabled}"
        items = tuple(
            Explained(
                permission=permission,
                allowed=bool(decision) and found.disabled is None,
                why=off if found.disabled else decision.why,
            )
            for permission, decision in control.rules.explain(who, repository)
        )
        return answer(Explanation(account=found.name, repository=repository, items=items))

    return [
        get("/v1/accounts", "account", listed),
        post("/v1/accounts", "account", create),
        get("/v1/accounts/{name}", "account", show),
        get("/v1/accounts/{name}/explain", "account", explain),
        post("/v1/accounts/{name}/password", "status", password),
        post(f"/v1/accounts/{{name}}/{{what:{_CHANGES}}}", "account", change),
    ]


def _change(name: str, what: str, body: Body, actor: str) -> tuple[Write, dict[str, Any]]:
    """The transaction of a change, and its detail for the audit log."""
    now = clock.now()
    if what in ("disable", "enable", "revoke"):
        plain: dict[str, Write] = {
            "disable": writes.DisableAccount(account=name, at=now),
            "enable": writes.EnableAccount(account=name),
            "revoke": writes.RevokeTokens(account=name, at=now),
        }
        return plain[what], {}
    if what == "uid":
        uid = _uid(body)
        return writes.BindUid(account=name, uid=uid, at=now, by=actor), {"uid": uid}
    if what in ("grant", "withdraw"):
        role, pattern = check_role(body.text("role")), body.text("pattern", "" if what == "withdraw" else EVERYTHING)
        detail: dict[str, Any] = {"role": role, "pattern": pattern or EVERYTHING}
        if what == "withdraw":
            detail["every"] = not pattern
            return writes.WithdrawRole(account=name, role=role, pattern=pattern), detail
        return writes.GrantRole(account=name, role=role, pattern=check_pattern(pattern)), detail
    keyid = body.text("keyid")
    if not _KEYID.match(keyid):
        raise UsageError("not a key's id", thing=repr(keyid)[:60], remedy="see: lockgate key list")
    if what == "bind-key":
        return writes.BindKey(account=name, keyid=keyid, at=now, by=actor), {"keyid": keyid}
    return writes.UnbindKey(account=name, keyid=keyid), {"keyid": keyid}


def _uid(body: Body) -> int | None:
    """A system account's number, None where there is none. Raises UsageError."""
    uid = body.optional_number("uid")
    if uid is not None and uid > limits.UID_MOST:
        raise UsageError("no system account has this number", thing=str(uid), remedy="give what id -u prints")
    return uid


def _check_pinned(trust: TrustFolder, keyid: str) -> None:
    """A key that stands for a person is one whose approvals count here. Raises UsageError, RefusedError."""
    record = trust.find(keyid)
    if record is None:
        raise UsageError(
            "the key is not pinned here", thing=keyid,
            remedy="compare it with: lockgate key list; or pin it first (lockgate key trust, for release)",
        )  # fmt: skip
    if record.revoked is not None:
        raise RefusedError("the key was revoked", thing=f"{keyid} of {record.owner}", remedy="bind another key")
    if "release" not in record.purposes:
        raise UsageError(
            "the key is not pinned for releases", thing=f"{keyid} of {record.owner}: {', '.join(record.purposes)}",
            remedy="pin it for them too: lockgate key trust FILE --purpose release --owner WHO",
        )  # fmt: skip


def describe(control: Control, entry: Account, waits: AccountChange | UnsetType = UNSET) -> people.Account:
    """An account as the control API shows it, never a hash; `waits` is the change of it that was just asked for."""
    return people.Account(
        name=entry.name,
        kind=entry.kind,
        full_name=entry.full_name,
        origin=origin_of(
            control.station.config,
            entry.name,
            has_secret=_has_secret(control, entry),
            directory=control.accounts.of_directory(entry.name),
        ),
        roles=tuple(HeldRole(role=grant.role, pattern=grant.pattern) for grant in entry.grants),
        keys=tuple(control.accounts.keys_of(entry.name)),
        uid=entry.uid,
        disabled=entry.disabled,
        locked_until=control.accounts.locked_until(entry.name, clock.now()),
        created=entry.created,
        seen=control.callers.seen(entry.name),
        credentials=tuple(
            duties.describe_credential(one, foreign=one.is_foreign)
            for one in credentials.of_account(control.station.reader, entry.name)
        ),
        waits=waits,
    )


def _has_secret(control: Control, entry: Account) -> bool:
    if entry.kind == "person":
        return True
    return any(map(is_good, control.accounts.secrets_of(entry.name)))


async def check_holder(control: Control, keyid: str) -> str | None:
    """Whose account a key stands for, or None on an open station. Raises RefusedError where it stands for nobody's.

    Who hands a signed decision in need not be who signed it: an officer signs on a machine of their own, too.
    """
    if control.station.config.open:
        return None
    holder = control.accounts.holder_of(keyid)
    if holder is None:
        reader = control.station.reader
        waits = pending_changes.waiting_binding(reader, "bind-key", keyid)
        if waits is not None:
            raise RefusedError(
                "the key's binding waits for a second person", thing=f"{waits.id}: {waits.text}",
                remedy=pending_changes.remedy_of(reader, waits),
            )  # fmt: skip
        raise RefusedError(
            "the key stands for nobody here",
            thing=keyid,
            remedy="have an administrator bind it: lockgate user bind-key NAME KEYID",
        )
    await control.by_log.require(control.station, holder, "approve")
    return holder
