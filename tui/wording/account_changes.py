"""Changes of accounts that take two persons (docs/adr/0015-duties.md), in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.api.people import AccountChange, Credential
from bundles.io.display import safe
from tui.terminal.texts import count, moment
from tui.widgets.mark_rows import Marked

_CREDENTIALS: Final = {"bind-key": "key"}
_HOW: Final = {
    "alone": "at once, by one administrator",
    "own": "confirmed by the person",
    "second": "confirmed",
    "delay": "by waiting alone, nobody confirmed it",
    "before": "set before a role that took effect by waiting alone",
}


def until(change: AccountChange) -> str:
    """What a change that waits waits for, in a few words."""
    return f"effective {moment(change.due)}" if change.due else "for a second person"


def confirmers(change: AccountChange) -> str:
    """Who may confirm a change."""
    others = f"another administrator than {safe(change.asked_by)}"
    names = change.confirmers
    own = change.what != "grant" and (names is None or change.account in names)
    another = names is None or any(name != change.account for name in names)
    parts = [part for part, there in ((safe(change.account), own), (others, another)) if there]
    return " or ".join(parts) or "nobody: no second administrator exists"


def credential(one: Credential) -> str:
    """A credential, and who set it and when."""
    name = f"{_CREDENTIALS.get(one.what, one.what)} {one.thing}".strip()
    under = f", logged in with what {one.under} had set" if one.under else ""
    return safe(f"{name}: set by {one.set_by or 'somebody unknown'} {moment(one.at)}{under}")


def not_the_persons(change: AccountChange) -> str:
    """What another than the person set of the account's credentials; empty where there is none."""
    foreign = [credential(one) for one in change.credentials if one.foreign]
    return f"Set by another, so it waits for a second person too: {'; '.join(foreign)}." if foreign else ""


def effect(change: AccountChange) -> str:
    """When a change that waits takes effect."""
    if change.due:
        return f"{moment(change.due)} at the latest: there is no second administrator"
    return f"when it is confirmed; over {moment(change.expires)}"


def sentence(change: AccountChange) -> str:
    """The change, who asked for it, and how it stands."""
    asked = f"{safe(change.text)}, asked for by {safe(change.asked_by)} {moment(change.asked)}"
    if change.waits:
        return f"{asked}: waits, {f'takes effect {moment(change.due)}' if change.due else 'for a second person'}"
    how = _HOW.get(change.how, safe(change.how))
    by = f" by {safe(change.decided_by)}" if change.how == "second" else ""
    return f"{asked}: in effect since {moment(change.decided)}, {how}{by}"


def marked(changes: Sequence[AccountChange]) -> list[Marked]:
    """A line for each change that a release is to show: what waits, and what took effect since the last one."""
    return [Marked("need" if one.waits else "bad", f"account: {sentence(one)}") for one in changes]


def summary(changes: Sequence[AccountChange]) -> str:
    """How many changes wait and how many took effect since the last release; empty where there are none."""
    waiting = sum(one.waits for one in changes)
    done = len(changes) - waiting
    parts = [f"{count(waiting, 'change')} of accounts {'waits' if waiting == 1 else 'wait'}"] if waiting else []
    if done:
        parts.append(f"{count(done, 'change')} of accounts took effect since the last release")
    return "; ".join(parts)
