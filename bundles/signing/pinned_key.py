"""A key that was pinned wrongly: taken out of the trust folder, or given its right owner or sites.

Both follow the rules of pinning (bundles.signing.trust), and neither is a way around a revocation: a revoked key stays
in the folder as it is, so that nobody pins it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bundles.errors import RefusedError, UsageError
from bundles.io.files import os_failure, sync_folder
from bundles.oci.reference import check_site
from bundles.signing import policy
from bundles.signing.keys import check_keyid
from bundles.signing.pinning import check_spelling, locked, save_record
from bundles.signing.trust import SITE_BOUND, TrustFolder, TrustRecord


def untrust_key(path: Path, keyid: str, *, why: str) -> TrustRecord:
    """Take a pinned key out of the trust folder, as if it had never been pinned. The record that it had.

    The record goes first, so a removal that was cut off trusts nobody. Raises UsageError where the key is not pinned or
    there is no reason, RefusedError for a revoked key, FailedError where the folder cannot be changed.
    """
    _check_asked(keyid, why)
    with locked(path):
        known = _pinned(TrustFolder.load(path), keyid, "taken out of the trust folder")
        for suffix in ("json", "pem"):
            try:
                (path / f"{keyid}.{suffix}").unlink()
                sync_folder(path)
            except OSError as error:
                raise os_failure(error, path, "the trust folder cannot be changed") from None
    return known


def change_key(
    path: Path, keyid: str, *, why: str, owner: str | None = None, sites: Sequence[str] | None = None
) -> tuple[TrustRecord, TrustRecord]:
    """Give a pinned key another owner, or other sites in the place of those it has. The record before and after.

    Raises UsageError: what pinning refuses, a key that is not pinned, no reason, or nothing to change; RefusedError for
    a revoked key; MalformedError for a site.
    """
    _check_asked(keyid, why)
    if owner is not None:
        policy.check_owner(owner)
    for site in sites or ():
        check_site(site)
    with locked(path):
        folder = TrustFolder.load(path)
        known = _pinned(folder, keyid, "changed")
        if owner is not None:
            check_spelling(folder, owner, but=keyid)
        record = replace(
            known,
            owner=known.owner if owner is None else owner,
            sites=known.sites if sites is None else tuple(sorted(set(sites))),
        )
        _check_sites(known, record)
        if record == known:
            raise UsageError(
                "the key is pinned so already",
                thing=keyid,
                remedy="give another --owner, or another --from",
            )
        save_record(path, record)
    return known, record


def _check_asked(keyid: str, why: str) -> None:
    check_keyid(keyid)
    if not why.strip():
        raise UsageError("a change of what is pinned needs a reason", thing=keyid, remedy="say it with --why")


def _pinned(folder: TrustFolder, keyid: str, what: str) -> TrustRecord:
    known = folder.find(keyid)
    if known is None:
        raise UsageError("no such trusted key", thing=keyid, remedy="see: lockgate key list")
    if known.revoked is not None:
        raise RefusedError(
            f"a revoked key is not {what}",
            thing=f"{keyid}, revoked at {known.revoked.at}",
            remedy="it stays, so that nobody trusts it again; create another key and pin that",
        )
    return known


def _check_sites(known: TrustRecord, record: TrustRecord) -> None:
    """As pinning has it: a bundle key names sites, and no purpose is widened by a change that was meant for another."""
    if "bundle" in record.purposes and not record.sites:
        raise UsageError("a bundle key is bound to sites", thing=record.keyid, remedy="name them with --from SITE")
    bound = SITE_BOUND & set(record.purposes)
    if len(bound) > 1 and not set(record.sites) <= set(known.sites):
        raise UsageError(
            "a key's sites hold for all its purposes",
            thing=f"{record.keyid}: {', '.join(record.purposes)} from {', '.join(known.sites)}",
            remedy=f"take it out with: lockgate key untrust {record.keyid} --why TEXT; then pin a key a purpose",
        )
