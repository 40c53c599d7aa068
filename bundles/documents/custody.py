"""What a receipt says of a bundle's way inside: its part of the custody record, which the outside joins to its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

import msgspec

from bundles import limits
from bundles.errors import MalformedError
from bundles.io.times import check_time
from bundles.oci.digest import Digest
from bundles.signing.keys import check_keyid

_ID: Final = re.compile(r"[a-z0-9-]{1,32}\.(?P<site>[a-z0-9-]{1,32})-[0-9]{6,16}\Z")


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A state that a bundle came to, when and by whom; `note` may be empty."""

    state: str
    at: str
    actor: str
    note: str


class Decided(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's signed decision: `decision` is `approve` or `reject`, `why` may be empty."""

    keyid: str
    owner: str
    at: str
    decision: str
    why: str


class HandedOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A medium that went from hand to hand; `serial`, `seal` and `note` may be empty, `actor` wrote it down."""

    at: str
    giver: str
    taker: str
    medium: str
    serial: str
    seal: str
    note: str
    actor: str


class CustodyPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one side kept of a bundle, `digest` the sha256 of its SHA256SUMS. Lists are in order."""

    bundle: str
    digest: str
    state: str
    steps: list[Step]
    decisions: list[Decided]
    handovers: list[HandedOver]


def check_parts(parts: Sequence[CustodyPart], site: str) -> None:
    """Every rule of the parts on a site's receipt: they ascend by bundle, all of bundles to the site, times are times.

    Raises MalformedError naming the field.
    """
    if any(not one.bundle < other.bundle for one, other in pairwise(parts)):
        raise MalformedError("custody is out of order or has doubles")
    for part in parts:
        match = _ID.match(part.bundle)
        if match is None or match["site"] != site:
            raise MalformedError("custody of a bundle that does not lead here", thing=repr(part.bundle)[:80])
        if Digest.parse(part.digest).algorithm != "sha256":
            raise MalformedError("a bundle's digest is not a sha256", thing=part.digest[:80])
        every: list[Step | Decided | HandedOver] = [*part.steps, *part.decisions, *part.handovers]
        for one in every:
            check_time(one.at, "custody's time")
            if any(len(text) > limits.CUSTODY_TEXT for text in msgspec.structs.astuple(one)):
                raise MalformedError("a text in custody is too long", thing=part.bundle)
        for decision in part.decisions:
            check_keyid(decision.keyid)


def digest_of_part(document: str) -> str:
    """What the event of taking a receipt names of each part of it: the sha256 of its canonical JSON, in hex."""
    return sha256(document.encode()).hexdigest()
