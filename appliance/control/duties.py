"""Changes of duty in the control process: asking for one, the first officer's call, what waits and what is due
(docs/adr/0015-duties.md)."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from datetime import timedelta
from typing import Any, Final

from aiohttp import web
from msgspec import UNSET, UnsetType

from appliance import clock
from appliance.api import people
from appliance.audit.acts import Act, account_changed
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, audited, caller
from appliance.intake.overrides import trusted_now
from appliance.limits import control as limits
from appliance.permissions import GIVES, GUARDED, Caller, Permission, is_guarded
from appliance.release_check import duty_record
from appliance.release_check.changed_accounts import effect_of
from appliance.release_check.duty_record import DutyRecord
from appliance.release_check.log_record import read_log
from appliance.store.reads.credentials import Credential
from appliance.store.writes import pending_changes
from appliance.store.writes.access import SetPassword
from appliance.store.writes.duties import ChangeAccount, EndChange, FirstOfficer, TakeEffect
from appliance.store.writes.pending_changes import AccountChange, Change
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.times import later

_log: Final = logging.getLogger(__name__)


def describe(control: Control, change: AccountChange) -> people.AccountChange:
    """A change of duty as the control API shows it; never what it would set."""
    reader = control.station.reader
    waits, foreign = change.state == "waits", pending_changes.foreign_of_grant(reader, change)
    return people.AccountChange(
        id=change.id,
        account=change.account,
        what=change.what,
        detail=change.detail,
        text=change.text,
        state=change.state,
        asked_by=change.asked_by,
        asked=change.asked,
        decided_by=change.decided_by,
        decided=change.decided or None,
        how=change.how,
        why=change.why,
        due=pending_changes.due_of(reader, change) if waits else None,
        expires=pending_changes.expires_of(change) if waits else None,
        shown=change.shown,
        confirmers=tuple(pending_changes.confirmers(reader, change)),
        credentials=tuple(
            describe_credential(one, foreign=one in foreign)
            for one in pending_changes.credentials_of_grant(reader, change)
        ),
    )


def describe_credential(one: Credential, *, foreign: bool) -> people.Credential:
    """A credential as the control API shows it: who set it and when, never what it is."""
    return people.Credential(
        what=one.what,
        thing=one.thing,
        set_by=one.set_by or None,
        at=one.at or None,
        under=one.under or None,
        confirmed_by=one.confirmed_by or None,
        foreign=foreign,
    )


def unshown(control: Control) -> tuple[people.AccountChange, ...]:
    """What the next release is to show: what waits, and what took effect since the last one."""
    return tuple(describe(control, change) for change in pending_changes.unshown(control.station.reader))


def alerts(control: Control) -> list[str]:
    """A line for each change that waits."""
    lines = []
    for change in pending_changes.waiting(control.station.reader):
        due = pending_changes.due_of(control.station.reader, change)
        foreign = pending_changes.foreign_of_grant(control.station.reader, change)
        until = f"takes effect at {due}" if due else "waits for a second person"
        if foreign:
            until += f"; {some(len(foreign), 'credential')} of {change.account} set by another person"
        lines.append(
            f"accounts: {change.text}, asked for by {change.asked_by} at {change.asked}: {until}; see: lockgate user"
            " pending"
        )
    return lines


async def ask(
    control: Control, request: web.Request, what: str, change: Change, detail: dict[str, Any]
) -> people.AccountChange | UnsetType:
    """Do a change of an account, or keep it until a second person confirms it: then what waits is returned, else UNSET.

    Recorded first, as the change where it is done and as `account.ask` where it waits. Raises what the change raises.
    """
    reader, actor = control.station.reader, caller(request)
    await control.by_log.ensure(control.station)
    # Of what is one's own too: an exchanged password would explain itself by setting the next one.
    explained = control.by_log.require(control.station, actor, "account")
    await audited(control, request, account_changed(what), change.account, explained)
    called = await has_called(control)
    how = pending_changes.how_of(reader, change, actor, called=called)
    change_id, at = secrets.token_hex(4), clock.now()
    write = ChangeAccount(
        id=change_id, what=what, detail=json.dumps(detail), change=change, actor=actor, how=how, at=at,
        starts=trusted_now(reader), called=called,
    )  # fmt: skip
    effect = effect_of(change) if isinstance(change, SetPassword) else {}
    if how != "waits":
        ends = pending_changes.older(reader, change, what, at)
        said = effect | detail | ({} if how == "plain" else {"how": how}) | ({"ends": ends} if ends else {})
        await act(control, AuditEvent(account_changed(what), actor, change.account, "done", said), write)
        return UNSET
    said = {"change": what, "id": change_id, **effect, **detail}
    await act(control, AuditEvent(Act.ACCOUNT_ASK, actor, change.account, "done", said), write)
    return describe(control, pending_changes.find(reader, change_id))


async def note_caller(control: Control, who: Caller, permission: Permission) -> None:
    """What is asked of each caller before a route's handler runs: that the log explains the account of who decides,
    and whether a security-officer calls for the first time. Raises RefusedError, FailedError."""
    if not control.station.config.open and permission in GUARDED:
        await control.by_log.ensure(control.station)
        await control.by_log.require(control.station, who.name, permission)
    await note_officer(control, who)


async def note_officer(control: Control, who: Caller) -> None:
    """End the time in which the first administrator acts alone, where a security-officer calls for the first time."""
    if control.in_force or not any(is_guarded(role) and "account" not in GIVES[role] for role in who.roles):
        return
    if not pending_changes.in_force(control.station.reader):
        event = AuditEvent(Act.ACCOUNT_FIRST_OFFICER, who.name, who.name)
        await act(control, event, FirstOfficer(officer=who.name, at=clock.now()))
    control.in_force = True


async def has_called(control: Control) -> bool:
    """Whether a first security-officer has called: by the row of that, or by the audit log, which nobody can take
    away with the database's file. A row that the log knows and the database lost is put back; one of a station from
    before such events is recorded. Asked of the log once a process. Raises FailedError where the log cannot be read."""
    reader = control.station.reader
    if control.in_force:
        return True
    here = pending_changes.in_force(reader)
    if not control.asked_log:
        said = (await asyncio.to_thread(_duties_by_log, control, (Act.ACCOUNT_FIRST_OFFICER,))).officer
        if bool(said) != here:
            officer, at = said or pending_changes.first_officer(reader), clock.now()
            detail = {"officer": officer, "from": "the audit log" if said else "the database"}
            event = AuditEvent(Act.ACCOUNT_FIRST_OFFICER, "station", officer, "done", detail)
            await act(control, event, FirstOfficer(officer=officer, at=at))
            here = True
        control.asked_log = True
    control.in_force = here
    return here


def _duties_by_log(control: Control, acts: tuple[Act, ...]) -> DutyRecord:
    return read_log(control.station.paths, control.station.config.site, acts=acts).deeds.duties


async def keep_looking(control: Control) -> None:
    """Let what is due take effect and end what is over, now and every so often, until cancelled."""
    try:
        await control.by_log.ensure(control.station)
        await has_called(control)
    except LockgateError as error:
        _log.warning("what the audit log says of accounts cannot be told: %s", error.diagnostics())
    while True:
        for change in pending_changes.waiting(control.station.reader):
            try:
                await _look(control, change)
            except LockgateError as error:
                _log.warning("the change %s of %s: %s", change.id, change.account, error.diagnostics())
        await asyncio.sleep(limits.DUTIES_LOOKED_AT)


async def _has_waited(control: Control, change: AccountChange, at: str) -> bool:
    """Whether a change has waited by the audit log too, for as long as it must: when it was asked for is a row, and
    whoever has the database's file can make it older. Where a cut of an earlier version kept nothing of it, the row
    counts."""
    log = await asyncio.to_thread(read_log, control.station.paths, control.station.config.site, None, duty_record.WAITS)
    thing = str(change.detail.get("keyid", change.detail.get("uid", "")))
    since = log.deeds.duties.waits_since(change.id, change.what, thing)
    if not since:
        return not log.deeds.whole
    return later(since, timedelta(seconds=limits.DUTY_WAIT)) <= at


async def _look(control: Control, change: AccountChange) -> None:
    at, reader = clock.now(), control.station.reader
    due = pending_changes.due_of(reader, change)
    said = {"change": change.what, "id": change.id, "asked_by": change.asked_by, **change.detail}
    if (
        due is not None
        and due <= at
        and change.asked_by in pending_changes.administrators(reader)
        and await _has_waited(control, change, at)
    ):
        event = AuditEvent(Act.ACCOUNT_EFFECT, "station", change.account, "done", said)
        if not await act(control, event, TakeEffect(id=change.id, at=at)):
            why = pending_changes.find(reader, change.id).why
            said |= {"reason": why, "takes_back": True}
            await control.record(AuditEvent(Act.ACCOUNT_EFFECT, "station", change.account, "failed", said))
    elif pending_changes.expires_of(change) < at:
        event = AuditEvent(Act.ACCOUNT_EXPIRE, "station", change.account, "done", said)
        await act(control, event, EndChange(id=change.id, state="expired", actor="station", at=at))
