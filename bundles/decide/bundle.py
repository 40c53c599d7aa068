"""The trust decision about a bundle, as a pure function: bytes and trust in, an opened bundle or a refusal out.

It reads no file, no clock and no network. Its rules, in the order in which they are applied; each refuses by name:

1. The bytes of SHA256SUMS are in their one form, and name manifest.json and README.txt.
2. There is a signature file, there are at most `limits.SIGNATURES`, and each is named `SHA256SUMS.<keyid>.<kind>`.
3. Each signature is by a key pinned in the trust folder, found by keyid and never read from the medium; the algorithm
   is the pinned key's, and its files are exactly those of that algorithm (both halves of a hybrid signature); the
   signature is in its one encoding and holds over the bytes of SHA256SUMS. Or it is a CMS signature whose certificate
   leads to a root that is pinned there, by issuance, key usages and validity (bundles.signing.cms.verify).
4. Each signing key is trusted for purpose `bundle`, is valid at this time, and is not revoked.
5. manifest.json and README.txt are the ones SHA256SUMS names. Only now, with bytes that a trusted key stands for, is
   the manifest parsed.
6. The manifest is canonical, closed, consistent, of a known major format, and needs no unknown feature.
7. SHA256SUMS names exactly the manifest's volumes, with the manifest's digests.
8. The bundle is for this site.
9. Each signing key is bound to the bundle's source site.
10. The signers are exactly those the manifest names: none beside them, and (`require_all_signers`) none missing.
11. The bundle is neither expired (`not_after`) nor from the future (`created`, a day's slack for clocks that drift).
12. The signers are of as many distinct owners, by such algorithms, as the trust folder's policy demands of this
    source's bundles. Like the second half of rule 10 it waits for signatures still to come (`require_all_signers`).

The sequence is not decided here: it needs the ledger (`bundles.decide.sequence`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bundles import limits
from bundles.errors import OTHER_SITE, MalformedError, RefusedError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.format.manifest_codec import decode
from bundles.io.times import later
from bundles.oci.digest import Digest
from bundles.signing.cms.verify import signer_of
from bundles.signing.signature_files import by_key, kinds_of
from bundles.signing.trust import TrustFolder, TrustRecord

SIGNATURE_NAME: Final = re.compile(r"SHA256SUMS\.([0-9a-f]{16})\.(sig|sshsig|mldsa|cms)\Z")
RULES: Final = (
    "SHA256SUMS is in its one form",
    "signature files are few and well named",
    "every signature is a pinned key's, and holds",
    "every signing key is trusted for bundles, now",
    "manifest.json and README.txt are the signed ones",
    "the manifest is whole, canonical and understood",
    "SHA256SUMS names exactly the manifest's volumes",
    "the bundle is for this site",
    "every signing key may sign for the source",
    "the signers are exactly those named",
    "the bundle is in its time",
    "as many owners signed, and by such keys, as the policy takes",
)
"""The module's rules, each in a line for a person, in their order."""
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


def decide(files: SmallFiles, trust: TrustFolder, now: str, passed: MutableSequence[str] | None = None) -> Opened:
    """Apply the module's rules. Raises RefusedError with the first that does not hold.

    `passed` is given the line of each rule that held (RULES).
    """
    trail = [] if passed is None else passed
    lines = _lines(files)
    trail.append(RULES[0])
    _check_names(files)
    trail.append(RULES[1])
    signers = _check_signatures(files, trust, now)
    trail.append(RULES[2])
    for signer in signers:
        _object(signer.objection("bundle", now))
    trail.append(RULES[3])
    _check_small_files(files, lines)
    trail.append(RULES[4])
    manifest = _parse_manifest(files)
    trail.append(RULES[5])
    _check_lines(manifest, lines)
    trail.append(RULES[6])
    _check_destination(manifest, trust)
    trail.append(RULES[7])
    for signer in signers:
        _object(signer.objection("bundle", now, manifest.source))
    trail.append(RULES[8])
    seen = {signer.keyid for signer in signers}
    _check_named(manifest, seen)
    missing = tuple(keyid for keyid in manifest.signers if keyid not in seen)
    if not missing:
        trail.append(RULES[9])
    _check_times(manifest, now)
    trail.append(RULES[10])
    objection = trust.policy.objection(signers, "bundle", manifest.source)
    if objection is None:
        trail.append(RULES[11])
    elif not missing:
        raise _too_few(objection)
    return Opened(manifest, files.manifest, Digest.of(files.sums), signers, missing)


def _too_few(objection: str) -> RefusedError:
    return RefusedError(
        "the trust folder's policy takes more",
        thing=objection,
        remedy="have the source site name further signers and build it anew, or see: lockgate key policy",
    )


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule and what came of it: `outcome` is `ok`, `refused` or `not reached`; `detail` is the refusal's line."""

    rule: str
    outcome: str
    detail: str = ""


def judge(files: SmallFiles, trust: TrustFolder, now: str) -> tuple[RuleVerdict, ...]:
    """Every rule's verdict, for a person to read: what `decide` and `require_all_signers` find, without raising."""
    passed: list[str] = []
    detail = ""
    try:
        require_all_signers(decide(files, trust, now, passed))
    except RefusedError as error:
        detail = error.diagnostics()
    found = []
    for rule in RULES:
        if rule in passed:
            found.append(RuleVerdict(rule, "ok"))
        elif detail:
            found.append(RuleVerdict(rule, "refused", detail))
            detail = ""
        else:
            found.append(RuleVerdict(rule, "not reached"))
    return tuple(found)


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
    _check_small_files(files, lines)
    manifest = _parse_manifest(files)
    _check_lines(manifest, lines)
    return manifest


def _check_small_files(files: SmallFiles, lines: Mapping[str, str]) -> None:
    for name, data in ((sums.MANIFEST, files.manifest), (sums.README, files.readme)):
        if hashlib.sha256(data).hexdigest() != lines[name]:
            raise RefusedError(
                "the file's bytes are not the ones SHA256SUMS names",
                thing=name,
                remedy="copy it again from the source's medium",
            )


def _parse_manifest(files: SmallFiles) -> BundleManifest:
    try:
        return decode(files.manifest)
    except MalformedError as error:
        where = error.thing
        if sums.MANIFEST not in f"{error.what} {where}":
            where = f"{sums.MANIFEST}: {where}" if where else sums.MANIFEST
        raise RefusedError(error.what, thing=where, remedy=error.remedy) from None


def _check_destination(manifest: BundleManifest, trust: TrustFolder) -> None:
    if manifest.destination != trust.site:
        raise RefusedError(
            "the bundle is for another site",
            code=OTHER_SITE,
            thing=f"{manifest.id} is for {manifest.destination}, this is {trust.site}",
            remedy="carry it to where it belongs",
        )


def _check_named(manifest: BundleManifest, seen: set[str]) -> None:
    for keyid in sorted(seen - set(manifest.signers)):
        raise RefusedError(
            "a signature that the manifest does not name",
            thing=f"{sums.NAME}.{keyid}",
            remedy="remove the signature file, or ask the source site who was to sign",
        )


def _object(objection: str | None) -> None:
    if objection is not None:
        raise RefusedError(
            "a signature that does not count",
            thing=objection,
            remedy="where the key is pinned wrongly here (lockgate key list), set that right first; else ask the source"
            " site to sign with another key",
        )


def require_all_signers(opened: Opened) -> None:
    """Rule 10, second half. Raises RefusedError naming who is missing."""
    if opened.missing_signers:
        raise RefusedError(
            "a signature is missing",
            thing=", ".join(opened.missing_signers),
            remedy="have it co-signed (lockgate bundle sign) and copy the signature file onto the medium",
        )


def _check_names(files: SmallFiles) -> None:
    if not files.signatures:
        raise RefusedError(
            "the bundle is not signed", thing=sums.NAME, remedy="ask the source site for the signature file"
        )
    if len(files.signatures) > limits.SIGNATURES:
        raise RefusedError(
            "too many signature files",
            thing=str(len(files.signatures)),
            remedy=f"at most {limits.SIGNATURES} are looked at: remove those that the manifest does not name",
        )
    for name in sorted(files.signatures):
        if not SIGNATURE_NAME.match(name):
            raise RefusedError("the signer is unknown", thing=name, remedy="a signature is SHA256SUMS.KEYID.KIND")


def _check_signatures(files: SmallFiles, trust: TrustFolder, now: str) -> tuple[TrustRecord, ...]:
    signers = []
    for keyid, named in sorted(by_key(files.signatures, sums.NAME).items()):
        first = named[min(named)]
        record = trust.find(keyid)
        if record is None and set(named) == {"cms"}:
            signers.append(_certified(keyid, first, files, trust, now))
            continue
        if record is None:
            raise trust.unknown_signer(first, "bundle")
        if record.revoked is not None:
            _object(record.objection("bundle", now))
        kinds = kinds_of(record.key.algorithm)
        for kind in sorted(set(named) ^ set(kinds)):
            name = f"{sums.NAME}.{keyid}.{kind}"
            raise RefusedError(
                "a key's signature lacks a file" if kind in kinds else "a signature file that is not of the key's kind",
                thing=f"{name}, where {record.key.algorithm} has {' and '.join(kinds)}",
                remedy="copy the signature files again from the source's medium",
            )
        if not record.key.verify_files(files.sums, {kind: files.signatures[name] for kind, name in named.items()}):
            raise RefusedError(
                "the signature does not hold", thing=first, remedy="SHA256SUMS or the signature was changed"
            )
        signers.append(record)
    return tuple(signers)


def _certified(keyid: str, name: str, files: SmallFiles, trust: TrustFolder, now: str) -> TrustRecord:
    """The signer of a CMS file, whose key is pinned by nobody: his certificate's authority is."""
    record = signer_of(files.signatures[name], files.sums, trust.records, "bundle", now)
    if record.keyid != keyid:
        raise RefusedError(
            "a signature under another key's name", thing=f"{name}, made by {record.keyid}", remedy="name it by its key"
        )
    return record


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
