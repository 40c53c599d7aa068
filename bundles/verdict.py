"""The trust decision about a bundle, as a pure function: bytes and trust in, an opened bundle or a refusal out.

It reads no file, no clock and no network. Its rules, in the order in which they are applied; each refuses by name:

1. The bytes of SHA256SUMS are in their one form, and name manifest.json and README.txt.
2. There is a signature file, there are at most `limits.SIGNATURES`, and each is named `SHA256SUMS.<keyid>.sig`.
3. Each signature is by a key pinned in the trust folder, found by keyid and never read from the medium; the algorithm
   is the pinned key's; the signature is in its one encoding and holds over the bytes of SHA256SUMS.
4. Each signing key is trusted for purpose `bundle`, is valid at this time, and is not revoked.
5. manifest.json and README.txt are the ones SHA256SUMS names. Only now, with bytes that a trusted key stands for, is
   the manifest parsed.
6. The manifest is canonical, closed, consistent, of a known major format, and needs no unknown feature.
7. SHA256SUMS names exactly the manifest's volumes, with the manifest's digests.
8. The bundle is for this site.
9. Each signing key is bound to the bundle's source site.
10. The signers are exactly those the manifest names: none beside them, and (`require_all_signers`) none missing.
11. The bundle is neither expired (`not_after`) nor from the future (`created`, a day's slack for clocks that drift).

The sequence is not decided here: it needs the ledger (`bundles.ledger`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bundles import limits, sums
from bundles.errors import MalformedError, RefusedError
from bundles.manifest import BundleManifest, volume_path
from bundles.manifest_codec import decode
from bundles.oci.digest import Digest
from bundles.signing.trust import TrustFolder, TrustRecord
from bundles.times import later

SIGNATURE_NAME: Final = re.compile(r"SHA256SUMS\.([0-9a-f]{16})\.sig\Z")
_SLACK: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SmallFiles:
    """The files of a bundle beside its volumes, as bytes. `signatures` by file name."""

    sums: bytes
    manifest: bytes
    readme: bytes
    signatures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle whose signatures hold. `digest` is the sha256 of SHA256SUMS; signers are the pinned keys that signed."""

    manifest: BundleManifest
    manifest_bytes: bytes
    digest: Digest
    signers: tuple[TrustRecord, ...]
    missing_signers: tuple[str, ...]


def decide(files: SmallFiles, trust: TrustFolder, now: str) -> Opened:
    """Apply the module's rules. Raises RefusedError with the first that does not hold."""
    lines = _lines(files)
    signers = _check_signatures(files, trust)
    for signer in signers:
        _object(signer.objection("bundle", now))
    manifest = _read_manifest(files, lines)
    if manifest.destination != trust.site:
        raise RefusedError(
            "the bundle is for another site",
            thing=f"{manifest.id} is for {manifest.destination}, this is {trust.site}",
            remedy="carry it to where it belongs",
        )
    for signer in signers:
        _object(signer.objection("bundle", now, manifest.source))
    seen = {signer.keyid for signer in signers}
    for keyid in sorted(seen - set(manifest.signers)):
        raise RefusedError("a signature that the manifest does not name", thing=f"{sums.NAME}.{keyid}.sig")
    _check_times(manifest, now)
    missing = tuple(keyid for keyid in manifest.signers if keyid not in seen)
    return Opened(manifest, files.manifest, Digest.of(files.sums), signers, missing)


def consistent(files: SmallFiles) -> BundleManifest:
    """Rules 1 and 5 to 7 alone: the small files agree with one another, whoever made them. Raises RefusedError.

    This is what a co-signer needs to know of a bundle, and no reason to believe it.
    """
    return _read_manifest(files, _lines(files))


def _lines(files: SmallFiles) -> dict[str, str]:
    try:
        return {line.path: line.sha256 for line in sums.parse(files.sums)}
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing or sums.NAME) from None


def _read_manifest(files: SmallFiles, lines: Mapping[str, str]) -> BundleManifest:
    for name, data in ((sums.MANIFEST, files.manifest), (sums.README, files.readme)):
        if hashlib.sha256(data).hexdigest() != lines[name]:
            raise RefusedError(
                "the file's bytes are not the ones SHA256SUMS names",
                thing=name,
                remedy="copy it again from the source's medium",
            )
    try:
        manifest = decode(files.manifest)
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing or sums.MANIFEST, remedy=error.remedy) from None
    _check_lines(manifest, lines)
    return manifest


def _object(objection: str | None) -> None:
    if objection is not None:
        raise RefusedError(
            "a signature that does not count", thing=objection, remedy="ask the source site to sign anew"
        )


def require_all_signers(opened: Opened) -> None:
    """Rule 10, second half. Raises RefusedError naming who is missing."""
    if opened.missing_signers:
        raise RefusedError(
            "a signature is missing",
            thing=", ".join(opened.missing_signers),
            remedy="have it co-signed (lockgate bundle sign) and copy the signature file onto the medium",
        )


def _check_signatures(files: SmallFiles, trust: TrustFolder) -> tuple[TrustRecord, ...]:
    if not files.signatures:
        raise RefusedError(
            "the bundle is not signed", thing=sums.NAME, remedy="ask the source site for the signature file"
        )
    if len(files.signatures) > limits.SIGNATURES:
        raise RefusedError("too many signature files", thing=str(len(files.signatures)))
    signers = []
    for name, signature in sorted(files.signatures.items()):
        match = SIGNATURE_NAME.match(name)
        record = trust.find(match[1]) if match else None
        if record is None:
            raise RefusedError("the signer is unknown", thing=name, remedy="pin the key with: lockgate key trust")
        if not record.key.verify(files.sums, signature):
            raise RefusedError(
                "the signature does not hold", thing=name, remedy="SHA256SUMS or the signature was changed"
            )
        signers.append(record)
    return tuple(signers)


def _check_lines(manifest: BundleManifest, lines: Mapping[str, str]) -> None:
    listed = {path: sha256 for path, sha256 in lines.items() if path.startswith("volumes/")}
    named = {volume_path(volume.index): volume.sha256 for volume in manifest.volumes}
    for path in sorted(listed.keys() ^ named.keys()):
        raise RefusedError("SHA256SUMS and manifest.json do not name the same volumes", thing=path)
    for path in sorted(listed):
        if listed[path] != named[path]:
            raise RefusedError("SHA256SUMS and manifest.json differ about a volume", thing=path)


def _check_times(manifest: BundleManifest, now: str) -> None:
    if now > manifest.not_after:
        raise RefusedError(
            "the bundle has expired", thing=f"{manifest.id}, not after {manifest.not_after}", remedy="build it anew"
        )
    if manifest.created > later(now, _SLACK):
        raise RefusedError(
            "the bundle comes from the future",
            thing=f"{manifest.id}, created {manifest.created}",
            remedy="compare both stations' clocks",
        )
