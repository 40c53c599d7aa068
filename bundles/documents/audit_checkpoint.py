"""Checkpoints of the audit log: signed statements of where each lane stands, and how one is written and read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.io.times import check_time
from bundles.oci.reference import check_site
from bundles.signing.keys import PublicKey

CHECKPOINT_TYPE: Final = "application/vnd.lockgate.audit-checkpoint.v1+json"


class LaneHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lane's last event that the station vouches for: its number, and the sha256 of its line. From event `sealed` on
    each carries a right MAC (bundles.documents.audit_seal); 0 where an earlier version signed."""

    lane: int
    seq: int
    head: str
    sealed: int = 0


class RefusedLane(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lane with lines that the station did not write, or without lines that it wrote: it is signed up to `seq` and no
    further (0: not at all). `code` says why (bundles.documents.audit_findings), `file` where."""

    lane: int
    seq: int
    code: str
    file: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every lane's last event at a time. `previous` is the sha256 of the checkpoint's line before, or null for 1;
    `origin` that of the station's origin.json, "" where it had none or an earlier version signed. `sealed` says that
    every event behind this checkpoint carries a MAC; `refused` are the lanes that are not signed to their end. `former`
    are the public keys, in PEM, of the audit keys before the one that signed, the oldest first."""

    type: str = CHECKPOINT_TYPE
    site: str
    number: int
    previous: str | None
    created: str
    lanes: list[LaneHead]
    origin: str = ""
    sealed: bool = False
    refused: list[RefusedLane] = msgspec.field(default_factory=list)
    former: list[str] = msgspec.field(default_factory=list)

    def former_keys(self) -> list[PublicKey]:
        """The public keys of `former`. Raises MalformedError."""
        return [PublicKey.from_pem(pem.encode()) for pem in self.former]


def checkpoint_line(checkpoint: Checkpoint, keyid: str, signature: bytes) -> bytes:
    """A signed checkpoint's line."""
    return (
        strict_json.canonical(
            {
                "checkpoint": msgspec.to_builtins(checkpoint),
                "keyid": keyid,
                "signature": base64.b64encode(signature).decode(),
            }
        )
        + b"\n"
    )


def payload_of(checkpoint: Checkpoint) -> bytes:
    """What the audit key signs."""
    return strict_json.canonical(msgspec.to_builtins(checkpoint))


def read_checkpoint(line: bytes, keys: Sequence[PublicKey], site: str) -> Checkpoint:
    """A checkpoint whose signature by one of the keys holds, the one that it names. Raises MalformedError."""
    return read_signed(line, keys, site)[0]


def read_signed(line: bytes, keys: Sequence[PublicKey], site: str) -> tuple[Checkpoint, PublicKey]:
    """As `read_checkpoint`, with the key that signed."""
    fields = strict_json.loads_canonical(
        line.rstrip(b"\n"), ceiling=limits.AUDIT_LINE, nodes=limits.AUDIT_LINE_NODES, what="the checkpoint"
    )
    if not isinstance(fields, dict) or set(fields) != {"checkpoint", "keyid", "signature"}:
        raise MalformedError("not a checkpoint")
    try:
        signature = base64.b64decode(str(fields["signature"]), validate=True)
        if base64.b64encode(signature).decode() != fields["signature"]:
            raise MalformedError("a signature with slack")
        key = next((key for key in keys if key.keyid == fields["keyid"]), None)
        if key is None:
            raise MalformedError("the checkpoint's signature does not hold: it names another key")
        if not key.verify(strict_json.canonical(fields["checkpoint"]), signature):
            raise MalformedError("the checkpoint's signature does not hold")
        checkpoint = msgspec.convert(fields["checkpoint"], Checkpoint, strict=True)
    except (msgspec.ValidationError, binascii.Error) as error:
        raise MalformedError("not a checkpoint", thing=str(error)[:120]) from None
    if checkpoint.type != CHECKPOINT_TYPE:
        raise MalformedError("a checkpoint of another kind")
    if checkpoint.site != site:
        raise MalformedError(f"a checkpoint of another site: {checkpoint.site}")
    check_site(checkpoint.site)
    check_time(checkpoint.created, "created")
    return checkpoint, key
