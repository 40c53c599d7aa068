"""What Trust and the screen of a pinned key offer, and when each of it applies."""

from __future__ import annotations

from typing import Final

from appliance.api.intake import LedgerRow, Stream
from appliance.api.trust import OwnKey, TrustedKey
from tui.actions.action import Action, Context, may

_KEYS: Final = ("trust", "key")


def _revocable(context: Context) -> str:
    if not isinstance(context.item, TrustedKey):
        return "choose a pinned key first"
    return "it is revoked already" if context.item.revoked else ""


def _pinned(context: Context) -> str:
    if not isinstance(context.item, TrustedKey):
        return "choose a pinned key first"
    return "it is revoked, and stays as it is" if context.item.revoked else ""


def _incoming(context: Context) -> str:
    item = context.item
    if isinstance(item, Stream):
        return "" if item.direction == "in" else "only a stream that is carried in has a floor"
    return "" if isinstance(item, LedgerRow) else "choose a stream first"


def _own(context: Context) -> str:
    return "" if isinstance(context.item, OwnKey) else "choose a key this station can sign with (tab)"


TRUST: Final = (
    Action("pin", ("p",), "Pin", "trust a key from a file, its words compared", _KEYS, may("trust"), hint=2),
    Action(
        "ceremony",
        ("c",),
        "Ceremony",
        "first trust: type what is heard, keep a record",
        _KEYS,
        may("trust"),
        hint=4,
    ),
    Action(
        "revoke",
        ("x",),
        "Revoke",
        "stop believing a key, with the reason",
        _KEYS,
        may("trust", _revocable),
        hint=3,
    ),
    Action(
        "untrust",
        ("u",),
        "Untrust",
        "take out a key that was pinned wrongly",
        _KEYS,
        may("trust", _pinned),
    ),
    Action(
        "correct",
        ("e",),
        "Correct",
        "give a pinned key its right owner or sites",
        _KEYS,
        may("trust", _pinned),
    ),
    Action(
        "floor",
        ("f",),
        "Set floor",
        "two people say where a stream goes on, or the clock",
        ("ledger",),
        may("reset", _incoming),
        hint=3,
    ),
    Action("key_create", ("n",), "New key", "make a key pair in the key folder", ("trust",), may("sign"), hint=2),
    Action(
        "rotate",
        ("o",),
        "Rotate",
        "a new key under a name; the old one is kept",
        ("trust",),
        may("trust", _own),
        hint=3,
    ),
)
