"""/v1/account-changes: changes of accounts that wait for a second person; confirming and cancelling them."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from appliance import clock
from appliance.api.common import Page
from appliance.api.states import CHANGE_FILTERS
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, account, act, answer, audited, caller, get, may, post
from appliance.control.duties import describe
from appliance.settings.approvals import person
from appliance.store.writes import pending_changes
from appliance.store.writes.duties import ConfirmChange, EndChange
from appliance.store.writes.pending_changes import AccountChange
from bundles.errors import NotFoundError, RefusedError, UsageError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    reader = control.station.reader

    def sees(request: web.Request, change: AccountChange) -> bool:
        """An administrator, an auditor and whoever releases see all changes; anybody sees those of their account."""
        return change.account == caller(request) or any(may(request, word) for word in ("account", "audit", "release"))

    def find(request: web.Request) -> AccountChange:
        change = pending_changes.find(reader, request.match_info["id"])
        if not sees(request, change):
            raise NotFoundError("no such change", thing=change.id, remedy="see: lockgate user pending")
        return change

    async def listed(request: web.Request) -> web.Response:
        state = request.query.get("state", "waits")
        if state not in CHANGE_FILTERS:
            raise UsageError("no such state", thing=repr(state)[:40], remedy=f"use one of {', '.join(CHANGE_FILTERS)}")
        found = pending_changes.waiting(reader) if state == "waits" else pending_changes.everything(reader)
        return answer(Page(tuple(describe(control, change) for change in found if sees(request, change))))

    async def confirm(request: web.Request) -> web.Response:
        change, actor = find(request), caller(request)
        await control.by_log.ensure(control.station)
        explained = control.by_log.require(control.station, actor, "account")
        await audited(control, request, Act.ACCOUNT_CONFIRM, change.account, explained)
        await audited(control, request, Act.ACCOUNT_CONFIRM, change.account, _check_other(change, actor))
        write = ConfirmChange(id=change.id, actor=actor, at=clock.now())
        foreign = pending_changes.foreign_of_grant(reader, change)
        said = _said(change) | ({"foreign": [f"{one.what} {one.thing}".strip() for one in foreign]} if foreign else {})
        made = await act(control, AuditEvent(Act.ACCOUNT_CONFIRM, actor, change.account, "done", said), write)
        then = tuple(describe(control, pending_changes.find(reader, one)) for one in made)
        confirmed = describe(control, pending_changes.find(reader, change.id))
        return answer(msgspec.structs.replace(confirmed, then=then))

    async def _check_other(change: AccountChange, actor: str) -> None:
        """Two accounts of one person are one: approvals.toml says whose accounts are whose."""
        policy = control.station.policy()
        if actor != change.account and person(policy, actor) & person(policy, change.asked_by):
            raise RefusedError(
                "who asked for the change may not confirm it", thing=f"{change.id}: {change.text}",
                remedy=pending_changes.remedy_of(reader, change, actor),
            )  # fmt: skip

    async def cancel(request: web.Request) -> web.Response:
        change, actor = find(request), caller(request)
        await control.by_log.ensure(control.station)
        await audited(control, request, Act.ACCOUNT_CANCEL, change.account, _check_may_cancel(request, change))
        write = EndChange(id=change.id, state="cancelled", actor=actor, at=clock.now())
        await act(control, AuditEvent(Act.ACCOUNT_CANCEL, actor, change.account, "done", _said(change)), write)
        return answer(describe(control, pending_changes.find(reader, change.id)))

    async def _check_may_cancel(request: web.Request, change: AccountChange) -> None:
        if change.account != account(request).name and not may(request, "account"):
            raise RefusedError(
                "an administrator or the person themselves cancels a change", thing=f"{change.id}: {change.text}",
                remedy=f"have one of them call: lockgate user cancel {change.id}",
            )  # fmt: skip

    return [
        get("/v1/account-changes", "status", listed, unless=_concerns),
        post("/v1/account-changes/{id}/confirm", "status", confirm, unless=_concerns),
        post("/v1/account-changes/{id}/cancel", "status", cancel, unless=_concerns),
    ]


def _concerns(control: Control, request: web.Request) -> bool:
    """Whether the change, or any that waits, is of the caller's own account: then it takes no role."""
    change_id = request.match_info.get("id")
    waiting = pending_changes.waiting(control.station.reader)
    return any(one.account == caller(request) and change_id in (None, one.id) for one in waiting)


def _said(change: AccountChange) -> dict[str, Any]:
    return {"change": change.what, "id": change.id, "asked_by": change.asked_by, **change.detail}
