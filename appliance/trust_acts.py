"""Acts on a station's trust folder and keys, without a running station: one operation each for `lockgate key` and the
console.

Each is in the station's audit log, by the user id of this process, before it is done. Blocking: an interface calls it
in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.folder_acts import recorded
from appliance.paths import STATION_KEYS, StationPaths
from bundles.errors import UsageError
from bundles.signing.keys import check_keyid, check_name, save_private
from bundles.signing.pinned_key import change_key, untrust_key
from bundles.signing.pinning import revoke_key, trust_key
from bundles.signing.trust import TrustFolder

if TYPE_CHECKING:
    from bundles.signing.ceremony import FirstTrust
    from bundles.signing.keys import PrivateKey, PublicKey
    from bundles.signing.rotation import Rotation
    from bundles.signing.trust import TrustRecord


def pin(
    station: Path,
    key: PublicKey,
    *,
    purpose: str,
    owner: str,
    sites: Sequence[str],
    not_before: str | None = None,
    not_after: str | None = None,
) -> TrustRecord:
    """Believe a key for a purpose, of these sites, within wire times. Raises as `bundles.signing.pinning.trust_key`,
    FailedError where the audit log cannot be written."""
    detail = {"purpose": purpose, "owner": owner, "sites": list(sites)}
    with recorded(station, Act.KEY_TRUST, key.keyid, detail):
        return trust_key(
            StationPaths(station).trust, key,
            purpose=purpose, owner=owner, sites=sites, not_before=not_before, not_after=not_after,
            at=clock.now(),
        )  # fmt: skip


def pin_heard(station: Path, first: FirstTrust, heard: str) -> None:
    """Believe a key whose fingerprint was read out and typed in, and leave a page for the record. Raises as
    `FirstTrust.carry_out`, FailedError where the audit log cannot be written."""
    keyid = first.key.keyid
    detail = {
        "purpose": first.purpose, "owner": first.owner, "sites": list(first.sites), "witness": first.witness,
        "keyid": keyid,
    }  # fmt: skip
    with recorded(station, Act.KEY_CEREMONY, keyid, detail):
        first.carry_out(StationPaths(station).trust, heard, clock.now())


def revoke(station: Path, keyid: str, why: str) -> TrustRecord:
    """Stop believing a pinned key, at once. Raises UsageError for what is no key's id, and as
    `bundles.signing.pinning.revoke_key`; FailedError where the audit log cannot be written."""
    check_keyid(keyid)
    with recorded(station, Act.KEY_REVOKE, keyid, {"why": why}):
        return revoke_key(StationPaths(station).trust, keyid, why=why, at=clock.now())


def free_name(station: Path, name: str) -> Path:
    """Where a new key of that name will lie. Raises UsageError for what is no key's name, and where there is one."""
    if name.endswith(".pem"):
        bare = name.removesuffix(".pem")
        raise UsageError("a key's name, and no file's, is asked for", thing=name, remedy=f"write {bare}")
    path = StationPaths(station).keys / f"{check_name(name)}.pem"
    if path.exists():
        raise UsageError("the key exists", thing=str(path), remedy="choose another name")
    return path


def keep(station: Path, name: str, made: PrivateKey, passphrase: bytes | None) -> None:
    """Keep a new key in the station's key folder, under a name that is free. Raises as `free_name`, FailedError where
    it cannot be written or recorded."""
    path, public = free_name(station, name), made.public
    with recorded(station, Act.KEY_CREATE, public.keyid, {"name": name, "algorithm": public.algorithm}):
        save_private(path, made, passphrase)


def rotate(station: Path, planned: Rotation, passphrase: bytes | None) -> None:
    """Carry out a rotation in the station's key folder. A key that the station signs with itself gets no passphrase:
    nobody is there to open it. Raises FailedError."""
    made = planned.made.public
    detail = {"name": planned.name, "old": planned.old.keyid, "algorithm": made.algorithm}
    with recorded(station, Act.KEY_ROTATE, made.keyid, detail):
        planned.carry_out(None if planned.name in STATION_KEYS else passphrase)


def untrust(station: Path, keyid: str, why: str) -> TrustRecord:
    """Take a key that was pinned wrongly out of the trust folder. Raises as `bundles.signing.pinned_key.untrust_key`,
    FailedError where the audit log cannot be written."""
    trust = StationPaths(station).trust
    with recorded(station, Act.KEY_UNTRUST, keyid, {"why": why, "was": _pinned_as(trust, keyid)}):
        return untrust_key(trust, keyid, why=why)


def change(
    station: Path, keyid: str, why: str, owner: str | None, sites: Sequence[str] | None
) -> tuple[TrustRecord, TrustRecord]:
    """Give a pinned key its right owner or sites: the record before and after. Raises as
    `bundles.signing.pinned_key.change_key`, FailedError where the audit log cannot be written."""
    trust = StationPaths(station).trust
    detail: dict[str, Any] = {"why": why, "was": _pinned_as(trust, keyid)}
    detail |= ({"owner": owner} if owner else {}) | ({"sites": list(sites)} if sites else {})
    with recorded(station, Act.KEY_CHANGE, keyid, detail):
        return change_key(trust, keyid, why=why, owner=owner, sites=sites)


def _pinned_as(trust: Path, keyid: str) -> dict[str, Any]:
    """What a key is pinned for, as the audit log has it beside a change."""
    known = TrustFolder.load(trust).find(keyid)
    return {} if known is None else described(known)


def described(record: TrustRecord) -> dict[str, Any]:
    """A pinned key's owner, purposes and sites."""
    return {"owner": record.owner, "purposes": list(record.purposes), "sites": list(record.sites)}
