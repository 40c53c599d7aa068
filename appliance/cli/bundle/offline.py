"""`lockgate bundle verify | inspect | unpack | sign`: on a bundle's folder, without a running station."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.completion import JOB_TO_SIGN, KEY
from appliance.cli.shared.context import (
    folder_option,
    is_key_file,
    json_option,
    load_key,
    megabytes,
    passphrase_option,
    show,
    station_option,
    station_root,
)
from bundles.errors import RefusedError, UsageError
from bundles.format.manifest import volume_path
from bundles.io.display import safe, some

if TYPE_CHECKING:
    from bundles.format.manifest import BundleManifest
    from bundles.ports import Progress
    from bundles.signing.keys import PrivateKey
    from bundles.signing.trust import TrustFolder

_FOLDERS = click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
_TRUST = click.option(
    "--trust", "trust_path", type=click.Path(path_type=Path), help="A trust folder (default: the station's)."
)


@click.command()
@_FOLDERS
@_TRUST
@folder_option
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
    replay_checked = trust_path is None and _check_replay(station_root(root), manifest, str(bundle.opened.digest))
    size = sum(volume.size for volume in manifest.volumes)
    document = {
        "id": manifest.id,
        "digest": str(bundle.opened.digest),
        "site": trust.site,
        "signers": [{"keyid": signer.keyid, "owner": signer.owner} for signer in bundle.opened.signers],
        "artifacts": len(manifest.artifacts),
        "volumes": len(manifest.volumes),
        "bytes": size,
        "replay_checked": replay_checked,
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
                "[ok] sequence       the next of its stream in this station's ledger"
                if replay_checked
                else "[..] replay         not checked: that needs the inside station's ledger (-C DIR)",
                f"{manifest.id} verifies",
            ]
        )

    show(document, as_json, text)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@folder_option
@json_option
def inspect(root: Path | None, folder: Path, as_json: bool) -> None:
    """Say what a bundle claims to hold. Nothing is verified: believe it only after `bundle verify`."""
    import msgspec

    from bundles import limits
    from bundles.errors import MalformedError
    from bundles.format import sums
    from bundles.format.manifest_codec import decode
    from bundles.io.files import open_regular, read_small
    from bundles.signing.signature_files import by_key
    from bundles.verify import find_folders

    (found,) = find_folders([folder])
    try:
        manifest = decode(read_small(found / sums.MANIFEST, limits.BUNDLE_MANIFEST))
    except MalformedError as error:
        raise RefusedError(error.what, thing=error.thing or str(found / sums.MANIFEST), remedy=error.remedy) from None
    here = [volume.index for volume in manifest.volumes if (found / volume_path(volume.index)).exists()]
    names = [path.name for path in itertools.islice(found.iterdir(), limits.SIGNATURES * 8)]
    own = [name for name in names if name == sums.README or name.startswith(sums.NAME)]
    for name in (*own, *map(volume_path, here)):
        os.close(open_regular(found / name))  # what else a desktop left there is no concern of this
    here_signed = by_key(names, sums.NAME)
    signed = [keyid for keyid in manifest.signers if keyid in here_signed]
    document = {
        "verified": False,
        "folder": str(found),
        "volumes_here": here,
        "signatures_here": signed,
        "manifest": msgspec.to_builtins(manifest),
    }
    show(document, as_json, lambda: _claims(manifest, here, signed))


def _claims(manifest: BundleManifest, here: list[int], signed: list[str]) -> str:
    media = len({volume.medium for volume in manifest.volumes})
    size = sum(volume.size for volume in manifest.volumes)
    lines = [
        f"{manifest.id}  [!!] NOT VERIFIED: this is what it says of itself",
        f"  stream        {manifest.stream}, sequence {manifest.sequence}, after {manifest.previous or 'none'}",
        f"  made          {manifest.created} by {manifest.tool.name} {manifest.tool.version}",
        f"  valid until   {manifest.not_after}",
        f"  purpose       {manifest.purpose or '-'}",
        f"  authorised    {manifest.authorisation or '-'}",
        f"  label         {manifest.classification or '-'}",
        f"  blobs         {len(manifest.blobs)} carried, {len(manifest.requires)} required",
        f"  evidence      {some(len(manifest.sboms), 'SBOM')}, {some(len(manifest.signatures), 'signature')},"
        f" {some(len(manifest.attestations), 'attestation')}",
        "  signers",
        *(f"    {keyid}  {'signature here' if keyid in signed else 'no signature here'}" for keyid in manifest.signers),
        f"  volumes       {len(manifest.volumes)} on {some(media, 'medium', 'media')}, {megabytes(size)}",
        *(
            f"    {volume_path(volume.index)}  medium {volume.medium}  {megabytes(volume.size):>12}"
            f"  {'here' if volume.index in here else 'not here'}"
            for volume in manifest.volumes
        ),
        "  artifacts",
    ]
    for artifact in manifest.artifacts:
        tags = ", ".join(artifact.tags) or "-"
        platform = f" {artifact.platform}" if artifact.platform else ""
        lines.append(f"    {artifact.kind:<11} {artifact.repository}:{tags}{platform}  {artifact.digest}")
    if manifest.sboms:
        lines += ["  SBOMs", *(f"    {sbom.digest}  of {sbom.subject}" for sbom in manifest.sboms)]
    return "\n".join(safe(line) for line in lines)


@click.command()
@_FOLDERS
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["oci", "docker-archive", "dir"]),
    default="oci",
    show_default=True,
    help="An OCI image layout; or for each artifact REPO@TAG.tar for docker load, or a folder REPO@TAG for dir:.",
)
@click.option(
    "--without-manifest", "recovers", is_flag=True, help="Recover what volumes hold whose manifest is lost: UNVERIFIED."
)
@_TRUST
@folder_option
@json_option
def unpack(
    root: Path | None,
    folders: tuple[Path, ...],
    target: Path,
    form: str,
    recovers: bool,
    trust_path: Path | None,
    as_json: bool,
) -> None:
    """Verify a bundle and write its content in a form that stock tools read; the last line is the folder.

    skopeo finds Docker's own image types in the dir and docker-archive forms alone. An archive holds an image: what
    else the bundle carries is named and left out; an index gives an archive for each of its platforms.

    With --without-manifest nothing is verified but that each blob is what its name says: who made them, and whether
    they are all, stood in what is lost. Exit status 4: something could not be read.
    """
    if recovers:
        if form != "oci":
            raise UsageError("--without-manifest writes a layout", thing=form, remedy="leave --format out")
        _recover(folders, target, as_json)
        return
    from appliance import clock
    from bundles.unpack import unpack as write_out

    trust = _trust(root, trust_path)
    with _bar("unpack") as progress:
        bundle, written = write_out(folders, trust, clock.now(), target, progress, form)
    manifest = bundle.opened.manifest
    names = [f"{artifact.repository}:{tag}" for artifact in manifest.artifacts for tag in artifact.tags]
    document = {
        "id": manifest.id, "verified": True, "layout": str(target), "format": form, "names": names,
        "files": written.files, "left_out": [{"name": name, "why": why} for name, why in written.left_out],
    }  # fmt: skip
    lines = [*(names if form == "oci" else written.files)]
    lines += [safe(f"[!!] left out: {name}: {why}") for name, why in written.left_out]
    show(document, as_json, lambda: "\n".join([*lines, str(target)]))


def _recover(folders: tuple[Path, ...], target: Path, as_json: bool) -> None:
    from bundles.errors import IncompleteError
    from bundles.recover import recover

    with _bar("recover") as progress:
        found = recover(folders, target, progress)
    document = {
        "verified": False, "layout": str(target), "blobs": found.blobs, "names": found.names, "lost": found.lost,
        "broken": [{"name": name, "why": why} for name, why in found.broken], "strange": found.strange,
    }  # fmt: skip
    lines = [
        "[!!] NOT VERIFIED: no signature was checked, and this may not be all; each blob is what its name says",
        *found.names,
        *(f"[!!] not whole: {name}: {why}" for name, why in found.broken),
        *(f"[!!] lost: {one}" for one in found.lost),
        *(f"[!!] passed over: {one}" for one in found.strange),
        f"{some(found.blobs, 'blob')} recovered",
    ]
    show(document, as_json, lambda: "\n".join([*map(safe, lines), str(target)]))
    if found.lost or found.broken:
        first = found.lost[0] if found.lost else f"{found.broken[0][0]}: {found.broken[0][1]}"
        what = f"{some(len(found.lost), 'thing is', 'things are')} lost" if found.lost else "artifacts are not whole"
        raise IncompleteError(
            what, thing=safe(first)[:200],
            remedy="bring the other media, or have them cut again: lockgate bundle recut ID --medium N --out DIR",
        )  # fmt: skip


@click.command()
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--job", "job_id", metavar="ID", type=JOB_TO_SIGN, help="Sign what this job of the running station waits for."
)
@click.option("--key", "key_name", type=KEY, metavar="KEY", help="A name in the key folder, or a key file's path.")
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The key's certificate and each issuer's: sign by CMS.",
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A CMS signature of SHA256SUMS that was made elsewhere.",
)
@passphrase_option
@station_option
@json_option
def sign(
    root: Path | None,
    folders: tuple[Path, ...],
    job_id: str | None,
    key_name: str | None,
    certificates: Path | None,
    signature: Path | None,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Co-sign a bundle: check what is here against SHA256SUMS, then write this key's signature beside it.

    The key must be one the bundle names as a signer. Where the bundle spans media, name all of them that are here: a
    hybrid key's or a token's signature differs each time it is made, and must be the same on all.

    With --certificates the signature is CMS, for sites that pinned the root of your certificate; --signature writes one
    that a card's program or openssl made over SHA256SUMS onto the media.

    With --job ID: sign what a build waits for, whoever started it and wherever, and follow it to its end. The last line
    is the bundle's folder, as of the build.
    """
    from appliance.cosigning import cosign
    from bundles import limits
    from bundles.format import sums
    from bundles.io.files import read_small
    from bundles.signing.cms.sign import CmsKey, SignedElsewhere, read_chain

    if bool(folders) == (job_id is not None):
        raise UsageError("say what to sign", remedy="give the bundle's DIR, or a job's --job ID, and not both")
    if (key_name is None) == (signature is None) or (signature is not None and certificates is not None):
        raise UsageError(
            "one key signs", remedy="give --key KEY (with --certificates FILE for CMS), or --signature FILE"
        )
    if job_id is not None and (certificates is not None or signature is not None):
        raise UsageError(
            "CMS signs what is written", thing=job_id, remedy="finish the build, then name the bundle's DIR"
        )
    if job_id is not None:
        from appliance.cli.bundle.build import built
        from appliance.cli.shared.follow import sign_job

        key = load_key(station_root(root), str(key_name), passphrase_fd)
        result = sign_job(root, job_id, lambda: key)
        show(result, as_json, lambda: built(result))
        return
    station = None if root is None and (key_name is None or is_key_file(None, key_name)) else station_root(root)
    with ExitStack() as shown:
        progress = shown.enter_context(_bar("check"))

        def open_key() -> PrivateKey:
            shown.close()  # a bar that is painted again and again would hide the question
            if signature is not None:
                return SignedElsewhere(signature, read_small(folders[0] / sums.NAME, limits.SUMS_FILE))
            key = load_key(station or Path(), str(key_name), passphrase_fd)
            return key if certificates is None else CmsKey(key, read_chain(certificates), certificates)

        done = cosign(folders, open_key, station, progress)
    written = [str(folder / name) for folder in done.folders for name in done.files]
    document = {
        "id": done.id, "keyid": done.keyid, "signature": written[0], "signatures": written, "files": list(done.files),
        "missing_signers": list(done.missing),
    }  # fmt: skip
    still = [f"still missing: {', '.join(done.missing)}"] if done.missing else []
    show(document, as_json, lambda: "\n".join([f"{done.id} signed by {done.keyid}", *still, *written]))


def _check_replay(station: Path, manifest: BundleManifest, digest: str) -> bool:
    """Ask the station's ledger; False where it has none yet. Raises RefusedError as `ledger_verdict`."""
    from appliance.paths import StationPaths
    from appliance.store.database import open_reader
    from appliance.store.reads.intake import history
    from appliance.store.whereabouts import is_made
    from bundles.decide.sequence import ledger_verdict

    database = StationPaths(station).database
    if not is_made(database):
        return False
    with closing(open_reader(database)) as reader:
        ledger_verdict(history(reader, manifest.stream), manifest, digest)
    return True


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
