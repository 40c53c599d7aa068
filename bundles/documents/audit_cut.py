"""A cut of the audit log's beginning: what a prune removed, signed by the station's audit key.

The event `audit.prune` carries it as `detail.cut`, `detail.keyid` and `detail.signature`. A lane that does not begin
with its first event is whole only where a signed cut says where it begins, and with which segment.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.signing.keys import PrivateKey, PublicKey

_OWN: Final = re.compile(r"(lanes|checkpoints\.(jsonl|lock)|lanes/[0-9]{2}\.(lock|[0-9]{6}\.jsonl))\Z")
CUT_TYPE: Final = "org.lockgate.audit-cut.v1"


class LaneCut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lane begins with event `from_` of segment `first` afterwards; `prev` is the sha256 of the last event that went,
    and `segments` the sha256 of each file that went, by name."""

    lane: int
    first: int
    from_: int = msgspec.field(name="from")
    prev: str
    segments: dict[str, str]


class CutRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that keeps what the log said of imports and links: `imported/SHA256.cut` in the station's folder.

    It speaks of every event up to the number in `covers`, by lane (as decimal text); `since` is when what it speaks of
    begins, "" for the log's own beginning.
    """

    sha256: str
    covers: dict[str, int]
    since: str = ""


class Cut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whole segments that were removed. `sums` is the sha256 of the signed SHA256SUMS of the export that holds them,
    `head` the head that the export ends with, `record` what is kept of the events, `origin` the sha256 of the station's
    origin.json ("" for none)."""

    type: str = CUT_TYPE
    site: str
    sums: str
    head: str
    lanes: list[LaneCut]
    record: CutRecord | None = None
    origin: str = ""


def sign_cut(cut: Cut, key: PrivateKey) -> dict[str, Any]:
    """The detail of the event that announces a cut."""
    fields = msgspec.to_builtins(cut)
    signature = key.sign(strict_json.canonical(fields))
    return {"cut": fields, "keyid": key.public.keyid, "signature": base64.b64encode(signature).decode()}


def read_cut(detail: Mapping[str, Any], keys: Sequence[PublicKey], site: str) -> Cut:
    """The cut that an event's detail carries, its signature by one of the keys checked. Raises MalformedError."""
    try:
        fields, signature = detail["cut"], base64.b64decode(str(detail["signature"]), validate=True)
        if not any(key.verify(strict_json.canonical(fields), signature) for key in keys):
            raise MalformedError("the prune's signature does not hold")
        cut = msgspec.convert(fields, Cut, strict=True)
    except (LookupError, TypeError, ValueError, msgspec.ValidationError, binascii.Error):
        raise MalformedError("the prune is not signed") from None
    if cut.type != CUT_TYPE or cut.site != site:
        raise MalformedError("the prune is of another kind or site")
    return cut


def cuts_of(prunes: Iterable[Mapping[str, Any]], keys: Sequence[PublicKey], site: str) -> tuple[list[Cut], list[str]]:
    """The signed cuts that events carry, and what is wrong with the others."""
    cuts: list[Cut] = []
    wrong = []
    for detail in prunes:
        try:
            cuts.append(read_cut(detail, keys, site))
        except MalformedError as error:
            wrong.append(error.diagnostics())
    return cuts, wrong


def strays(folder: Path, *, everything: bool) -> list[str]:
    """Files in a log's folder that are no part of a log; with `everything` also beside its lanes (an export has other
    files there, which its SHA256SUMS names)."""
    lanes = folder / "lanes"
    names = [f"lanes/{entry.name}" for entry in os.scandir(lanes)] if lanes.is_dir() else []
    names += [entry.name for entry in os.scandir(folder)] if everything else []
    return sorted(name for name in names if _OWN.match(name) is None)
