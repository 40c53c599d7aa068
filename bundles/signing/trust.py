"""The trust folder: which keys this station believes, for what, whose, and from where.

`site.json` names the station's site. Each key is `<keyid>.pem` (its public half) and `<keyid>.json` (its record).
Nothing here is ever read from a medium. Files are checked against one another on every load: a PEM that is not the
record's key, a name that is not its keyid, or a file that nobody accounts for is an error and not a warning. The
record is written last, so a PEM that stands alone is an unfinished change and trusts nobody.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bundles import limits, strict_json
from bundles.errors import LockgateError, UsageError
from bundles.files import os_failure, read_small, write_atomic
from bundles.oci.reference import check_site
from bundles.signing.keys import PublicKey, check_keyid

PURPOSES: Final = ("bundle", "release", "receipt", "image", "audit", "verdict", "backup", "update")
SITE_TYPE: Final = "application/vnd.lockgate.site.v1+json"
RECORD_TYPE: Final = "application/vnd.lockgate.trusted-key.v1+json"
_LOCK: Final = ".lock"


class Revocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and why a key stopped being believed."""

    at: str
    why: str


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str
    keyid: str
    owner: str
    purposes: list[str]
    sites: list[str]
    algorithm: str
    not_before: str | None
    not_after: str | None
    revoked: Revocation | None


class _Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: str
    site: str


@dataclass(frozen=True, slots=True)
class TrustRecord:
    """A pinned key. `sites` are those it may sign for (a bundle's source, a receipt's site); times are UTC text."""

    key: PublicKey
    owner: str
    purposes: tuple[str, ...]
    sites: tuple[str, ...]
    not_before: str | None
    not_after: str | None
    revoked: Revocation | None

    @property
    def keyid(self) -> str:
        return self.key.keyid

    def objection(self, purpose: str, at: str, site: str | None = None) -> str | None:
        """Why this key may not sign for `purpose` at time `at` (from `site`), or None where it may."""
        if self.revoked is not None:
            return f"key {self.keyid} of {self.owner} was revoked at {self.revoked.at}: {self.revoked.why}"
        if purpose not in self.purposes:
            return f"key {self.keyid} of {self.owner} is trusted for {', '.join(self.purposes)}, not for {purpose}"
        if self.not_before is not None and at < self.not_before:
            return f"key {self.keyid} of {self.owner} is not valid before {self.not_before}"
        if self.not_after is not None and at > self.not_after:
            return f"key {self.keyid} of {self.owner} is not valid after {self.not_after}"
        if site is not None and site not in self.sites:
            allowed = ", ".join(self.sites) or "no site"
            return f"key {self.keyid} of {self.owner} may sign for {allowed}, not for {site}"
        return None


@dataclass(frozen=True, slots=True)
class TrustFolder:
    """Everything a trust decision may believe."""

    site: str
    records: tuple[TrustRecord, ...]

    @classmethod
    def load(cls, path: Path) -> TrustFolder:
        """Read and check the whole folder. Raises UsageError naming the file that is wrong."""
        names = _names(path)
        if "site.json" not in names:
            raise UsageError(
                "not a trust folder", thing=str(path), remedy="it must hold site.json (lockgate init makes one)"
            )
        site = _decode(path / "site.json", _Site)
        if site.type != SITE_TYPE:
            raise UsageError("not a site's file", thing=str(path / "site.json"), remedy=f"its type must be {SITE_TYPE}")
        keyids = {name.partition(".")[0] for name in names if name.endswith(".json") and name != "site.json"}
        if len(keyids) > limits.TRUSTED_KEYS:
            raise UsageError("too many trusted keys", thing=str(path), remedy=f"the ceiling is {limits.TRUSTED_KEYS}")
        for name in names:
            if name not in ("site.json", "README.txt") and name.partition(".")[2] not in ("pem", "json"):
                raise UsageError(
                    "a file that does not belong in a trust folder", thing=str(path / name), remedy="remove it"
                )
        return cls(check_site(site.site), tuple(_load_record(path, keyid) for keyid in sorted(keyids)))

    def find(self, keyid: str) -> TrustRecord | None:
        """The record of a key, or None."""
        return next((record for record in self.records if record.keyid == keyid), None)


def _names(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UsageError(
            f"the trust folder cannot be read ({error.strerror})",
            thing=str(path),
            remedy="give a trust folder with --trust",
        ) from None


_Document = TypeVar("_Document", _Record, _Site)


def _decode(path: Path, cls: type[_Document]) -> _Document:
    try:
        return msgspec.convert(
            strict_json.loads(read_small(path, limits.KEY_FILE), ceiling=limits.KEY_FILE, what=path.name), cls
        )
    except (LockgateError, msgspec.ValidationError) as error:
        reason = error.what if isinstance(error, LockgateError) else str(error)
        raise UsageError(f"a damaged trust file ({reason})", thing=str(path), remedy="trust the key again") from None


def _load_record(path: Path, keyid: str) -> TrustRecord:
    record = _decode(path / f"{keyid}.json", _Record)
    try:
        key = PublicKey.from_pem(read_small(path / f"{keyid}.pem", limits.KEY_FILE))
    except LockgateError as error:
        raise UsageError(
            f"a damaged trust file ({error.what})", thing=str(path / f"{keyid}.pem"), remedy="trust the key again"
        ) from None
    known = set(record.purposes) <= set(PURPOSES)
    if (
        record.type != RECORD_TYPE
        or (record.keyid, record.algorithm) != (key.keyid, key.algorithm)
        or key.keyid != keyid
        or not known
    ):
        raise UsageError(
            "a trust record that is not its key's", thing=str(path / f"{keyid}.json"), remedy="trust the key again"
        )
    return TrustRecord(
        key=key,
        owner=record.owner,
        purposes=tuple(record.purposes),
        sites=tuple(record.sites),
        not_before=record.not_before,
        not_after=record.not_after,
        revoked=record.revoked,
    )


def init_trust(path: Path, site: str) -> None:
    """Make a trust folder for a site."""
    path.mkdir(mode=0o755)
    document = {"type": SITE_TYPE, "site": check_site(site)}
    write_atomic(path / "site.json", strict_json.canonical(document), replace=False)


def trust_key(
    path: Path, key: PublicKey, *, purpose: str, owner: str, sites: list[str], not_after: str | None = None
) -> TrustRecord:
    """Pin a key for a purpose; a key that is pinned already gains the purpose and the sites.

    Raises UsageError: an unknown purpose, another owner, a revoked key, or a bundle key without a site.
    """
    if purpose not in PURPOSES:
        raise UsageError("unknown purpose", thing=purpose, remedy=f"use one of {', '.join(PURPOSES)}")
    if not owner.strip():
        raise UsageError("a key needs an owner", remedy="say whose it is with --owner")
    for site in sites:
        check_site(site)
    with _locked(path):
        known = TrustFolder.load(path).find(key.keyid)
        if known is not None and known.revoked is not None:
            raise UsageError("the key was revoked", thing=key.keyid, remedy="a revoked key stays so: create another")
        if known is not None and known.owner != owner:
            raise UsageError(
                "the key has another owner", thing=f"{key.keyid}: {known.owner}", remedy="one key, one owner"
            )
        purposes = sorted({*(known.purposes if known else ()), purpose})
        allowed = sorted({*(known.sites if known else ()), *sites})
        if "bundle" in purposes and not allowed:
            raise UsageError("a bundle key is bound to sites", thing=key.keyid, remedy="name them with --from SITE")
        record = TrustRecord(
            key=key,
            owner=owner,
            purposes=tuple(purposes),
            sites=tuple(allowed),
            not_before=known.not_before if known else None,
            not_after=not_after or (known.not_after if known else None),
            revoked=None,
        )
        _save(path, record)
    return record


def revoke_key(path: Path, keyid: str, *, why: str, at: str) -> TrustRecord:
    """Mark a pinned key as revoked; it stays, with the reason. Raises UsageError where it is not pinned."""
    if not why.strip():
        raise UsageError("a revocation needs a reason", thing=keyid, remedy="say it with --why")
    with _locked(path):
        known = TrustFolder.load(path).find(check_keyid(keyid))
        if known is None:
            raise UsageError("no such trusted key", thing=keyid, remedy="see: lockgate key list")
        record = replace(known, revoked=known.revoked or Revocation(at=at, why=why))
        _save(path, record)
    return record


def _save(path: Path, record: TrustRecord) -> None:
    document = _Record(
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
    write_atomic(path / f"{record.keyid}.pem", record.key.to_pem())
    write_atomic(path / f"{record.keyid}.json", strict_json.canonical(msgspec.to_builtins(document)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One changer of a trust folder at a time."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise os_failure(error, path, "the trust folder cannot be changed") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
