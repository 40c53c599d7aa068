"""Where a bundle stands, outgoing or incoming: its state, who acted, where it lies, what a person does next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.api.bundles import OutgoingBundle
from appliance.api.intake import IntakeEntry
from bundles.io.display import safe
from tui.terminal.texts import count, moment, words

_NEXT_OUT: Final = {
    "to-sign": ("need", "it waits for its signature, on Jobs"),
    "signed": ("busy", "its media are being written"),
    "unfinished": ("need", "it is signed and not on its media: the same build again finishes it"),
    "written": ("need", "carry it to the other side; a receipt that comes back says that it came in"),
    "superseded": ("ok", "later bundles carry all of its tags; nothing is left to do"),
    "voided": ("wait", "it was said to be lost, and never comes in"),
    "quarantined": ("wait", "it came in there, and waits for people there"),
    "approved": ("wait", "it is approved there, and waits to be released there"),
    "released": ("ok", "it is released there; nothing is left to do"),
    "rejected": ("bad", "it was rejected there: ask why, and send a new one"),
    "withdrawn": ("bad", "it was withdrawn there: ask why, and send a new one"),
}
_NEXT_IN: Final = {
    "quarantined": ("need", "enter opens it: read its report, then approve or reject it"),
    "approved": ("need", "enter opens it: it can be released"),
    "released": ("ok", "its artifacts are shown, but for what is blocked; nothing is left to do"),
    "superseded": ("ok", "later releases moved all of its tags; nothing is left to do"),
    "rejected": ("bad", "its content is visible to nobody; ask the sender for a new bundle"),
    "withdrawn": ("bad", "enter opens it: it can be approved anew, or rejected for good"),
}

_CUT: Final = frozenset({"signed", "written"})


@dataclass(frozen=True)
class Carried:
    """A bundle of either way: `other` is the site across the gap, `word` where it stands; times are wire times."""

    id: str
    other: str
    word: str
    since: str
    people: str
    media: tuple[str, ...]
    next: tuple[str, str]
    digest: str
    why: str = ""
    cut: bool = False
    """Whether it was signed here and its media can be cut again."""


def outgoing(one: OutgoingBundle) -> Carried:
    """A bundle that was made here. What the inside's receipt says of it stands before what is known here."""
    word = one.standing or one.state
    told = "by the receipt of the other side" if one.inside else "no receipt names it yet"
    if word in ("to-sign", "signed", "unfinished", "voided"):
        told = ""
    role, text = _NEXT_OUT.get(word, ("note", safe(word)))
    return Carried(
        one.id, one.stream.partition(".")[2], word, one.since or one.created, told, one.places, (role, text),
        one.digest or "", one.why or (f"superseded by {one.by}" if one.by else ""), one.state in _CUT,
    )  # fmt: skip


def incoming(one: IntakeEntry) -> Carried:
    """A bundle that came in."""
    why = one.why or (f"superseded by {one.by}" if one.by else "")
    people = f"{one.approvals} of {one.needed} approvals"
    return Carried(
        one.id, one.stream.partition(".")[0], one.standing or one.state, one.since or one.received, people, (),
        _next_in(one), one.digest, why,
    )  # fmt: skip


def _next_in(one: IntakeEntry) -> tuple[str, str]:
    if one.damaged:
        return "bad", f"its manifest cannot be read: {safe(one.damaged)}"
    if one.state == "receiving":
        return "need", f"{count(len(one.missing_volumes), 'volume')} still to come: import the next medium on Intake"
    return _NEXT_IN.get(one.standing or one.state, ("note", safe(one.state)))


def history(timeline: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Who did what, on both sides, in the order of time: when and where, and the act with its person."""
    told = []
    for one in timeline:
        note = f" ({safe(str(one['note']))})" if one.get("note") else ""
        told.append(
            (f"{moment(str(one.get('at', '')))} {safe(str(one.get('site', '')))}",
             f"{safe(str(one.get('what', '')))}: {safe(str(one.get('who', '')))}{note}")
        )  # fmt: skip
    return told


def media_of(one: Carried) -> str:
    """Where it was written to."""
    return words(one.media) if one.media else "none is known here"
