"""Key rotations of other sites: kept as they come, shown for what they would change, and accepted by two people.

Each person signs the same bytes, which name the document by its digest, with a key that is pinned for releases. The
second signature changes the trust folder. Every word is verified anew then, so a key that was revoked meanwhile does
not count. Nothing here is done by a station or a job by itself but to keep what came.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.distinct_people import people_behind
from appliance.paths import StationPaths
from appliance.rotations.folder import (
    CAME,
    Kept,
    ids,
    is_accepted,
    keep,
    keep_acceptance,
    last_accepted,
    load,
    move_to_accepted,
    remove,
)  # fmt: skip
from bundles.documents.rotation import KeyRotation, decode
from bundles.documents.rotation_carried import CarriedRotation
from bundles.documents.rotation_verdict import KnownRotations, RotationVerdict, judge
from bundles.documents.signed import ROTATION_ACCEPTANCE_TYPE, check_signature
from bundles.errors import GAP, LockgateError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import locked, save_record
from bundles.signing.signature_files import files_of, join
from bundles.signing.trust import TrustFolder, TrustRecord

PEOPLE: Final = 2
"""How many people accept a key rotation, on an open station too: what it changes outlasts the trying out."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A document that came, with what it would change here or why it is refused now, and who accepted it so far."""

    kept: Kept
    verdict: RotationVerdict | None
    refusal: LockgateError | None
    accepted_by: tuple[TrustRecord, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an acceptance came to: who has accepted, and whether the trust folder was changed by it."""

    verdict: RotationVerdict
    owners: tuple[str, ...]
    applied: bool


def acceptance_bytes(site: str, rotation: KeyRotation, digest: str) -> bytes:
    """What a person signs who accepts a document at `site`."""
    return strict_json.canonical(
        {
            "type": ROTATION_ACCEPTANCE_TYPE, "site": site, "source": rotation.site, "number": rotation.number,
            "digest": digest,
        }
    )  # fmt: skip


def look(paths: StationPaths, kept: Kept) -> Waiting:
    """What a document would change now."""
    trust = TrustFolder.load(paths.trust)
    try:
        verdict, refusal = _judged(paths, kept, trust), None
    except RefusedError as error:
        verdict, refusal = None, error
    return Waiting(kept, verdict, refusal, _accepted_by(kept, trust))


def waiting(paths: StationPaths) -> list[Waiting]:
    """Every document that came and was not accepted, ascending."""
    came = (load(paths, CAME, name) for name in ids(paths, CAME))
    return [look(paths, one) for one in came if not is_accepted(paths, one)]


def keep_carried(station: Path, source: str, carried: Iterable[CarriedRotation]) -> None:
    """Keep what a bundle of `source` carried and this station has not yet.

    What is no document, or is another site's, is left: a report names it (`describe`). Raises FailedError where
    nothing can be written or recorded.
    """
    paths = StationPaths(station)
    for one in carried:
        try:
            rotation = decode(one.raw)
        except LockgateError:
            continue
        if rotation.site == source and _is_new(paths, rotation, one):
            _keep(station, paths, rotation, one)


def take(station: Path, one: CarriedRotation) -> Kept:
    """Keep a document that came as a file. Raises RefusedError where it does not count here: one that is to wait for
    others is kept."""
    paths = StationPaths(station)
    try:
        _judged(paths, one, TrustFolder.load(paths.trust))
    except RefusedError as error:
        if error.code != GAP:
            raise
    rotation = decode(one.raw)
    _keep(station, paths, rotation, one)
    return load(paths, CAME, rotation.id)


def _is_new(paths: StationPaths, rotation: KeyRotation, one: CarriedRotation) -> bool:
    last = last_accepted(paths, rotation.site)
    if last is not None and rotation.number <= last.number:
        return False
    if rotation.id not in ids(paths, CAME):
        return True
    held = load(paths, CAME, rotation.id)
    return held.raw != one.raw or not set(one.files) <= set(held.files)


def _keep(station: Path, paths: StationPaths, rotation: KeyRotation, one: CarriedRotation) -> None:
    with locked(paths.trust):
        detail = {"site": rotation.site, "number": rotation.number, "signed_by": sorted(one.files)}
        with recorded(station, Act.KEY_ROTATION_TAKE, rotation.id, detail):
            keep(paths, CAME, rotation.id, one)


def describe(paths: StationPaths, source: str, one: CarriedRotation) -> dict[str, str]:
    """What a report says of a document that a bundle carried: its id, its state (accepted, waits, refused), why."""
    try:
        rotation = decode(one.raw)
    except LockgateError as error:
        return {"id": "", "state": "refused", "why": error.diagnostics()}
    if rotation.site != source:
        return {"id": rotation.id, "state": "refused", "why": f"it is {rotation.site}'s, in a bundle of {source}"}
    last = last_accepted(paths, rotation.site)
    if last is not None and rotation.number < last.number:
        return {"id": rotation.id, "state": "accepted", "why": "a newer one was accepted"}
    kept = Kept(one.raw, one.files, rotation.id, CAME, {})
    if last is not None and last.digest == kept.digest:
        return {"id": rotation.id, "state": "accepted", "why": ""}
    found = look(paths, kept)
    if found.verdict is None:
        return {"id": rotation.id, "state": "refused", "why": str(found.refusal)}
    return {"id": rotation.id, "state": "waits", "why": changes_in_words(found.verdict)}


def changes_in_words(verdict: RotationVerdict) -> str:
    """What a document would change here, in a line."""
    owners = {one.keyid: one.owner for one in verdict.after}
    said = [f"{one.keyid} follows {one.follows} of {owners[one.keyid]}" for one in verdict.rotation.successors
            if one.keyid in owners]  # fmt: skip
    said += [f"{one.keyid} of {owners[one.keyid]} is revoked" for one in verdict.rotation.revoked
             if one.keyid in owners]  # fmt: skip
    return "; ".join(said)


def accept(station: Path, name: str, key: PrivateKey) -> Outcome:
    """Sign that a document is to count, and follow it where two people have said so now.

    Raises RefusedError: it does not count here, or the key is not pinned for releases; UsageError: there is no such
    document, or the same person has accepted it already; FailedError.
    """
    paths = StationPaths(station)
    with locked(paths.trust):
        trust, kept = TrustFolder.load(paths.trust), load(paths, CAME, name)
        if is_accepted(paths, kept):
            remove(paths, CAME, name)
        verdict = _judged(paths, kept, trust)
        raw = acceptance_bytes(trust.site, verdict.rotation, verdict.digest)
        signature = key.sign(raw)
        mine = check_signature(raw, key.public.keyid, signature, trust, at=clock.now(), site=None)
        others = [one for one in _accepted_by(kept, trust) if one.keyid != mine.keyid]
        people = [*others, mine]
        if others and people_behind(paths, people) < PEOPLE:
            raise UsageError(
                "the same person has accepted it already", thing=mine.owner, remedy="another one accepts it, too"
            )
        detail = {"keyid": mine.keyid, "owner": mine.owner, "digest": verdict.digest}
        with recorded(station, Act.KEY_ROTATION_ACCEPT, name, detail):
            keep_acceptance(paths, CAME, files_of(f"{name}.accepted", mine.keyid, signature))
        owners = tuple(one.owner for one in people)
        if people_behind(paths, people) < PEOPLE:
            return Outcome(verdict, owners, applied=False)
        _apply(station, paths, load(paths, CAME, name), verdict, people)
    return Outcome(verdict, owners, applied=True)


def _apply(station: Path, paths: StationPaths, kept: Kept, verdict: RotationVerdict, people: list[TrustRecord]) -> None:
    """Change the trust folder: new keys and the ends of old ones first, revocations last, then the number. Cut off
    before its end, it is accepted again."""
    detail = {
        "digest": verdict.digest,
        "signed_by": [one.keyid for one in verdict.signers],
        "keyids": [one.keyid for one in people],
        "owners": [one.owner for one in people],
        "follows": {one.follows: one.keyid for one in verdict.rotation.successors if one.follows not in verdict.left},
        "revoked": [one.keyid for one in verdict.rotation.revoked if one.keyid not in verdict.left],
    }
    with recorded(station, Act.KEY_ROTATION_APPLY, kept.id, detail):
        for record in verdict.after:
            save_record(paths.trust, record)
        move_to_accepted(paths, kept)


def _judged(paths: StationPaths, one: CarriedRotation, trust: TrustFolder) -> RotationVerdict:
    """The verdict about a document here and now. Raises RefusedError; UsageError where what was accepted is damaged."""

    def standing_of(site: str) -> KnownRotations:
        others = (load(paths, CAME, name).raw for name in ids(paths, CAME) if name.rpartition("-")[0] == site)
        return KnownRotations(last_accepted(paths, site), others)

    return judge(one.raw, one.files, trust, standing_of, clock.now())


def _accepted_by(kept: Kept, trust: TrustFolder) -> tuple[TrustRecord, ...]:
    """Whose acceptances count for these very bytes now."""
    try:
        raw = acceptance_bytes(trust.site, kept.rotation, kept.digest)
    except LockgateError:
        return ()
    found = []
    for keyid, files in kept.acceptances.items():
        record = trust.find(keyid)
        signature = None if record is None else join(record.key.algorithm, files)
        if signature is None:
            continue
        try:
            found.append(check_signature(raw, keyid, signature, trust, at=clock.now(), site=None))
        except RefusedError:  # revoked since, or not a release key any more: it counts not
            continue
    return tuple(found)
