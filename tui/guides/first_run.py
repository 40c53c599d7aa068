"""Set up: what a new station needs, in the order in which it is needed, each step with who does it."""

from __future__ import annotations

from typing import Final

from bundles.io.display import safe
from tui.guides.steps import GuideFacts, SettingUp, Step
from tui.terminal.texts import count, words

_INSIDE: Final = ("courier", "security-officer")
_OUTSIDE: Final = ("collector",)
"""The roles without which nothing crosses: the courier imports, the officer approves, the collector builds."""


def steps(facts: GuideFacts) -> list[Step]:
    """The steps as they stand; one that this account may not do says which role may."""
    found = facts.setting_up
    if found is None:
        return [Step("wait", "Look", "the station was not asked yet")]
    status = facts.status
    inside = status.side == "inside"
    last = _first_import(found) if inside else _first_bundle(facts, found)
    return [
        Step("ok", "Site", f"{safe(status.site)}, {safe(status.side)}", "home"),
        _people(found, _INSIDE if inside else _OUTSIDE),
        _keys(found, "release" if inside else "bundle"),
        _trust(found, inside),
        last,
    ]


def _people(found: SettingUp, wanted: tuple[str, ...]) -> Step:
    if found.who.open:
        text = (
            "the station is open: nobody logs in, and anybody on this machine does anything; lockgate close ends that"
        )
        return Step("note", "People", text)
    if found.accounts is None:
        return Step("note", "People", f"not for your roles to see: {safe(found.who.denied.get('account', ''))}")
    held = {one.role for account in found.accounts if account.disabled is None for one in account.roles}
    missing = [role for role in wanted if role not in held]
    people = count(len(found.accounts), "account")
    if missing:
        return Step(
            "need", "People", f"{people}; nobody is {words(missing)} yet: make accounts, give roles", "accounts"
        )
    return Step("ok", "People", f"{people}; {words(wanted)} are there" if len(wanted) > 1 else people, "accounts")


def _keys(found: SettingUp, purpose: str) -> Step:
    """A person who signs has a key: in the station's folder, or in a file of their own whose public half is pinned."""
    pinned = [one for one in found.pinned if purpose in one.purposes and not one.revoked]
    own = [one for one in found.own if not one.station]
    if pinned:
        return Step("ok", "Keys", f"pinned for {purpose}: {words(one.owner for one in pinned)}", "trust")
    if own and purpose == "bundle":
        return Step("ok", "Keys", f"{words(one.name for one in own)} can sign bundles", "trust")
    make = "lockgate key create NAME makes one, lockgate key export NAME gives its public half"
    text = f"no key signs for {purpose} yet. {make}"
    if purpose == "release":
        denied = found.who.denied.get("trust", "")
        text += (
            f"; {safe(denied)}"
            if denied
            else "; pin it for release" + ("" if found.who.open else ", and bind it to its person")
        )
    return Step("need", "Keys", text, "trust")


def _trust(found: SettingUp, inside: bool) -> Step:
    purpose = "bundle" if inside else "receipt"
    pinned = [one for one in found.pinned if purpose in one.purposes and not one.revoked and one.sites]
    if pinned:
        sites = sorted({site for one in pinned for site in one.sites})
        return Step("ok", "Trust", f"keys of {words(sites)} are pinned for {purpose}", "trust")
    denied = found.who.denied.get("trust", "")
    who = f"; {safe(denied)}" if denied else ""
    if inside:
        return Step("need", "Trust", f"pin the sender's key for bundles: its owner reads the words aloud{who}", "trust")
    text = f"once receipts come back, pin the inside's receipt key; bundles can be sent without{who}"
    return Step("note", "Trust", text, "trust")


def _first_import(found: SettingUp) -> Step:
    if found.imported:
        return Step("ok", "First import", "a bundle came in", "intake")
    denied = found.who.denied.get("import", "")
    if denied:
        return Step("note", "First import", safe(denied))
    return Step("need", "First import", "insert the medium; it is verified into quarantine", "bring_in")


def _first_bundle(facts: GuideFacts, found: SettingUp) -> Step:
    if found.sent:
        return Step("ok", "First bundle", f"{count(len(found.sent), 'bundle')} made", "deltas")
    denied = found.who.denied.get("build", "")
    if denied:
        return Step("note", "First bundle", safe(denied))
    if not facts.status.store.blobs:
        text = "nothing is stored yet: lockgate collect REF brings content in, or a client pushes it"
        return Step("need", "First bundle", text, "repositories")
    return Step("need", "First bundle", "pick what is carried, plan it, build and sign it", "new_bundle")
