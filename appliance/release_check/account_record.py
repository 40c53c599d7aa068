"""What the audit log says of accounts: their roles, keys, uids, passwords and secrets, and the changes that wait
(docs/adr/0043-accounts-by-the-log.md).

The record begins with a base: `accounts.stand` events, one for each account there was, and `accounts.base` behind them.
A restore or a rebuild ends what the log knows; the next start records another base. Of a password or secret the log
has `appliance.store.reads.accounts.mark_of` its record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from appliance.audit.acts import Act, read_act
from appliance.patterns import EVERYTHING
from appliance.store.writes.pending_changes import id_after_grant

_ENDS: Final = frozenset({Act.RESTORE, Act.REBUILD})
_CHANGES: Final = frozenset(
    {
        Act.ACCOUNT_ASK, Act.ACCOUNT_BIND_KEY, Act.ACCOUNT_CANCEL, Act.ACCOUNT_CLAIM, Act.ACCOUNT_CONFIRM,
        Act.ACCOUNT_CREATE, Act.ACCOUNT_DISABLE, Act.ACCOUNT_EFFECT, Act.ACCOUNT_ENABLE, Act.ACCOUNT_EXPIRE,
        Act.ACCOUNT_GRANT, Act.ACCOUNT_PASSWORD, Act.ACCOUNT_SECRET, Act.ACCOUNT_UID, Act.ACCOUNT_UNBIND_KEY,
        Act.ACCOUNT_WITHDRAW, Act.TOKEN_REVOKE,
    }
)  # fmt: skip
ABOUT: Final = (*sorted(_CHANGES), Act.ACCOUNTS_STAND, Act.ACCOUNTS_BASE, *sorted(_ENDS))
"""The acts that this record is made of."""
_DETAIL: Final = (
    "base", "kind", "disabled", "mark", "uid", "keys", "grants", "secrets", "waits", "role", "pattern", "every",
    "keyid", "id", "expires", "change", "foreign", "directory",
)  # fmt: skip


Granted = tuple[str, str, str]
"""An account, a role and its pattern."""


@dataclass(slots=True)
class HeldAccount:
    """An account by the log, as `appliance.store.reads.account_rows.AccountRow`."""

    kind: str = "person"
    disabled: bool = False
    password: str = ""
    uid: str = ""
    keys: set[str] = field(default_factory=set)
    grants: set[tuple[str, str]] = field(default_factory=set)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)
    directory: bool = False


@dataclass(frozen=True, slots=True)
class WaitingChange:
    """A change that waits by the log."""

    account: str
    what: str
    detail: Mapping[str, Any]


@dataclass(slots=True)
class Accounts:
    """What stands: accounts by name, and changes that wait by their id."""

    held: dict[str, HeldAccount] = field(default_factory=dict)
    waits: dict[str, WaitingChange] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _AccountEvent:
    act: Act
    thing: str
    detail: Mapping[str, Any]
    micros: int


def _event_of(act: Act, event: Mapping[str, Any]) -> _AccountEvent:
    detail = event["detail"]
    kept = {name: detail[name] for name in _DETAIL if name in detail}
    return _AccountEvent(act, str(event["thing"]), kept, int(event["micros"]))


@dataclass(slots=True)
class AccountRecord:
    """The events since the newest base, the newest first. `base`: its id; `left`: how many of its accounts are still
    to be read; `over`: nothing older counts. `unsure`: accounts of which a prune kept an act that was taken back."""

    said: list[_AccountEvent] = field(default_factory=list)
    base: str = ""
    left: int = 0
    over: bool = False
    unsure: set[str] = field(default_factory=set)

    @property
    def known(self) -> bool:
        """Whether there is a base: without one nothing is known."""
        return self.base != "" and self.left == 0

    def note(self, act: Act | None, event: Mapping[str, Any]) -> None:
        """Add an event that happened; the newest come first."""
        if self.over or act is None:
            return
        detail = event["detail"]
        if act in _ENDS and not self.base:
            self.over = True
        elif act == Act.ACCOUNTS_BASE and not self.base:
            self.base, self.left = str(detail.get("base", "")), int(detail.get("accounts", 0))
            self.over = self.left == 0
        elif act in _CHANGES or (act == Act.ACCOUNTS_STAND and self.base and detail.get("base") == self.base):
            self.said.append(_event_of(act, event))
            if act == Act.ACCOUNTS_STAND:
                self.left -= 1
                self.over = self.left == 0

    def with_newer(self, events: Iterable[Mapping[str, Any]]) -> AccountRecord | None:
        """The record with events that came after it, the newest first; None where they say more than what happened
        to accounts since: a restore, a rebuild, another base, or that an act was taken back."""
        newer: list[_AccountEvent] = []
        for event in events:
            act, detail = read_act(event["act"]), event["detail"]
            if detail.get("takes_back") or (act not in _CHANGES and act in ABOUT):
                return None
            if act in _CHANGES and event["outcome"] == "done":
                newer.append(_event_of(act, event))
        return replace(self, said=[*newer, *self.said])

    def stands(self, *, without: _AccountEvent | None = None) -> Accounts:
        """What stands by these events, as if `without` had not happened."""
        found = Accounts()
        for one in reversed(self.said):
            if one is not without:
                _apply(found, one)
        return found

    def granted(self) -> dict[Granted, int]:
        """When each role that stands took effect, in microseconds; not those from before the record began."""
        found, since = Accounts(), dict[Granted, int]()
        for one in reversed(self.said):
            before = _grants(found, one.thing)
            _apply(found, one)
            after = _grants(found, one.thing)
            for role, pattern in before - after:
                since.pop((one.thing, role, pattern), None)
            if one.act != Act.ACCOUNTS_STAND:
                since |= {(one.thing, role, pattern): one.micros for role, pattern in after - before}
        return since

    def last_of(self, names: Collection[str]) -> _AccountEvent | None:
        """The newest event that changed what is named so: an account, or a token that was revoked."""
        return next((one for one in self.said if one.thing in names and one.act in _CHANGES), None)

    def go_on_from(self, base: AccountRecord, taken_back: Iterable[tuple[Act | None, str]]) -> None:
        """Add what a cut kept, beneath what came after it."""
        if self.over or self.base:
            return
        undone = {thing for act, thing in taken_back if act in _CHANGES}
        self.said += base.said
        self.base, self.left, self.over = base.base, base.left, True
        self.unsure = base.unsure | undone

    def rows(self) -> dict[str, list[Any]]:
        """What a cut keeps, by word."""
        if not self.known:
            return {}
        stands = self.stands()
        waits: dict[str, list[Any]] = {}
        for change_id, one in sorted(stands.waits.items()):
            waits.setdefault(one.account, []).append([change_id, one.what, dict(one.detail)])
        accounts = [
            [name, detail_of(held, waits.pop(name, []))] for name, held in sorted(stands.held.items())
        ]  # fmt: skip
        return {
            "accounts base": [[self.base]],
            "accounts": accounts,
            "accounts unsure": [[name] for name in sorted(self.unsure)],
        }

    def take(self, word: str, rows: Iterable[Any]) -> None:
        """Add rows that a cut kept. Raises as its parts do where they are none."""
        match word:
            case "accounts base":
                for (base,) in rows:
                    self.base, self.over = str(base), True
            case "accounts":
                self.said += [_AccountEvent(Act.ACCOUNTS_STAND, str(name), dict(detail), 0) for name, detail in rows]
            case "accounts unsure":
                self.unsure |= {str(name) for (name,) in rows}
            case _:
                pass


def _grants(accounts: Accounts, name: str) -> set[tuple[str, str]]:
    held = accounts.held.get(name)
    return set() if held is None else set(held.grants)


def detail_of(held: HeldAccount, waits: list[Any]) -> dict[str, Any]:
    """An account as the event `accounts.stand` tells it; `waits` as [id, what, detail] each."""
    return {
        "kind": held.kind, "disabled": held.disabled, "mark": held.password, "uid": held.uid,
        "keys": sorted(held.keys), "grants": sorted(map(list, held.grants)),
        "secrets": {one: list(secret) for one, secret in sorted(held.secrets.items())}, "waits": waits,
        **({"directory": True} if held.directory else {}),
    }  # fmt: skip


def _apply(found: Accounts, said: _AccountEvent) -> None:
    """Do what an event says."""
    name, detail = said.thing, said.detail
    change_id = str(detail.get("id", ""))
    match said.act:
        case Act.ACCOUNTS_STAND:
            _stand(found, name, detail)
        case Act.ACCOUNT_CLAIM:
            found.held[name] = HeldAccount(password=str(detail.get("mark", "")))
            found.held[name].grants.add(("administrator", EVERYTHING))
        case Act.ACCOUNT_CREATE:
            uid = detail.get("uid")
            found.held[name] = HeldAccount(
                kind=str(detail.get("kind", "person")), password=str(detail.get("mark", "")),
                uid="" if uid is None else str(uid), directory=detail.get("directory") is True,
            )  # fmt: skip
        case Act.ACCOUNT_ASK:
            found.waits[change_id] = WaitingChange(name, str(detail.get("change", "")), detail)
        case Act.ACCOUNT_CONFIRM | Act.ACCOUNT_EFFECT:
            waiting = found.waits.pop(change_id, None)
            if waiting is not None and waiting.account == name:
                _change(found, name, waiting.what, waiting.detail)
                _put_off(found, name, change_id, detail.get("foreign", ()))
        case Act.ACCOUNT_CANCEL | Act.ACCOUNT_EXPIRE:
            found.waits.pop(change_id, None)
        case Act.TOKEN_REVOKE:
            for held in found.held.values():
                held.secrets.pop(name, None)
        case Act.ACCOUNT_SECRET:
            held = found.held.setdefault(name, HeldAccount(kind="robot"))
            held.secrets[change_id] = (str(detail.get("mark", "")), str(detail.get("expires", "")))
        case _:
            _change(found, name, str(said.act).removeprefix("account."), detail)


def _change(found: Accounts, name: str, what: str, detail: Mapping[str, Any]) -> None:
    """Do a change of an account. One that was made by hand and disabled by an administrator is known from then on."""
    held = found.held.setdefault(name, HeldAccount())
    role, pattern = str(detail.get("role", "")), str(detail.get("pattern", ""))
    match what:
        case "password":
            held.password = str(detail.get("mark", ""))
        case "uid":
            held.uid = "" if detail.get("uid") is None else str(detail["uid"])
        case "bind-key":
            held.keys.add(str(detail.get("keyid", "")))
        case "unbind-key":
            held.keys.discard(str(detail.get("keyid", "")))
        case "disable" | "enable":
            held.disabled = what == "disable"
        case "grant":
            held.grants.add((role, pattern))
        case "withdraw":
            gone = {one for one in held.grants if one[0] == role and (detail.get("every") or one[1] == pattern)}
            held.grants -= gone
        case _:
            pass


def _put_off(found: Accounts, name: str, grant: str, foreign: Iterable[Any]) -> None:
    """Credentials that another had set go out of force with a grant, and wait (appliance.store.writes.duties)."""
    held = found.held.setdefault(name, HeldAccount())
    for text in foreign:
        what, _, thing = str(text).partition(" ")
        detail: dict[str, Any] = {}
        if what == "password":
            detail, held.password = {"mark": held.password}, ""
        elif what == "uid":
            detail, held.uid = {"uid": thing}, ""
        elif what == "bind-key":
            detail = {"keyid": thing}
            held.keys.discard(thing)
        found.waits[id_after_grant(grant, what, thing)] = WaitingChange(name, what, detail)


def _stand(found: Accounts, name: str, detail: Mapping[str, Any]) -> None:
    found.held[name] = HeldAccount(
        kind=str(detail["kind"]), disabled=bool(detail["disabled"]), password=str(detail["mark"]),
        uid=str(detail["uid"]), keys=set(map(str, detail["keys"])),
        grants={(str(role), str(pattern)) for role, pattern in detail["grants"]},
        secrets={str(one): (str(mark), str(expires)) for one, (mark, expires) in detail["secrets"].items()},
        directory=detail.get("directory") is True,
    )  # fmt: skip
    for change_id, what, about in detail["waits"]:
        found.waits[str(change_id)] = WaitingChange(name, str(what), dict(about))
