"""The trust decision about a key rotation, as a pure function: bytes and trust in, what it would change or a refusal.

It reads no file, no clock and no network. As a root of The Update Framework (TUF specification, section 5.3) a document
counts by the keys that are believed before it, and by the new ones. Its rules, in their order; each refuses by name:

1. There are at most `limits.SIGNATURES` signing keys. Those that are pinned here signed these very bytes, in their one
   form, and one of them at least counts now. Only then is the document parsed.
2. It is canonical, closed and consistent (bundles.documents.rotation).
3. It is not from the future (a day's slack).
4. Its number is above the site's last that was accepted here, and the documents between lead from that one to it, each
   by the digest of the one before; none of them would change anything here. Where none was accepted yet, any number
   will do: this station learnt the site's keys otherwise.
5. It changes something here. A key that is not pinned here, that counts no longer, that is another site's or pinned for
   what no other site speaks of (CARRIED) is left as it is, and named.
6. A key of the site, pinned for its bundles or receipts, is among the signers. Each key that is followed signed the
   document itself, and so did the key that follows it.
7. The new key is not pinned for anything else, and it is of a kind that the policy takes and that may have the purposes
   of the old one. It gets the old one's owner, purposes and sites: never more.
8. For each purpose of each key as many distinct owners signed, by such keys, as the policy took before. A key that
   revokes itself needs nobody else.

Signatures by keys that count for nothing here are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from bundles import limits
from bundles.documents.rotation import KeyRotation, Successor, decode
from bundles.errors import FORK, GAP, ROLLBACK, MalformedError, RefusedError
from bundles.io.times import later
from bundles.oci.digest import Digest
from bundles.signing import certificates
from bundles.signing.keys import PublicKey
from bundles.signing.trust import SITE_BOUND, Revocation, TrustFolder, TrustRecord

CARRIED: Final = frozenset({"bundle", "receipt", "image", "update"})
"""Purposes of keys of which another site may speak. Release, audit, verdict and backup keys are the station's own
people's, or its own: they are pinned where they are."""
_SLACK: Final = timedelta(days=1)
_BY_VOICE: Final = "pin the key that counts now by its owner's voice: lockgate key ceremony"

Files = Mapping[str, Mapping[str, bytes]]
"""Signatures: keyid to kind to bytes (bundles.signing.signature_files)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A site's last key rotation that this station accepted; `digest` is its sha256 (`sha256:...`)."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class RotationVerdict:
    """What a key rotation would change.

    `after` are the pinned keys' records as they would be, new ones among them; `left` why other keys that it names stay
    as they are, by keyid; `signers` the pinned keys whose signatures count, `uncounted` the ids of the others.
    """

    rotation: KeyRotation
    digest: str
    signers: tuple[TrustRecord, ...]
    uncounted: tuple[str, ...]
    after: tuple[TrustRecord, ...]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownRotations:
    """Where a site's rotations stand here: the `last` that was accepted, and the bytes of others that came."""

    last: Accepted | None = None
    others: Iterable[bytes] = ()


def judge(
    raw: bytes, files: Files, trust: TrustFolder, standing_of: Callable[[str], KnownRotations], now: str
) -> RotationVerdict:
    """Apply the module's rules; `standing_of` is asked by a site's name, once a signature has held. Raises RefusedError
    with the first rule that does not hold."""
    pinned = _pinned_signers(raw, files, trust, now)
    rotation, digest = _read(raw), str(Digest.of(raw))
    standing = standing_of(rotation.site)
    if rotation.created > later(now, _SLACK):
        raise RefusedError(
            "the key rotation comes from the future",
            thing=f"{rotation.id}, created {rotation.created}",
            remedy="compare both stations' clocks",
        )
    _check_number(rotation, digest, trust, standing, now)
    left = _left(rotation, trust, now)
    named = {one.follows for one in rotation.successors} | {one.keyid for one in rotation.revoked}
    if named <= set(left):
        keyid, why = min(left.items())
        raise RefusedError("the key rotation changes nothing here", thing=f"{keyid}: {why}", remedy=_BY_VOICE)
    signers = tuple(one for one in pinned if not _objection(one, rotation, now))
    if not any(rotation.site in one.sites and SITE_BOUND & set(one.purposes) for one in signers):
        raise RefusedError(
            "no key of the site signed its key rotation",
            thing=f"{rotation.id}, signed by {', '.join(one.owner for one in pinned)}",
            remedy=f"have it signed by a key that is pinned here for bundles or receipts from {rotation.site}",
        )
    after: list[TrustRecord] = []
    for one in rotation.successors:
        if one.follows not in left:
            after += _followed(one, rotation, raw, files, trust, signers, now)
    known = {one.keyid for one in signers}
    for each in rotation.revoked:
        old = trust.find(each.keyid)
        if old is not None and each.keyid not in left:
            if old.keyid not in known:
                _check_threshold(old, rotation, trust, signers, now)
            after.append(replace(old, revoked=Revocation(at=now, why=f"{rotation.id}: {each.why}")))
    new = {one.keyid for one in rotation.successors}
    return RotationVerdict(rotation, digest, signers, tuple(sorted(set(files) - new - known)), tuple(after), left)


def signature_holds(key: PublicKey, raw: bytes, files: Mapping[str, bytes]) -> bool:
    """Whether these files are exactly the key's kinds, and its signature over `raw`. A root certificate signs by its
    own key, as `openssl dgst -sha256 -sign` does."""
    if key.algorithm != certificates.ALGORITHM:
        return key.verify_files(raw, files)
    try:
        return PublicKey.of(certificates.load(key.encoded).public_key()).verify_files(raw, files)
    except MalformedError:  # a curve that signs certificates, and nothing here
        return False


def _read(raw: bytes) -> KeyRotation:
    try:
        return decode(raw)
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing, remedy=error.remedy or "ask its site for it anew") from None


def _pinned_signers(raw: bytes, files: Files, trust: TrustFolder, now: str) -> tuple[TrustRecord, ...]:
    """Rule 1: the pinned keys that signed and count now, for whatever site."""
    if len(files) > limits.SIGNATURES:
        raise RefusedError(
            "too many signatures", thing=str(len(files)), remedy=f"at most {limits.SIGNATURES} are looked at"
        )
    signers, objections = [], []
    for record in filter(None, map(trust.find, sorted(files))):
        if not signature_holds(record.key, raw, files[record.keyid]):
            raise RefusedError(
                "the signature does not hold",
                thing=f"key {record.keyid} of {record.owner}",
                remedy="the key rotation or the signature was changed: copy it again from where it was made",
            )
        objection = record.objection(_speaks_for(record), now)
        if objection is None:
            signers.append(record)
        else:
            objections.append(objection)
    if not signers:
        raise RefusedError(
            "the key rotation is signed by nobody who counts here",
            thing="; ".join(objections) or ", ".join(sorted(files)) or "no signature",
            remedy=_BY_VOICE,
        )
    return tuple(signers)


def _speaks_for(record: TrustRecord) -> str:
    """A purpose that the key has and that another site may speak of; where it has none, one that it lacks."""
    return min(CARRIED & set(record.purposes), default="bundle")


def _objection(record: TrustRecord, rotation: KeyRotation, now: str) -> str | None:
    purpose = _speaks_for(record)
    return record.objection(purpose, now, rotation.site if purpose in SITE_BOUND else None)


def _check_number(rotation: KeyRotation, digest: str, trust: TrustFolder, standing: KnownRotations, now: str) -> None:
    """Rule 4."""
    last = standing.last
    if last is None:
        return
    if digest == last.digest or rotation.number < last.number:
        what = "it was accepted already" if digest == last.digest else "a newer one was accepted"
        raise RefusedError(
            f"a rollback: {what}",
            code=ROLLBACK,
            thing=f"{rotation.id}, where {last.number} stands",
            remedy="nothing is to be done",
        )
    before, others = rotation, {str(Digest.of(one)): one for one in standing.others}
    while before.number > last.number + 1:
        raw = others.get(before.previous or "")
        between = None if raw is None else _read(raw)
        if between is None or between.number != before.number - 1 or between.site != rotation.site:
            raise _gap(rotation, before.number - 1, "it is not here", "bring the site's bundle that carries it")
        if not _changes_nothing(between, trust, now):
            raise _gap(rotation, between.number, "it was not accepted", f"accept {between.id} first")
        before = between
    if before.number == last.number or before.previous != last.digest:
        raise RefusedError(
            "a fork: it follows another one than was accepted",
            code=FORK,
            thing=rotation.id,
            remedy="two were made under one number: ask the site over another channel, and believe neither until then",
        )


def _gap(rotation: KeyRotation, number: int, why: str, remedy: str) -> RefusedError:
    return RefusedError(
        "a gap: there is a key rotation before it",
        code=GAP,
        thing=f"{rotation.id}, and number {number}: {why}",
        remedy=remedy,
    )


def _changes_nothing(rotation: KeyRotation, trust: TrustFolder, now: str) -> bool:
    named = {one.follows for one in rotation.successors} | {one.keyid for one in rotation.revoked}
    return named <= set(_left(rotation, trust, now))


def _left(rotation: KeyRotation, trust: TrustFolder, now: str) -> dict[str, str]:
    """Rule 5: the keys that a document names and that stay as they are, each with the reason."""
    found = {}
    for keyid in [one.follows for one in rotation.successors] + [one.keyid for one in rotation.revoked]:
        record = trust.find(keyid)
        why = "it is not pinned here" if record is None else _unspoken(record, rotation)
        if record is not None and why is None:
            ages = keyid in {one.follows for one in rotation.successors}
            why = record.objection(record.purposes[0], now) if ages or record.revoked is not None else None
        if why is not None:
            found[keyid] = why
    return found


def _unspoken(record: TrustRecord, rotation: KeyRotation) -> str | None:
    """Why another site does not speak of a pinned key, or None where it does."""
    own = sorted(set(record.purposes) - CARRIED)
    if own:
        return f"it is pinned for {', '.join(own)}, of which no other site speaks"
    if record.sites and rotation.site not in record.sites:
        return f"it is a key of {', '.join(record.sites)}"
    return None


def _followed(
    one: Successor,
    rotation: KeyRotation,
    raw: bytes,
    files: Files,
    trust: TrustFolder,
    signers: Sequence[TrustRecord],
    now: str,
) -> tuple[TrustRecord, TrustRecord]:
    """Rules 6 to 8 for a key and its successor: both records, as they would be."""
    new = one.public
    old = next((signer for signer in signers if signer.keyid == one.follows), None)
    if old is None:
        raise RefusedError(
            "the old key did not sign the key rotation",
            thing=one.follows,
            remedy="have it signed by that key, or pin the new one by its owner's voice: lockgate key ceremony",
        )
    if not signature_holds(new, raw, files.get(new.keyid, {})):
        raise RefusedError(
            "the new key did not sign the key rotation",
            thing=new.keyid,
            remedy="have it signed by the new key, too: lockgate key rotation sign ID --key KEY",
        )
    made = replace(old, key=new, not_before=None, not_after=None)
    _check_new(made, old, trust)
    _check_threshold(old, rotation, trust, signers, now)
    return made, replace(old, not_after=one.until if old.not_after is None else min(one.until, old.not_after))


def _check_new(made: TrustRecord, old: TrustRecord, trust: TrustFolder) -> None:
    """Rule 7."""
    known = trust.find(made.keyid)
    if known is not None and known != made:
        raise RefusedError(
            "the new key is revoked here" if known.revoked else "the new key is pinned here already, otherwise",
            thing=f"{made.keyid} of {known.owner}, for {', '.join(known.purposes)}",
            remedy="have another key made",
        )
    if (old.key.algorithm == certificates.ALGORITHM) != (made.key.algorithm == certificates.ALGORITHM):
        raise RefusedError(
            "a root certificate is followed by a root certificate, and a key by a key",
            thing=f"{made.keyid}, {made.key.algorithm}, where {old.keyid} is {old.key.algorithm}",
            remedy="have one of the same kind made",
        )
    for purpose in made.purposes:
        for site in made.sites if purpose in SITE_BOUND else ("",):
            algorithms = trust.policy.rule(purpose, site).algorithms
            if algorithms and made.key.algorithm not in algorithms:
                raise RefusedError(
                    "the new key is of a kind that the policy does not take",
                    thing=f"{made.keyid}, {made.key.algorithm}, where {purpose} takes {' or '.join(algorithms)}",
                    remedy="have a key of that kind made",
                )


def _check_threshold(
    old: TrustRecord, rotation: KeyRotation, trust: TrustFolder, signers: Sequence[TrustRecord], now: str
) -> None:
    """Rule 8."""
    for purpose in old.purposes:
        site = rotation.site if purpose in SITE_BOUND else ""
        speaking = [one for one in signers if one.objection(purpose, now, site or None) is None]
        objection = trust.policy.objection(speaking, purpose, site)
        if objection is not None:
            raise RefusedError(
                "the trust folder's policy takes more",
                thing=f"{rotation.id}, key {old.keyid}: {objection}",
                remedy="have further owners sign it: lockgate key rotation sign",
            )
