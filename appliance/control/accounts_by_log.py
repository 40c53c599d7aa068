"""Accounts held against the audit log in the control process: the record's base at a start, and who may not decide
since their account was changed by hand (docs/adr/0043-accounts-by-the-log.md)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from appliance import clock
from appliance.access.identity import UnexplainedError
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import cover
from appliance.audit.port import AuditPort
from appliance.audit.reading import own_events
from appliance.control.threads import on_own_station
from appliance.permissions import GUARDED, Permission
from appliance.release_check.account_record import ABOUT, AccountRecord, HeldAccount, detail_of
from appliance.release_check.changed_accounts import about_of, lost_accounts, lost_in, wrong_in
from appliance.release_check.explained_accounts import ExplainedAccounts
from appliance.release_check.log_record import read_log
from appliance.station import Station
from appliance.store.reads.account_rows import AccountRow, account_rows

_log: Final = logging.getLogger(__name__)
_IN_FLIGHT: Final = 10_000_000
"""Microseconds of the log's end in which an act may have been cut off before its transaction: by what came later in the
log the process was alive, and the transaction was over."""


@dataclass(slots=True)
class AccountsByLog:
    """What this process knows: whether the log has a base, and what it says of accounts. `began`: when the process
    did, in microseconds."""

    explained: ExplainedAccounts | None = None
    began: int = field(default_factory=clock.micros)
    has_base: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ensure(self, station: Station) -> None:
        """See to it, once, that the log has a base: before any account is changed. Raises FailedError where the log
        cannot be read or written."""
        if not self.has_base:
            async with self.turn:
                if not self.has_base:
                    await asyncio.to_thread(
                        on_own_station, station, lambda own: ensure_base(own, station.audit, self.began)
                    )
                    self.has_base = True

    async def require(self, station: Station, name: str, permission: Permission) -> None:
        """Go on only where the log explains the rows of an account that decides something.

        Raises UnexplainedError naming the first row that it does not explain, FailedError where the log cannot be read.
        """
        if permission not in GUARDED:
            return
        if self.explained is None:
            self.explained = ExplainedAccounts(station.paths, station.config.site, station.reader)
        wrong = await self.explained.wrong(name, waits=True)
        if wrong is not None:
            raise UnexplainedError(name, *wrong)

    def forget(self) -> None:
        """An account was changed: what the log says of it is read again."""
        if self.explained is not None:
            self.explained.forget()


def ensure_base(station: Station, audit: AuditPort, began: int) -> None:
    """Record in `audit` where the accounts stand, unless the log knows it since the last restore or rebuild; else take
    back what a kill kept from the database. Blocking."""
    log = read_log(station.paths, station.config.site, acts=ABOUT)
    if log.deeds.accounts.known:
        _take_back(station, audit, log.deeds.accounts, began)
        return
    base, rows = secrets.token_hex(8), list(account_rows(station.reader))
    for row in rows:
        detail = {"base": base, **detail_of(_held(row), [[one.id, one.what, about_of(one)] for one in row.waits])}
        audit.record(AuditEvent(Act.ACCOUNTS_STAND, "station", row.name, "done", detail))
    event = AuditEvent(Act.ACCOUNTS_BASE, "station", station.config.site, "done", {"base": base, "accounts": len(rows)})
    audit.record(event)
    cover(audit, event)


def _held(row: AccountRow) -> HeldAccount:
    return HeldAccount(
        kind=row.kind, disabled=row.disabled, password=row.password, uid=row.uid, keys=set(row.keys),
        grants=set(row.grants), secrets=dict(row.secrets), directory=row.directory,
    )  # fmt: skip


def _take_back(station: Station, audit: AuditPort, record: AccountRecord, began: int) -> None:
    """An act that was recorded when the process before was killed, and that its rows do not show, did not happen."""
    stands, rows = record.stands(), list(account_rows(station.reader))
    wrong: list[tuple[str, AccountRow | None]] = [
        (row.name, row) for row in rows if wrong_in(row, stands) or lost_in(row, stands)
    ]
    wrong += [(name, None) for name in lost_accounts({row.name for row in rows}, stands)]
    end = _last_before(station, began) if wrong else 0
    for name, row in wrong:
        last = record.last_of({name} if row is None else {name, *row.secrets})
        if last is None or last.micros < end - _IN_FLIGHT:
            continue
        before = record.stands(without=last)
        if name in before.held if row is None else wrong_in(row, before) or lost_in(row, before):
            continue
        detail: dict[str, Any] = {"takes_back": True, "reason": "the station was cut off before it was done"}
        audit.record(AuditEvent(last.act, "station", last.thing, "failed", detail))
        _log.warning("%s of %s was recorded and not done: the station was cut off", last.act, last.thing)


def _last_before(station: Station, began: int) -> int:
    """When the last event from before a time was, in microseconds; 0 for none."""
    return next((int(one["micros"]) for one in own_events(station.paths) if int(one["micros"]) < began), 0)
