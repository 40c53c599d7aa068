"""Accounts, roles, keys, uids, passwords and secrets that no event of the audit log explains.

They are rows, and whoever has the database's file can make one up or exchange one: become an officer, or log in as one.
So can whoever wants nobody to approve: an account or role that the log gives and that is gone is a finding too, and no
reason to refuse an account what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

import msgspec

from appliance.release_check.account_record import Accounts, HeldAccount, WaitingChange
from appliance.release_check.log_facts import LogRecord
from appliance.station import Station
from appliance.store.reads.account_rows import AccountRow, WaitingRow, account_rows
from appliance.store.reads.accounts import mark_of
from appliance.store.writes.access import BindKey, BindUid, EnableAccount, GrantRole, SetPassword
from appliance.store.writes.pending_changes import Change

Wrong = tuple[str, str]
"""What it is, in words, and `unexplained`, `changed` or `missing`."""


def changed_accounts(station: Station, log: LogRecord) -> Iterator[tuple[str, str, str]]:
    """Each such row as (thing, found, ""). Nothing where the log has no base to start from."""
    record = log.deeds.accounts
    if not record.known:
        return
    stands, there = record.stands(), set[str]()
    for row in account_rows(station.reader):
        there.add(row.name)
        if row.name not in record.unsure:
            for thing, how in (*wrong_in(row, stands), *lost_in(row, stands)):
                yield thing, how, ""
    for name in lost_accounts(there, stands):
        if name not in record.unsure:
            yield f"the account {name}", "missing", ""


def wrong_in(row: AccountRow, stands: Accounts) -> list[Wrong]:
    """What is wrong with an account's rows, by what stands by the log."""
    held, name = stands.held.get(row.name), row.name
    if held is None:
        return [(f"the account {name}", "unexplained")]
    found = [*_waiting(row, stands)]
    if row.disabled and held.disabled:  # it may do nothing: an administrator has dealt with it
        return found
    if held.disabled:
        found.append((f"that {name} may log in", "unexplained"))
    if row.kind != held.kind:
        found.append((f"the account {name}", "changed"))
    if row.directory and not held.directory:
        found.append((f"that the directory tells who {name} is", "unexplained"))
    if row.password not in ("", held.password):
        found.append((f"the password of {name}", "changed" if held.password else "unexplained"))
    if row.uid not in ("", held.uid):
        found.append((f"that uid {row.uid} calls for {name}", "unexplained"))
    found += [(f"that the key {keyid} stands for {name}", "unexplained") for keyid in sorted(row.keys - held.keys)]
    found += [(f"that {name} is {role} on {where}", "unexplained") for role, where in sorted(row.grants - held.grants)]
    return [*found, *_secrets(row, held)]


def lost_in(row: AccountRow, stands: Accounts) -> list[Wrong]:
    """The roles that an account has by the log, and that its rows do not have."""
    held = stands.held.get(row.name)
    lost = set() if held is None else held.grants - row.grants
    return [(f"that {row.name} is {role} on {where}", "missing") for role, where in sorted(lost)]


def lost_accounts(there: Set[str], stands: Accounts) -> list[str]:
    """The accounts by the log that have no row: an account is disabled, and never deleted."""
    return sorted(stands.held.keys() - there)


def _secrets(row: AccountRow, held: HeldAccount) -> Iterator[Wrong]:
    for secret, (mark, expires) in sorted(row.secrets.items()):
        said = held.secrets.get(secret)
        if said is None or said[0] != mark or expires > said[1]:
            yield f"the secret {secret} of {row.name}", "unexplained" if said is None else "changed"


def _waiting(row: AccountRow, stands: Accounts) -> Iterator[Wrong]:
    """Changes that wait and that nobody asked for so: somebody may confirm them in good faith."""
    for one in row.waits:
        said = stands.waits.get(one.id)
        about = about_of(one)
        if said is None or about is None or (said.account, said.what) != (row.name, one.what):
            yield f"the change {one.id} of {row.name} that waits", "unexplained"
        elif about != _about(said):
            yield f"the change {one.id} of {row.name} that waits", "changed"


def about_of(row: WaitingRow) -> dict[str, Any] | None:
    """What a change that waits would set, as the event that asks for it tells it; None for one that cannot be read."""
    try:
        change = msgspec.json.decode(row.change, type=Change)
    except msgspec.MsgspecError:
        return None
    return effect_of(change)


def effect_of(change: Change) -> dict[str, Any]:
    """What a change sets, for the audit log: of a password its mark."""
    match change:
        case SetPassword():
            return {"mark": mark_of(change.password)}
        case BindUid():
            return {"uid": change.uid}
        case BindKey():
            return {"keyid": change.keyid}
        case GrantRole():
            return {"role": change.role, "pattern": change.pattern}
        case EnableAccount():
            return {}
        case _:  # these never wait
            return {"what": type(change).__name__}


def _about(said: WaitingChange) -> dict[str, Any]:
    """The same by the log. Of what a confirmed grant put off the event says the number as a text."""
    detail = said.detail
    match said.what:
        case "password":
            return {"mark": str(detail.get("mark", ""))}
        case "uid":
            uid = detail.get("uid")
            return {"uid": None if uid is None else int(uid)}
        case "bind-key":
            return {"keyid": str(detail.get("keyid", ""))}
        case "grant":
            return {"role": str(detail.get("role", "")), "pattern": str(detail.get("pattern", ""))}
        case _:
            return {}
