"""Changing a trust folder: pinning keys, revoking them, setting rules. One changer at a time (`locked`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from bundles.errors import MalformedError, UsageError
from bundles.io import strict_json
from bundles.io.files import os_failure, own_as_folder, write_atomic
from bundles.io.times import check_time
from bundles.oci.reference import check_site
from bundles.people import is_same
from bundles.signing import certificates, policy
from bundles.signing.keys import PublicKey, check_keyid
from bundles.signing.policy import PolicyFile, SignerRule, TrustPolicy
from bundles.signing.trust import (
    PURPOSES,
    RECORD_TYPE,
    SITE_BOUND,
    SITE_FILE,
    SITE_TYPE,
    RecordFile,
    Revocation,
    TrustFolder,
    TrustRecord,
)

_LOCK: Final = ".lock"


def init_trust(path: Path, site: str) -> None:
    """Make a trust folder for a site. Raises MalformedError for a site's name, FailedError where it cannot be made."""
    check_site(site)
    try:
        path.mkdir(mode=0o755)
    except OSError as error:
        raise os_failure(error, path, "the trust folder cannot be made") from None
    write_atomic(path / SITE_FILE, strict_json.canonical({"type": SITE_TYPE, "site": site}), replace=False)


def trust_key(
    path: Path,
    key: PublicKey,
    *,
    purpose: str,
    owner: str,
    sites: Sequence[str] = (),
    not_before: str | None = None,
    not_after: str | None = None,
    at: str | None = None,
) -> TrustRecord:
    """Pin a key for a purpose; a key that is pinned already gains the purpose and the sites.

    A record has one list of sites for all its purposes, so what would widen a purpose that was not named is refused.
    `at` is the wire time now: what would have ended by then is refused; without it nothing is asked of the clock.
    Raises UsageError: an unknown purpose, another owner, a revoked key, a bundle key without a site, a root certificate
    for anything but images, such widening, or a key that would never count; MalformedError for a site or a time.
    """
    if purpose not in PURPOSES:
        raise UsageError("unknown purpose", thing=purpose, remedy=f"use one of {', '.join(PURPOSES)}")
    policy.check_owner(owner)
    certificates.check_purposes(key.algorithm, [purpose])
    if purpose == "bundle" and not sites:
        raise UsageError("a bundle key is bound to sites", thing=key.keyid, remedy="name them with --from SITE")
    for site in sites:
        check_site(site)
    for name, time in (("not_before", not_before), ("not_after", not_after)):
        if time is not None:
            check_time(time, name)
    with locked(path):
        folder = TrustFolder.load(path)
        known = folder.find(key.keyid)
        if known is not None and known.key.to_pem() != key.to_pem():
            raise UsageError(
                "another key of the same keyid is pinned",
                thing=f"{key.keyid}: {known.owner}",
                remedy="create a new key",
            )
        check_spelling(folder, owner)
        if known is not None:
            _check_addition(known, purpose, owner, sites)
        record = TrustRecord(
            key=key,
            owner=owner,
            purposes=tuple(sorted({*(known.purposes if known else ()), purpose})),
            sites=tuple(sorted({*(known.sites if known else ()), *sites})),
            not_before=not_before or (known.not_before if known else None),
            not_after=not_after or (known.not_after if known else None),
            revoked=None,
        )
        _check_times(record, at)
        save_record(path, record)
    return record


def _check_times(record: TrustRecord, at: str | None) -> None:
    """Whether there is a time to come at which a key counts. Raises UsageError."""
    since, until = record.not_before, record.not_after
    if until is None:
        return
    if since is not None and since >= until:
        raise UsageError(
            "the key would never count", thing=f"from {since} until {until}", remedy="give the later time last"
        )
    if at is not None and until <= at:
        raise UsageError(
            "the key would count no more",
            thing=f"{record.keyid}: until {until}, and it is {at}",
            remedy="give a --not-after to come; one that is not to count any more is ended with"
            f": lockgate key revoke {record.keyid} --why TEXT",
        )


def check_spelling(folder: TrustFolder, owner: str, *, but: str = "") -> None:
    """No other key, beside key `but`, has an owner who is the same person under another spelling. Raises UsageError."""
    for other in folder.records:
        if other.keyid != but and other.owner != owner and is_same(other.owner, owner):
            raise UsageError(
                "the owner is spelt otherwise already",
                thing=repr(other.owner)[:80],
                remedy="spell it the same way, or tell two people apart by a further name",
            )


def _check_addition(known: TrustRecord, purpose: str, owner: str, sites: Sequence[str]) -> None:
    """Whether a pinned key may gain a purpose and sites. Raises UsageError."""
    if known.revoked is not None:
        raise UsageError("the key was revoked", thing=known.keyid, remedy="a revoked key stays so: create another")
    if known.owner != owner:
        raise UsageError(
            "the key has another owner",
            thing=f"{known.keyid}: {known.owner}",
            remedy="one key, one owner; a wrong one is set right with"
            f": lockgate key change {known.keyid} --owner WHO --why TEXT",
        )
    others = SITE_BOUND & set(known.purposes) - {purpose}
    widens_others = others and not set(sites) <= set(known.sites)
    gains_unsaid = purpose in SITE_BOUND - set(known.purposes) and not set(known.sites) <= set(sites)
    if widens_others or gains_unsaid:
        raise UsageError(
            "a key's sites hold for all its purposes",
            thing=f"{known.keyid}: {', '.join(known.purposes)} from {', '.join(known.sites) or 'no site'}",
            remedy="name the same sites, or use a key a purpose",
        )


def revoke_key(path: Path, keyid: str, *, why: str, at: str) -> TrustRecord:
    """Mark a pinned key as revoked; it stays, with the first reason given. Raises UsageError where it is not pinned."""
    check_keyid(keyid)
    check_time(at, "the time of the revocation")
    if not why.strip():
        raise UsageError("a revocation needs a reason", thing=keyid, remedy="say it with --why")
    with locked(path):
        known = TrustFolder.load(path).find(keyid)
        if known is None:
            raise UsageError("no such trusted key", thing=keyid, remedy="see: lockgate key list")
        record = replace(known, revoked=known.revoked or Revocation(at=at, why=why))
        save_record(path, record)
    return record


def set_rule(path: Path, rule: SignerRule) -> TrustPolicy:
    """Put a rule in the place of the one for the same purpose and site. Raises UsageError for an impossible one."""
    with locked(path):
        known = TrustFolder.load(path).policy.rules
        others = [one for one in known if (one.purpose, one.site) != (rule.purpose, rule.site)]
        try:
            rules = policy.check_rules(sorted([*others, rule], key=lambda one: (one.purpose, one.site)), PURPOSES)
        except MalformedError as error:
            raise UsageError(error.what, thing=error.thing, remedy=error.remedy or "see: lockgate key policy") from None
        document = msgspec.to_builtins(PolicyFile(type=policy.TYPE, rules=list(rules)))
        write_atomic(path / policy.FILE, strict_json.canonical(document), owned=True)
    return TrustPolicy(rules)


def save_record(path: Path, record: TrustRecord) -> None:
    """Write a pinned key's two files, its record last. The caller holds `locked`."""
    document = RecordFile(
        type=RECORD_TYPE,
        keyid=record.keyid,
        owner=record.owner,
        purposes=list(record.purposes),
        sites=list(record.sites),
        algorithm=record.key.algorithm,
        not_before=record.not_before,
        not_after=record.not_after,
        revoked=record.revoked,
    )
    write_atomic(path / f"{record.keyid}.pem", record.key.to_pem(), owned=True)
    write_atomic(path / f"{record.keyid}.json", strict_json.canonical(msgspec.to_builtins(document)), owned=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One changer of a trust folder at a time. The running station's own lock is another one: it keeps reading."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise os_failure(error, path, "the trust folder cannot be changed") from None
    try:
        own_as_folder(descriptor, path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
