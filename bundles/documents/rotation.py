"""A key rotation: a site's signed, numbered word on which keys follow which of its keys, and which count no longer.

Canonical JSON (RFC 8785), closed, with detached signatures, as the other documents (bundles.documents.signed). It is
carried in a bundle's manifest, or as a file. What an inside makes of one is bundles.documents.rotation_verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import msgspec

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.io.times import check_time
from bundles.oci.digest import Digest
from bundles.oci.reference import check_site
from bundles.signing.keys import PublicKey, check_keyid

ROTATION_TYPE: Final = "application/vnd.lockgate.key-rotation.v1+json"
_WHAT: Final = "key rotation"


class Successor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`key` (a public key's file, PEM or OpenSSH's line, of the id `keyid`) takes the place of the key `follows`, which
    counts beside it until the time `until`."""

    follows: str
    keyid: str
    key: str
    until: str

    @property
    def public(self) -> PublicKey:
        """The new key. Raises MalformedError where `key` is none, or not the one that `keyid` names."""
        public = PublicKey.from_pem(self.key.encode())
        if public.keyid != self.keyid or public.to_pem().decode() != self.key:
            raise MalformedError("a new key that is not the one its id names", thing=self.keyid)
        return public


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that is to count no longer, whatever it signed and when; `why` is for people."""

    keyid: str
    why: str


class KeyRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`site` says it of its own keys, in its document `number` (from 1); `previous` is the sha256 of the one before
    (`sha256:...`), null for number 1. `successors` ascend by `follows`, `revoked` by keyid; one of them has an
    entry."""

    type: str = ROTATION_TYPE
    site: str
    number: int
    previous: str | None
    created: str
    why: str
    successors: list[Successor]
    revoked: list[Withdrawn]

    @property
    def id(self) -> str:
        """`<site>-<number, six digits>`: its name as a file."""
        return rotation_id(self.site, self.number)


def rotation_id(site: str, number: int) -> str:
    """`<site>-<number, six digits>`."""
    return f"{site}-{number:06d}"


def encode(rotation: KeyRotation) -> bytes:
    """Canonical bytes: what is signed and what is hashed. Raises MalformedError where a field cannot be."""
    check(rotation)
    return strict_json.canonical(msgspec.to_builtins(rotation))


def decode(raw: bytes) -> KeyRotation:
    """The document in `raw`: canonical, closed, every field checked. Raises MalformedError."""
    fields = strict_json.loads_canonical(raw, ceiling=limits.KEY_ROTATION, nodes=limits.KEY_ROTATION_NODES, what=_WHAT)
    found = fields.get("type") if isinstance(fields, dict) else None
    if found != ROTATION_TYPE:
        raise MalformedError(f"not a {_WHAT}", thing=repr(found)[:120], remedy=f"its type must be {ROTATION_TYPE}")
    try:
        rotation = msgspec.convert(fields, KeyRotation, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError(f"a malformed {_WHAT}", thing=str(error)[:160]) from None
    check(rotation)
    return rotation


def check(rotation: KeyRotation) -> None:
    """Every rule that the document can break by itself. Raises MalformedError naming the field."""
    check_site(rotation.site)
    check_time(rotation.created, "created")
    if not 1 <= rotation.number <= limits.KEY_ROTATION_NUMBER or (rotation.number == 1) != (rotation.previous is None):
        raise MalformedError(
            "a key rotation's number and the one before it do not agree", thing=str(rotation.number)[:20]
        )
    if rotation.previous is not None and Digest.parse(rotation.previous).algorithm != "sha256":
        raise MalformedError("previous is not a sha256", thing=rotation.previous[:80])
    _check_why(rotation.why)
    if not rotation.successors and not rotation.revoked:
        raise MalformedError("a key rotation that changes nothing", thing=rotation.id)
    if max(len(rotation.successors), len(rotation.revoked)) > limits.KEY_ROTATION_KEYS:
        raise MalformedError("a key rotation of too many keys", thing=rotation.id)
    _ascending((one.follows for one in rotation.successors), "successors")
    _ascending((one.keyid for one in rotation.revoked), "revoked")
    for one in rotation.successors:
        check_keyid(one.follows)
        check_time(one.until, "until")
        _ = one.public
        if one.until < rotation.created:
            raise MalformedError("until lies before created", thing=one.until)
    for each in rotation.revoked:
        check_keyid(each.keyid)
        _check_why(each.why)
    named = [
        *(one.follows for one in rotation.successors),
        *(one.keyid for one in rotation.successors),
        *(one.keyid for one in rotation.revoked),
    ]
    if len(set(named)) != len(named):
        raise MalformedError(
            "a key stands twice in the key rotation",
            thing=next(keyid for keyid in named if named.count(keyid) > 1),
            remedy="a key follows one key; a revoked one has no successor: the new one is pinned by its owner's voice",
        )


def _check_why(why: str) -> None:
    if not why.strip() or len(why) > limits.KEY_ROTATION_WHY:
        raise MalformedError(
            "a key rotation needs a reason", thing=why[:60], remedy=f"at most {limits.KEY_ROTATION_WHY} characters"
        )


def _ascending(values: Iterable[str], what: str) -> None:
    if any(not before < after for before, after in pairwise(values)):
        raise MalformedError(f"{what} is out of order or has doubles")
