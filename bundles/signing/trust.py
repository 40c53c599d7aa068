"""The trust folder: which keys this station believes, for what, whose, and from where.

| file | holds |
|---|---|
| `site.json` | `{"type", "site"}`: the site whose folder this is |
| `<keyid>.pem` | a public key or a root certificate, exactly as `PublicKey.to_pem` writes it |
| `<keyid>.json` | its record: type, keyid, owner, purposes, sites, algorithm, not_before, not_after, revoked |
| `policy.json` | what is demanded beyond one signature (bundles.signing.policy); there may be none |
| `README.txt` | a note by people, never read |

Nothing here is ever read from a medium. Files are checked against one another on every load: a PEM that is not the
record's key, a name that is not its keyid, or a file that nobody accounts for is an error and not a warning. The
record is written last, so a PEM that stands alone is an unfinished change and trusts nobody.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from bundles import limits
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.io import strict_json
from bundles.io.files import read_small
from bundles.io.times import check_time
from bundles.oci.reference import check_site
from bundles.signing import certificates, policy
from bundles.signing.copy_note import NOTE, copied_at
from bundles.signing.keys import PublicKey
from bundles.signing.policy import PolicyFile, TrustPolicy

PURPOSES: Final = ("bundle", "release", "receipt", "image", "audit", "verdict", "backup", "update")
SITE_BOUND: Final = frozenset({"bundle", "receipt"})
"""Purposes whose documents name the site they come from: a key for one is bound to the sites it may sign for."""
SITE_TYPE: Final = "application/vnd.lockgate.site.v1+json"
RECORD_TYPE: Final = "application/vnd.lockgate.trusted-key.v1+json"
SITE_FILE: Final = "site.json"
_BESIDE: Final = re.compile(r"(?:README(?:\.txt|\.md)?|\.lock|\..+\.[0-9]+\.part)\Z")
"""What may stand beside keys: a note, the lock, and what a change that was cut off left (bundles.io.files)."""
_KEY_FILE: Final = re.compile(r"([0-9a-f]{16})\.(pem|json)\Z")


class Revocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and why a key stopped being believed."""

    at: str
    why: str


class RecordFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
        """Why this key may not sign for `purpose` at time `at` (from `site`), or None where it may.

        A revocation counts whatever the signature's age: nobody can tell when a stolen key was used.
        """
        who = f"key {self.keyid} of {self.owner}"
        if self.revoked is not None:
            return f"{who} was revoked at {self.revoked.at}: {self.revoked.why}"
        if purpose not in self.purposes:
            return f"{who} is trusted for {', '.join(self.purposes)}, not for {purpose}"
        if self.not_before is not None and at < self.not_before:
            return f"{who} is not valid before {self.not_before}"
        if self.not_after is not None and at > self.not_after:
            return f"{who} is not valid after {self.not_after}"
        if site is not None and site not in self.sites:
            return f"{who} may sign for {', '.join(self.sites) or 'no site'}, not for {site}"
        return None


@dataclass(frozen=True, slots=True)
class TrustFolder:
    """Everything a trust decision may believe."""

    site: str
    records: tuple[TrustRecord, ...]
    policy: TrustPolicy = field(default_factory=TrustPolicy)
    copied: str = field(default="", compare=False)
    """When this copy of a station's folder was made (`export_trust`), as it says; "" for a station's own. It decides
    nothing: it is what somebody is told who lacks a key."""

    @classmethod
    def load(cls, path: Path) -> TrustFolder:
        """Read and check the whole folder. Raises UsageError naming the file that is wrong."""
        names = _names(path)
        if SITE_FILE not in names:
            inner, made = path / "trust", "it must hold site.json (lockgate init makes one)"
            stations = f"this is a station: give its trust folder, {inner}"
            raise UsageError(
                "not a trust folder", thing=str(path),
                remedy=stations if (inner / SITE_FILE).is_file() else made,
            )  # fmt: skip
        for name in sorted(names):
            if name not in (SITE_FILE, policy.FILE) and not _KEY_FILE.match(name) and not _BESIDE.match(name):
                raise UsageError(
                    "a file that does not belong in a trust folder", thing=str(path / name), remedy="remove it"
                )
        keyids = sorted(match[1] for match in map(_KEY_FILE.match, names) if match is not None and match[2] == "json")
        if len(keyids) > limits.TRUSTED_KEYS:
            raise UsageError("too many trusted keys", thing=str(path), remedy=f"the ceiling is {limits.TRUSTED_KEYS}")
        demands = _load_policy(path / policy.FILE) if policy.FILE in names else TrustPolicy()
        records = tuple(_load_record(path, keyid) for keyid in keyids)
        return cls(_load_site(path / SITE_FILE), records, demands, copied_at(path) if NOTE in names else "")

    def find(self, keyid: str) -> TrustRecord | None:
        """The record of a key, or None."""
        return next((record for record in self.records if record.keyid == keyid), None)

    def unknown_signer(self, thing: str, purpose: str) -> RefusedError:
        """The refusal of a signature by a key that is not pinned; `thing` names the signature or the key. A copy of a
        trust folder is told apart: the station may know the key by now."""
        pin = (
            "compare its fingerprint with the sender over another channel, then pin it:"
            f" lockgate key trust FILE --purpose {purpose} --owner WHO"
        ) + (" --from SITE" if purpose in SITE_BOUND else "")
        if self.copied:
            fresh = f"this trust folder is a copy of {self.copied}: have a new one made (lockgate key export-trust DIR)"
            return RefusedError("the signer is unknown", thing=thing, remedy=f"{fresh}; if it lacks the key too, {pin}")
        return RefusedError("the signer is unknown", thing=thing, remedy=pin)


def _names(path: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(path)}
    except OSError as error:
        raise UsageError(
            f"the trust folder cannot be read ({error.strerror})",
            thing=str(path),
            remedy="give a trust folder with --trust",
        ) from None


_Document = TypeVar("_Document", RecordFile, _Site, PolicyFile)


def _decode(path: Path, cls: type[_Document]) -> _Document:
    try:
        return msgspec.convert(
            strict_json.loads(
                read_small(path, limits.KEY_FILE),
                ceiling=limits.KEY_FILE,
                nodes=limits.KEY_FILE_NODES,
                what=path.name,
            ),
            cls,
        )
    except (LockgateError, msgspec.ValidationError) as error:
        raise _damaged(path, error.what if isinstance(error, LockgateError) else str(error)) from None


def _damaged(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"a damaged trust file ({reason})", thing=str(path), remedy="restore it, or remove the key and trust it again"
    )


def site_of(folder: Path) -> str:
    """The site whose trust folder this is. Raises UsageError where its `site.json` is missing or damaged."""
    return _load_site(folder / SITE_FILE)


def _load_site(path: Path) -> str:
    document = _decode(path, _Site)
    if document.type != SITE_TYPE:
        raise _damaged(path, f"its type is not {SITE_TYPE}")
    try:
        return check_site(document.site)
    except MalformedError as error:
        raise _damaged(path, error.what) from None


def _load_policy(path: Path) -> TrustPolicy:
    document = _decode(path, PolicyFile)
    if document.type != policy.TYPE:
        raise _damaged(path, f"its type is not {policy.TYPE}")
    try:
        return TrustPolicy(policy.check_rules(document.rules, PURPOSES))
    except MalformedError as error:
        raise _damaged(path, error.diagnostics()) from None


def _load_record(path: Path, keyid: str) -> TrustRecord:
    file, pem_file = path / f"{keyid}.json", path / f"{keyid}.pem"
    record = _decode(file, RecordFile)
    try:
        pem = read_small(pem_file, limits.KEY_FILE)
        key = PublicKey.from_pem(pem)
        if key.to_pem() != pem:
            raise MalformedError("bytes that are not the key's own")
    except LockgateError as error:
        raise _damaged(pem_file, error.what) from None
    if key.keyid != keyid:
        raise _damaged(pem_file, f"it is key {key.keyid}")
    if (record.type, record.keyid, record.algorithm) != (RECORD_TYPE, keyid, key.algorithm):
        raise _damaged(file, "its type, keyid or algorithm is not the key's")
    try:
        _check_grant(record)
        certificates.check_purposes(key.algorithm, record.purposes)
    except MalformedError as error:
        raise _damaged(file, error.what) from None
    return TrustRecord(
        key=key,
        owner=record.owner,
        purposes=tuple(record.purposes),
        sites=tuple(record.sites),
        not_before=record.not_before,
        not_after=record.not_after,
        revoked=record.revoked,
    )


def _check_grant(record: RecordFile) -> None:
    """Everything about a record that does not depend on its key. Raises MalformedError."""
    if not record.owner.strip():
        raise MalformedError("it has no owner")
    if not record.purposes or not set(record.purposes) <= set(PURPOSES):
        raise MalformedError(f"its purposes are not of {', '.join(PURPOSES)}")
    for name, values in (("purposes", record.purposes), ("sites", record.sites)):
        if any(not before < after for before, after in pairwise(values)):
            raise MalformedError(f"its {name} are out of order or have doubles")
    for site in record.sites:
        check_site(site)
    if "bundle" in record.purposes and not record.sites:
        raise MalformedError("a bundle key is bound to sites, and it names none")
    times = {"not_before": record.not_before, "not_after": record.not_after}
    times["revoked"] = None if record.revoked is None else record.revoked.at
    for name, time in times.items():
        if time is not None:
            check_time(time, name)
