"""The demo's accounts: who may log in, what they may, and what an administrator does to them.

The person in training may do everything, so that every screen can be tried; the others have the roles of a station,
and see what those do not give with the reason. Every password is the passphrase of the demo's keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.api.people import Who
from appliance.api.states import ROLES
from appliance.permissions import DOES, GIVES, PERMISSIONS, RULES_OUT, Permission, who_may
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.io.secret import Secret
from tests.console.doubles import changes, data
from tests.console.doubles.state import DemoState

TRAINEE: Final = "trainee"
_IDLE: Final = 15 * 60

Account = dict[str, Any]


def accounts() -> list[Account]:
    """Those of the demo's start, by name."""
    return [
        _account("a.lindgren", "Ada Lindgren", ("administrator",), seen="2026-05-04T08:02:11Z"),
        _account("b.bell", "Bob Bell", ("courier",), seen="2026-05-04T13:40:52Z", uid=1003),
        _account("j.weber", "Jana Weber", ("collector", "writer team/**"), seen="2026-05-02T16:31:07Z",
                 keys=[data.KEYIDS["engineer"]]),
        _account("m.okafor", "M. Okafor", ("security-officer",), seen="2026-05-04T13:55:29Z",
                 keys=[data.KEYIDS["officer"]]),
        _account("p.novak", "Petra Novak", ("reader team/*",), seen="2026-05-04T13:58:40Z",
                 locked_until="2026-05-04T14:04:00Z"),
        _account("robot-ci", "the build farm", ("writer team/**",), kind="robot", seen="2026-05-04T13:59:31Z"),
        _account("robot-cluster", "pulls for the plant's cluster", ("reader",), kind="robot",
                 seen="2026-05-04T13:59:58Z"),
        _account("s.ito", "Sora Ito", ("auditor",), seen="2026-02-27T10:12:00Z", disabled="2026-03-01T00:00:00Z"),
        _account("t.lindqvist", "T. Lindqvist", ("security-officer",), seen="2026-05-03T15:20:03Z",
                 keys=[data.KEYIDS["deputy"]]),
        _account(TRAINEE, "whoever is in training", ("everything",), seen="2026-05-04T14:00:00Z",
                 keys=[data.KEYIDS[name] for name in ("officer", "deputy")]),
    ]  # fmt: skip


def _account(name: str, full_name: str, roles: tuple[str, ...], **more: Any) -> Account:
    held = [dict(zip(("role", "pattern"), (*text.split(" "), "**"), strict=False)) for text in roles]
    return {
        "name": name, "kind": "person", "full_name": full_name, "roles": held, "keys": [], "uid": None,
        "disabled": None, "locked_until": None, "created": data.day(1), "seen": None, **more,
    }  # fmt: skip


def find(station: DemoState, name: str) -> Account:
    """The account of a name. Raises NotFoundError."""
    for account in station.accounts:
        if account["name"] == name:
            return account
    raise NotFoundError("no such account", thing=name, remedy="look in Accounts")


def decisions(account: Account) -> dict[str, tuple[bool, str]]:
    """Every permission, whether the account has it, and why."""
    held = {str(one["role"]) for one in account["roles"]}
    return {permission: _decide(held, permission) for permission in PERMISSIONS}


def denied(account: Account) -> dict[str, str]:
    """What the account may not do, why, and which role may."""
    decided = decisions(account)
    return {name: f"{decided[name][1]}; {who_may(name)}" for name in PERMISSIONS if not decided[name][0]}


def _decide(held: set[str], permission: Permission) -> tuple[bool, str]:
    if "everything" in held:
        return True, "who is in training may do everything"
    roles = [role for role in ROLES if role in held]
    never = next((role for role in roles if permission in RULES_OUT[role]), "")
    if never:
        return False, f"separation of duties: {_article(never)} may never {DOES[permission]}"
    gives = next((role for role in roles if permission in GIVES[role]), "")
    does = DOES[permission]
    return (True, f"{_article(gives)} may {does}") if gives else (False, f"no role of it may {does}")


def _article(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def who(station: DemoState) -> Who:
    """Who the console is to the station."""
    account = find(station, station.account)
    decided = decisions(account)
    return Who(
        account=account["name"],
        roles=account["roles"],
        permissions=tuple(name for name, (allowed, _) in decided.items() if allowed),
        denied=denied(account),
        keys=tuple(account["keys"]),
        idle_seconds=_IDLE,
    )


def check(station: DemoState, name: str, password: str) -> None:
    """Raises RefusedError unless it is a person's name and password, as a station would."""
    account = next((one for one in station.accounts if one["name"] == name and one["kind"] == "person"), None)
    known = account is not None and not account["disabled"] and password == station.passwords.get(name, data.PASSPHRASE)
    if not known:
        raise RefusedError("wrong name or password", remedy=f"in the demo the password is {data.PASSPHRASE}")
    if account is not None and account["locked_until"] and account["locked_until"] > station.now():
        raise RefusedError("too many failed log-ins", remedy="wait, then try again")


def require(station: DemoState, permission: str) -> None:
    """Raises RefusedError where the account that is logged in may not."""
    allowed, why = decisions(find(station, station.account))[permission]
    if not allowed:
        raise RefusedError(
            f"{station.account} may not {permission} ({why})", remedy="an administrator grants the role that gives it"
        )


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the paths of accounts."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["v1", "account-changes"]:
        allowed, _ = decisions(find(station, station.account))["account"]
        return changes.answer(
            station,
            path,
            allowed,
            lambda change, body: _done(find(station, change.account), change.what, body, station),
        )
    if parts[:2] != ["v1", "accounts"]:
        return None
    if parts[3:] == ["password"] and parts[2] == station.account:
        check(station, station.account, Secret(arguments.get("old") or ""))
    else:
        require(station, "account")
    if len(parts) == 2 and "name" in arguments:
        return _create(station, arguments)
    if len(parts) == 2:
        text = str(arguments.get("filter", "")).lower()
        found = [one for one in station.accounts if text in f"{one['name']} {one['full_name']}".lower()]
        return {"items": found, "next": None}
    account = find(station, parts[2])
    return account if len(parts) == 3 else _change(station, account, parts[3], arguments)


def _create(station: DemoState, body: Mapping[str, Any]) -> object:
    name = str(body["name"])
    if any(one["name"] == name for one in station.accounts):
        raise UsageError("the account exists", thing=name, remedy="choose another name: names are not reused")
    kind = str(body.get("kind", "person"))
    made = _account(name, str(body.get("full_name", "")), (), kind=kind, created=station.now())
    station.accounts = sorted([*station.accounts, made], key=lambda one: str(one["name"]))
    if kind == "robot":
        return _secret(station, made)
    station.passwords[name] = Secret(body["password"])
    return made


def _secret(station: DemoState, account: Account) -> object:
    text = data.digest(f"{account['name']} {station.now()}").removeprefix("sha256:")
    return {
        "name": account["name"], "secret": f"lgs_{text[:16]}_{text[16:59]}", "secret_id": text[:16],
        "expires": "2026-08-02T14:00:00Z",
    }  # fmt: skip


def _change(station: DemoState, account: Account, what: str, body: Mapping[str, Any]) -> object:
    if changes.takes_two(account, what, body, station.account):
        return changes.ask(station, account, what, body)
    return _done(account, what, body, station)


def _done(account: Account, what: str, body: Mapping[str, Any], station: DemoState) -> object:
    match what:
        case "disable" | "enable":
            account["disabled"] = station.now() if what == "disable" else None
            account["locked_until"] = None
        case "password":
            station.passwords[str(account["name"])] = Secret(body["password"])
        case "grant":
            account["roles"] = [*account["roles"], {"role": body["role"], "pattern": body.get("pattern") or "**"}]
        case "withdraw":
            gone = {"role": body["role"], "pattern": body["pattern"]}
            account["roles"] = [held for held in account["roles"] if held != gone]
        case "bind-key":
            account["keys"] = sorted({*account["keys"], str(body["keyid"])})
        case "unbind-key":
            account["keys"] = [keyid for keyid in account["keys"] if keyid != body["keyid"]]
        case "secret":
            return _secret(station, account)
        case "explain":
            items = [{"permission": name, "allowed": allowed, "why": why}
                     for name, (allowed, why) in decisions(account).items()]  # fmt: skip
            return {"account": account["name"], "repository": body["repository"], "items": items}
    return account
