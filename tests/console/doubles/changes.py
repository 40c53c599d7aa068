"""The demo's changes of accounts that take two persons: one waits from the start, others as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from appliance.api.people import AccountChange
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.io.times import later
from tests.console.doubles.state import DemoChange, DemoState

_GUARDED: Final = ("security-officer", "administrator")
_CREDENTIALS: Final = ("password", "bind-key", "enable")
_PATH: Final = "/v1/account-changes"
_EXPIRES: Final = timedelta(days=14)


def changes() -> list[DemoChange]:
    """The one of the demo's start: an officer forgot his password."""
    return [_kept("5a1f09c2", "t.lindqvist", "password", {"password": "a new password"}, "a.lindgren",
                  "2026-05-04T09:30:00Z")]  # fmt: skip


def _kept(change_id: str, account: str, what: str, body: Mapping[str, Any], asked_by: str, at: str) -> DemoChange:
    text = {
        "password": f"a new password for {account}",
        "bind-key": f"key {body.get('keyid')} stands for {account}",
        "enable": f"{account} may log in again",
        "grant": f"{account} is {body.get('role')} on {body.get('pattern')}",
    }[what]
    return DemoChange(
        AccountChange(id=change_id, account=account, what=what, text=text, state="waits", asked_by=asked_by, asked=at,
                      expires=later(at, _EXPIRES)),
        body,
    )  # fmt: skip


def takes_two(account: Mapping[str, Any], what: str, body: Mapping[str, Any], actor: str) -> bool:
    """Whether a change waits for a second person, as docs/adr/0015-duties.md says."""
    if what == "grant":
        return body.get("role") in _GUARDED
    held = {str(one["role"]) for one in account["roles"]}
    shut = what != "enable" or account["disabled"]
    return what in _CREDENTIALS and account["name"] != actor and bool(shut) and not held.isdisjoint(_GUARDED)


def ask(station: DemoState, account: Mapping[str, Any], what: str, body: Mapping[str, Any]) -> object:
    """Keep a change until it is confirmed."""
    number = len(station.changes)
    kept = _kept(f"5a1f{number:04d}", str(account["name"]), what, body, station.account, station.now())
    station.changes.append(kept)
    return {**account, "waits": msgspec.to_builtins(kept.shown)}


def waiting(station: DemoState) -> tuple[AccountChange, ...]:
    """What waits."""
    return tuple(kept.shown for kept in station.changes if kept.shown.waits)


def unshown(station: DemoState) -> tuple[AccountChange, ...]:
    """What waits, and what took effect since a release showed it."""
    found = [kept.shown for kept in station.changes]
    return tuple(one for one in found if one.waits or (one.state == "done" and not one.shown))


def show(station: DemoState, bundle: str) -> None:
    """A release has shown what took effect."""
    for kept in station.changes:
        if kept.shown.state == "done" and not kept.shown.shown:
            kept.shown = msgspec.structs.replace(kept.shown, shown=bundle)


def answer(
    station: DemoState, path: str, may_administer: bool, do: Callable[[AccountChange, Mapping[str, Any]], object]
) -> object | None:
    """GET /v1/account-changes, and POST to confirm and cancel; `do` does a confirmed change."""
    if path == _PATH:
        seen = [one for one in waiting(station) if may_administer or one.account == station.account]
        return {"items": msgspec.to_builtins(seen), "next": None}
    if not path.startswith(f"{_PATH}/"):
        return None
    change_id, word = path.removeprefix(f"{_PATH}/").split("/")
    kept = next((one for one in station.changes if one.shown.id == change_id), None)
    if kept is None:
        raise NotFoundError("no such change", thing=change_id, remedy="look in Accounts")
    change = kept.shown
    thing = f"{change.id}: {change.text}"
    if not change.waits:
        raise FailedError(f"the change is {change.state}", thing=thing, remedy="look in Accounts")
    own = change.account == station.account and change.what != "grant"
    if not own and not may_administer:
        raise RefusedError("another must confirm the change", thing=thing, remedy="ask a second administrator")
    if word == "confirm" and change.asked_by == station.account:
        raise RefusedError(
            "who asked for the change may not confirm it", thing=thing, remedy="ask a second administrator"
        )
    state, how = ("done", "own" if own else "second") if word == "confirm" else ("cancelled", "")
    if word == "confirm":
        do(change, kept.body)
    kept.shown = msgspec.structs.replace(change, state=state, how=how, decided_by=station.account,
                                         decided=station.now(), due=None, expires=None)  # fmt: skip
    shown: dict[str, Any] = msgspec.to_builtins(kept.shown)
    return shown
