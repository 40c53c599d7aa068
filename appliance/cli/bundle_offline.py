"""`lockgate bundle verify | inspect | unpack | sign`: on a bundle's folder, without a running station."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.context import (
    json_option,
    load_key,
    megabytes,
    passphrase_option,
    show,
    station_option,
    station_root,
)
from bundles.display import safe
from bundles.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from bundles.manifest import BundleManifest
    from bundles.ports import Progress
    from bundles.signing.trust import TrustFolder

_FOLDERS = click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
_TRUST = click.option(
    "--trust", "trust_path", type=click.Path(path_type=Path), help="A trust folder (default: the station's)."
)


@click.command()
@_FOLDERS
@_TRUST
@station_option
@json_option
def verify(root: Path | None, folders: tuple[Path, ...], trust_path: Path | None, as_json: bool) -> None:
    """Check a bundle: who signed it, that it is for this site, and every byte of every volume.

    Give a folder for each medium it spans. Exit status 3: refused; 4: good so far, volumes still to come.
    """
    from appliance import clock
    from bundles import verify as checking

    trust = _trust(root, trust_path)
    with _bar("verify") as progress:
        bundle = checking.verify(folders, trust, clock.now(), progress)
    manifest = bundle.opened.manifest
    size = sum(volume.size for volume in manifest.volumes)
    document = {
        "id": manifest.id,
        "digest": str(bundle.opened.digest),
        "site": trust.site,
        "signers": [{"keyid": signer.keyid, "owner": signer.owner} for signer in bundle.opened.signers],
        "artifacts": len(manifest.artifacts),
        "volumes": len(manifest.volumes),
        "bytes": size,
        "replay_checked": False,
    }

    def text() -> str:
        owners = ", ".join(f"{safe(signer.owner)} ({signer.keyid})" for signer in bundle.opened.signers)
        return "\n".join(
            [
                f"[ok] signed by      {owners}",
                f"[ok] for            {trust.site}, from {manifest.source}, sequence {manifest.sequence}",
                f"[ok] valid          {manifest.created} to {manifest.not_after}",
                f"[ok] volumes        {len(manifest.volumes)}, {megabytes(size)}, every byte",
                f"[ok] artifacts      {len(manifest.artifacts)}",
                f"     digest         {bundle.opened.digest}",
                "[..] replay         not checked: that needs the inside station's ledger",
                f"{manifest.id} verifies",
            ]
        )

    show(document, as_json, text)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@station_option
@json_option
def inspect(root: Path | None, folder: Path, as_json: bool) -> None:
    """Say what a bundle claims to hold. Nothing is verified: believe it only after `bundle verify`."""
    import msgspec

    from bundles import limits, sums
    from bundles.errors import MalformedError
    from bundles.files import read_small
    from bundles.manifest_codec import decode
    from bundles.verify import find_folders

    (found,) = find_folders([folder])
    try:
        manifest = decode(read_small(found / sums.MANIFEST, limits.BUNDLE_MANIFEST))
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing or str(found / sums.MANIFEST), remedy=error.remedy) from None
    document = {"verified": False, "manifest": msgspec.to_builtins(manifest)}
    show(document, as_json, lambda: _claims(manifest))


def _claims(manifest: BundleManifest) -> str:
    lines = [
        f"{manifest.id}  [!!] NOT VERIFIED: this is what it says of itself",
        f"  stream        {manifest.stream}, sequence {manifest.sequence}",
        f"  made          {manifest.created} by {manifest.tool.name} {manifest.tool.version}",
        f"  valid until   {manifest.not_after}",
        f"  signers       {', '.join(manifest.signers)}",
        f"  purpose       {manifest.purpose or '-'}",
        f"  authorised    {manifest.authorisation or '-'}",
        f"  label         {manifest.classification or '-'}",
        f"  volumes       {len(manifest.volumes)} on {len({v.medium for v in manifest.volumes})} media, "
        f"{megabytes(sum(volume.size for volume in manifest.volumes))}",
        f"  blobs         {len(manifest.blobs)} carried, {len(manifest.requires)} required",
        f"  evidence      {len(manifest.sboms)} SBOMs, {len(manifest.signatures)} signatures,"
        f" {len(manifest.attestations)} attestations",
        "  artifacts",
    ]
    for artifact in manifest.artifacts:
        tags = ", ".join(artifact.tags) or "-"
        platform = f" {artifact.platform}" if artifact.platform else ""
        lines.append(f"    {artifact.kind:<11} {artifact.repository}:{tags}{platform}  {artifact.digest}")
    return "\n".join(safe(line) for line in lines)


@click.command()
@_FOLDERS
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), metavar="LAYOUT", help="A new folder.")
@_TRUST
@station_option
@json_option
def unpack(root: Path | None, folders: tuple[Path, ...], target: Path, trust_path: Path | None, as_json: bool) -> None:
    """Verify a bundle and write its content as an OCI image layout, which skopeo and others read."""
    from appliance import clock
    from bundles.unpack import unpack as write_layout

    trust = _trust(root, trust_path)
    with _bar("unpack") as progress:
        bundle = write_layout(folders, trust, clock.now(), target, progress)
    manifest = bundle.opened.manifest
    names = [f"{artifact.repository}:{tag}" for artifact in manifest.artifacts for tag in artifact.tags]
    document = {"id": manifest.id, "layout": str(target), "names": names}
    show(document, as_json, lambda: "\n".join([*names, str(target)]))


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--key", "key_name", required=True, metavar="KEY", help="A name in the key folder, or a PEM's path.")
@passphrase_option
@station_option
@json_option
def sign(root: Path | None, folder: Path, key_name: str, passphrase_fd: int | None, as_json: bool) -> None:
    """Co-sign a bundle: check its small files, then write this key's signature beside SHA256SUMS."""
    import hashlib

    from appliance.observe.audit import AuditEvent, FileAudit
    from appliance.paths import StationPaths
    from bundles import limits, sums
    from bundles.files import read_small, write_atomic
    from bundles.manifest_codec import decode
    from bundles.verify import find_folders

    (found,) = find_folders([folder])
    station = station_root(root) if root is not None or "/" not in key_name else Path()
    root_bytes = read_small(found / sums.NAME, limits.SUMS_FILE)
    lines = {line.path: line.sha256 for line in sums.parse(root_bytes)}
    raw = read_small(found / sums.MANIFEST, limits.BUNDLE_MANIFEST)
    for name, data in ((sums.MANIFEST, raw), (sums.README, read_small(found / sums.README, limits.README_FILE))):
        if hashlib.sha256(data).hexdigest() != lines[name]:
            raise RefusedError("the file's bytes are not the ones SHA256SUMS names", thing=str(found / name))
    manifest = decode(raw)
    private = load_key(station, key_name, passphrase_fd)
    keyid = private.public.keyid
    if keyid not in manifest.signers:
        raise RefusedError(
            "the bundle does not name this key as a signer", thing=keyid, remedy="build it with --cosigner " + keyid
        )
    path = found / f"{sums.NAME}.{keyid}.sig"
    write_atomic(path, private.sign(root_bytes))
    if station != Path():
        actor = f"{getpass.getuser()}({os.geteuid()})"
        event = AuditEvent("bundle.sign", actor, manifest.id, "done", {"keyid": keyid, "folder": str(found)})
        FileAudit(StationPaths(station).audit).record(event)
    missing = [name for name in manifest.signers if not (found / f"{sums.NAME}.{name}.sig").exists()]
    document = {"id": manifest.id, "keyid": keyid, "signature": str(path), "missing_signers": missing}
    still = f"still missing: {', '.join(missing)}\n" if missing else ""
    show(document, as_json, lambda: f"{manifest.id} signed by {keyid}\n{still}{path}")


def _trust(root: Path | None, trust_path: Path | None) -> TrustFolder:
    from bundles.signing.trust import TrustFolder

    if trust_path is None and root is None:
        raise UsageError("no trust folder was named", remedy="give --trust DIR, or a station with -C DIR")
    return TrustFolder.load(trust_path if trust_path is not None else station_root(root) / "trust")


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(name, *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name)
        yield lambda phase, done, total: bar.update(task, completed=done, total=total)
