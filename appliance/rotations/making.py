"""Key rotations that this station makes of its own site's keys: each is signed by everybody concerned, then carried.

A bundle carries every finished one, oldest first, so that an inside which missed one can take them in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.known_keys import find_public_key
from appliance.paths import StationPaths
from appliance.rotations.folder import MADE, Kept, ids, keep, load
from bundles.documents.rotation import KeyRotation, Successor, Withdrawn, encode
from bundles.documents.rotation_carried import CarriedRotation
from bundles.documents.rotation_verdict import signature_holds
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.signing.keys import PrivateKey, PublicKey
from bundles.signing.pinning import locked
from bundles.signing.signature_files import files_of, parse_name
from bundles.signing.trust import site_of

OVERLAP_DAYS: Final = 30
"""Days that the old key counts beside the new one, unless asked otherwise: what is on its way still comes in."""
_DAY: Final = 24 * 3600


def make(
    station: Path, successors: Iterable[tuple[str, PublicKey]], revoked: Iterable[str], why: str, overlap_days: int
) -> Kept:
    """Write the site's next key rotation, which nobody has signed yet: (old keyid, new key) pairs, and keyids.

    Raises UsageError: the one before is not finished, or the document would contradict itself; FailedError.
    """
    paths = StationPaths(station)
    with locked(paths.trust):
        before = _last_made(paths)
        if before is not None and (missing := unsigned_by(paths, before)):
            raise UsageError(
                "the key rotation before is not signed by all of its keys",
                thing=f"{before.id}: {', '.join(missing)}",
                remedy=f"sign it first: lockgate key rotation sign {before.id} --key KEY",
            )
        until = clock.after(overlap_days * _DAY)
        rotation = KeyRotation(
            site=site_of(paths.trust),
            number=1 if before is None else before.rotation.number + 1,
            previous=None if before is None else before.digest,
            created=clock.now(),
            why=why,
            successors=sorted(
                (
                    Successor(follows=old, keyid=new.keyid, key=new.to_pem().decode(), until=until)
                    for old, new in successors
                ),
                key=lambda one: one.follows,
            ),
            revoked=[Withdrawn(keyid=keyid, why=why) for keyid in sorted(set(revoked))],
        )
        try:
            raw = encode(rotation)
        except MalformedError as error:
            raise UsageError(error.what, thing=error.thing, remedy=error.remedy or "give other keys") from None
        detail: dict[str, Any] = {
            "why": why,
            "follows": {one.follows: one.keyid for one in rotation.successors},
            "revoked": [one.keyid for one in rotation.revoked],
        }
        with recorded(station, Act.KEY_ROTATION_MAKE, rotation.id, detail):
            keep(paths, MADE, rotation.id, CarriedRotation(raw, {}))
    return load(paths, MADE, rotation.id)


def sign(station: Path, name: str, key: PrivateKey) -> Kept:
    """Sign a key rotation that was made here. Raises UsageError where there is none, FailedError."""
    kept = load(StationPaths(station), MADE, name)
    return add_signature(station, name, key.public, key.sign(kept.raw))


def add_signature(station: Path, name: str, public: PublicKey, signature: bytes) -> Kept:
    """Keep a signature over a key rotation that was made here: by `sign`, or by whoever keeps the key elsewhere.
    Raises UsageError where there is no such document, RefusedError where the signature does not hold."""
    paths = StationPaths(station)
    with locked(paths.trust):
        kept = load(paths, MADE, name)
        named = {parse_name(file, "s"): data for file, data in files_of("s", public.keyid, signature).items()}
        files = {parsed[1]: data for parsed, data in named.items() if parsed is not None}
        if not signature_holds(public, kept.raw, files):
            raise RefusedError(
                "the signature does not hold",
                thing=f"key {public.keyid}, {name}",
                remedy=f"sign the bytes of {paths.rotations / MADE / name}.json",
            )
        detail = {"keyid": public.keyid, "digest": kept.digest}
        with recorded(station, Act.KEY_ROTATION_SIGN, name, detail):
            keep(paths, MADE, name, CarriedRotation(kept.raw, {**kept.files, public.keyid: files}))
    return load(paths, MADE, name)


def unsigned_by(paths: StationPaths, kept: Kept) -> list[str]:
    """The keys whose signatures a document lacks: each that is followed, and each that follows. Of one that revokes
    alone, the keys that it revokes, until anybody signed it. Raises MalformedError."""
    rotation = kept.rotation
    wanted = [keyid for one in rotation.successors for keyid in (one.follows, one.keyid)]
    if not wanted and not kept.files:
        return [one.keyid for one in rotation.revoked]
    return [keyid for keyid in wanted if keyid not in kept.files]


def key_of(paths: StationPaths, kept: Kept, keyid: str) -> PublicKey:
    """The public key that signs under an id: a new one of the document's, or one that the station knows. Raises
    UsageError."""
    for one in kept.rotation.successors:
        if one.keyid == keyid:
            return one.public
    return find_public_key(paths, keyid)


def carried(paths: StationPaths) -> Sequence[Kept]:
    """The documents that bundles carry: those made here, up to the first that lacks a signature."""
    found: list[Kept] = []
    for name in ids(paths, MADE):
        kept = load(paths, MADE, name)
        try:
            if kept.rotation.id != name or unsigned_by(paths, kept):
                break
        except LockgateError:
            break
        found.append(kept)
    return found


def _last_made(paths: StationPaths) -> Kept | None:
    names = ids(paths, MADE)
    return load(paths, MADE, names[-1]) if names else None
