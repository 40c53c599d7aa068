"""Stations that are followed in words: how this one stands to each, and what keeps a tag from being followed. Pure."""

from __future__ import annotations

from typing import Final

from appliance.api.transfers import Replica, ReplicaRepository
from bundles.io.display import safe
from tui.terminal.texts import count, moment, size, span

_FRESH: Final = 60
"""Seconds for which a look that found everything equal counts, at least: a look may take as long."""

_WHY: Final = {
    "moved-here": "moved here, and not at the primary",
    "moved-both": "moved on both sides",
    "went-back": "went back at the primary",
}


def standing(one: Replica) -> tuple[str, str]:
    """How this station stands to one that it follows, as a word, and the word's role. `as there` is said only where a
    look that found everything equal ended lately and nothing failed since."""
    if one.fault or any(each.fault for each in one.repositories):
        return "fault", "bad"
    if one.lag is None:
        return "not yet", "wait"
    if any(each.conflicts for each in one.repositories):
        return "conflict", "need"
    if any(each.behind for each in one.repositories):
        return "behind", "need"
    return ("late", "need") if one.lag > max(_FRESH, 3 * one.every) else ("as there", "ok")


def repository_standing(one: ReplicaRepository) -> tuple[str, str]:
    """The same of one repository."""
    if one.fault:
        return "fault", "bad"
    if one.conflicts:
        return "conflict", "need"
    if one.behind:
        return "behind", "need"
    return ("not yet", "wait") if one.lag is None else ("as there", "ok")


def lag_told(lag: int | None) -> str:
    """A lag, or that nothing was found equal yet."""
    return "never" if lag is None else span(lag)


def about_replica(one: Replica) -> list[tuple[str, str]]:
    """The facts of a followed station, name and text."""
    hours = ", ".join(one.hours) or "always"
    facts = [
        ("primary", safe(f"{one.url}{f' as {one.account}' if one.account else ''}")),
        ("of it", safe(", ".join(one.patterns))),
        ("when", f"{safe(hours)}, every {span(one.every)}" if one.follow else "when asked: c compares now"),
        ("limit", f"{size(one.rate)}/s" if one.rate else "none"),
        ("deletes", "tags that are gone there are deleted here" if one.deletes else "what is gone there stays here"),
        ("looked", f"{moment(one.began)}{'' if one.ended else ', which goes on'}" if one.began else "never"),
        ("equal", f"as of {moment(one.whole)}" if one.whole else "no look has found everything equal yet"),
    ]
    return [*facts, ("fault", safe(one.fault))] if one.fault else facts


def about_repository(one: ReplicaRepository) -> list[tuple[str, str]]:
    """What waits in a followed repository, and why."""
    facts = [
        ("tags", f"{count(one.tags, 'tag')} there, {one.behind} not here as there"),
        ("equal", f"as of {moment(one.equal)}" if one.equal else "no look has found everything equal yet"),
    ]
    if one.gone:
        facts.append(("gone", f"{count(one.gone, 'tag')} here that the primary has no more"))
    if one.withheld:
        facts.append(("withheld", f"{count(one.withheld, 'tag')} that one side shows to nobody"))
    facts += [
        (safe(tag.tag), f"{_WHY.get(tag.why, safe(tag.why))}: here {safe(tag.here) or 'nowhere'}, there"
                        f" {safe(tag.there) or 'nowhere'}")
        for tag in one.stuck
    ]  # fmt: skip
    if one.conflicts > len(one.stuck):
        facts.append(("", f"{count(one.conflicts - len(one.stuck), 'more tag')} not followed"))
    return [*facts, ("fault", safe(one.fault))] if one.fault else facts
