"""`lockgate init`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from appliance.audit.acts import Act
from appliance.cli.people.user import password_option, read_password
from appliance.cli.shared.context import json_option, show
from bundles.errors import LockgateError, UsageError

if TYPE_CHECKING:
    from appliance.paths import StationPaths
    from appliance.settings.blobs import BlobsSettings
    from appliance.store.whereabouts import Whereabouts


@click.command()
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--site", required=True, metavar="NAME", help="The station's name: 1 to 32 of a-z, 0-9 and -.")
@click.option("--side", required=True, type=click.Choice(["outside", "inside"]), help="Which side of the gap.")
@click.option("--open", "open_", is_flag=True, help="For trying it out: loopback alone, no accounts, one approval.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="What clients call it by, for its certificate.")
@click.option("--admin", metavar="NAME", help="Make the first administrator now, in the place of a one-time code.")
@password_option
@click.option("--metadata", "url", default="", metavar="URL", help="The empty PostgreSQL database for its metadata.")
@click.option("--blobs", "bucket", default="", metavar="URL", help="The bucket for its blobs: s3://BUCKET/PREFIX.")
@click.option("--blobs-endpoint", "endpoint", default="", metavar="URL", help="The address of the bucket's server.")
@click.option("--blobs-region", "region", default="us-east-1", metavar="NAME", show_default=True, help="Its region.")
@click.option("--blobs-ca", "ca", default="", metavar="FILE", help="Certificates that the server's is trusted by, too.")
@click.option("--blobs-secret", "secret", default="", metavar="FILE", help="Its access key, mode 600; it is copied.")
@json_option
def init(
    root: Path,
    site: str,
    side: Literal["outside", "inside"],
    open_: bool,
    names: tuple[str, ...],
    admin: str | None,
    password_fd: int | None,
    url: str,
    bucket: str,
    endpoint: str,
    region: str,
    ca: str,
    secret: str,
    as_json: bool,
) -> None:
    """Make a station's data folder, config.toml and station keys.

    Without --open also its CA and certificate, and a one-time code with which the first administrator is made; or that
    administrator at once, with --admin. It ends with the next three commands of this station.
    """
    from appliance import clock
    from appliance.access.certificates import check_names
    from appliance.audit.checkpoints import checkpoint
    from appliance.audit.event import AuditEvent
    from appliance.audit.folder_acts import actor
    from appliance.audit.port import FileAudit
    from appliance.origin import Origin, write_origin
    from appliance.paths import STATION_KEYS, StationPaths
    from appliance.settings.blobs import BlobsSettings
    from appliance.settings.metadata import MetadataSettings
    from appliance.settings.station import Config, save_config
    from appliance.store.reserve import Reserve
    from bundles.errors import FailedError
    from bundles.oci.reference import check_site
    from bundles.signing.keys import create_private, save_private
    from bundles.signing.pinning import init_trust

    paths = StationPaths(root.resolve())
    check_site(site)
    check_names(names)
    blobs = BlobsSettings(url=bucket, endpoint=endpoint, region=region, ca=str(Path(ca).resolve()) if ca else "")
    access = _require_bucket(root, blobs, secret)
    _require_metadata(root, paths, url)
    password = _password(root, admin, password_fd, names, open_=open_)
    linked = _make_folders(root, paths)
    elsewhere = _elsewhere(paths, url, site, linked=linked)
    _in_bucket(paths, blobs, access, linked=linked, elsewhere=elsewhere)
    made = {name: create_private() for name in STATION_KEYS}
    keys = {name: key.public.keyid for name, key in made.items()}
    try:
        FileAudit(paths.audit, made["audit"]).record(
            AuditEvent(Act.INIT, actor(), site, "done", {"side": side, "open": open_, "keys": keys})
        )
    except FailedError:
        _take_back(paths, linked=linked, elsewhere=elsewhere)
        raise
    init_trust(paths.trust, site)
    for name, key in made.items():
        save_private(paths.keys / f"{name}.pem", key, None)
    write_origin(paths, Origin(site=site, side=side, open=open_, created=clock.now()))
    checkpoint(paths, site=site)
    document: dict[str, Any] = {"root": str(paths.root), "site": site, "side": side, "open": open_, "keys": keys}
    lines = [f"station {site} ({side}) in {paths.root}"]
    if not open_:
        document["certificate"] = _make_certificate(paths, site, names)
        lines.append(f"its certificate is good until {document['certificate']}")
    save_config(paths.config, Config(site=site, side=side, open=open_, metadata=MetadataSettings(url=url), blobs=blobs))
    lines += _first_administrator(paths, document, admin, password)
    Reserve(paths.reserve).keep()
    document["next"] = steps = _next(paths, side, open_=open_, admin=admin)
    every = f"each role's way: lockgate guide -C {shlex.quote(str(paths.root))}"
    lines += [every, "next:", *(f"  {step}" for step in steps)]
    show(document, as_json, lambda: "\n".join(lines))


def _require_metadata(root: Path, paths: StationPaths, url: str) -> None:
    """A database for the metadata is named rightly and can be a new station's, asked before anything is made. Raises
    UsageError, FailedError."""
    from appliance.settings.metadata import check_url
    from appliance.store.elsewhere import require_free

    if url:
        check_url(url)
        _require_free(root)
        require_free(paths.database, url)


def _require_bucket(root: Path, blobs: BlobsSettings, secret: str) -> bytes:
    """A bucket for the blobs is named rightly, and its access key can be read; the key, b"" where it is a credential or
    the blobs are files. Raises UsageError, RefusedError, FailedError."""
    from appliance.limits import store as limits
    from appliance.store.bucket_note import read_secret
    from appliance.store.opening import place_of
    from bundles.io.files import read_small

    if not blobs.url:
        if blobs.endpoint or blobs.ca or secret:
            raise UsageError("a bucket's server or key, and no bucket", remedy="name the bucket with --blobs")
        return b""
    place_of(blobs)
    _require_free(root)
    if not secret:
        return b""
    read_secret(Path(secret))
    return read_small(Path(secret), limits.METADATA_NOTE)


def _in_bucket(
    paths: StationPaths, blobs: BlobsSettings, access: bytes, *, linked: bool, elsewhere: Whereabouts | None
) -> None:
    """Make the bucket the new station's, and keep its access key. Raises LockgateError, with the folder as it was."""
    from appliance.store.opening import make_in_bucket
    from bundles.io.files import write_atomic

    if not blobs.url:
        return
    try:
        if access:
            write_atomic(paths.blobs_secret, access, 0o600)
        make_in_bucket(paths, blobs)
    except LockgateError:
        _take_back(paths, linked=linked, elsewhere=elsewhere)
        raise


def _make_folders(root: Path, paths: StationPaths) -> bool:
    """Make the folders; whether the one of the sockets was there as a link. Raises UsageError, FailedError."""
    from bundles.io.files import failures_named

    with failures_named(root, "the station cannot be made"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        linked = paths.run.is_symlink()  # an installed station's sockets are in /run (packaging/tmpfiles.d)
        if len(list(root.iterdir())) > linked:
            raise UsageError("the folder is not empty", thing=str(root), remedy="give a new one")
        root.chmod(0o700)
        for folder in (paths.keys, paths.store, paths.run, paths.jobs, paths.audit):
            folder.mkdir(mode=0o700, exist_ok=linked)
    return linked


def _elsewhere(paths: StationPaths, url: str, site: str, *, linked: bool) -> Whereabouts | None:
    """Make the metadata in the database that a URL names; None where it is to be in the folder. Raises LockgateError,
    with the folder as it was."""
    from appliance.store.elsewhere import make_elsewhere

    if not url:
        return None
    try:
        return make_elsewhere(paths.database, url, site)
    except LockgateError:
        _take_back(paths, linked=linked)
        raise


def _require_free(root: Path) -> None:
    """The folder is new, empty, or holds the link of an installed station's sockets alone; asked before a password is
    typed. Raises UsageError, FailedError where it cannot be read."""
    from bundles.io.files import failures_named

    with failures_named(root, "the station cannot be made"):
        if root.exists() and any(not (path.name == "run" and path.is_symlink()) for path in root.iterdir()):
            raise UsageError("the folder is not empty", thing=str(root), remedy="give a new one")


def _make_certificate(paths: StationPaths, site: str, names: Sequence[str]) -> str:
    """The site's CA, and a certificate for these names and this machine's own; until when it is good."""
    from appliance.access.certificates import default_names, make_ca, make_server

    make_ca(paths, site)
    return make_server(paths, list(dict.fromkeys([*names, *default_names()]))).not_after


def _first_administrator(paths: StationPaths, document: dict[str, Any], admin: str | None, password: str) -> list[str]:
    """Make the first administrator of a closed station, or the code that one is made with; what to print of it."""
    from appliance.access.first_administrator import make_code
    from appliance.cli.shared.first_steps import make_administrator

    if admin is not None:
        make_administrator(paths.root, admin, "", password)
        document["administrator"] = admin
        return [f"{admin} is administrator"]
    if document["open"]:
        return []
    document["code"] = make_code(paths)
    return [f"one-time code for the first administrator, shown once: {document['code']}"]


def _password(root: Path, admin: str | None, password_fd: int | None, names: tuple[str, ...], *, open_: bool) -> str:
    """The first administrator's, asked for before anything is made; "" where none is made now. Raises UsageError."""
    from appliance.access.passwords import check_password
    from appliance.store.reads.accounts import check_name

    if open_ and names:
        raise UsageError(
            "an open station has no certificate", thing=f"--name {names[0]}", remedy="leave out --open or --name"
        )
    if admin is None:
        if password_fd is not None:
            raise UsageError("a password, and nobody whose it is", remedy="name the first administrator with --admin")
        return ""
    if open_:
        raise UsageError(
            "an open station has no accounts", thing=f"--admin {admin}", remedy="leave out --open or --admin"
        )
    check_name(admin)
    _require_free(root)
    return check_password(read_password(password_fd, f"New password of {admin}", confirm=True))


def _next(paths: StationPaths, side: str, *, open_: bool, admin: str | None) -> list[str]:
    """The three commands that go on from here, for this very station."""
    where = f"-C {shlex.quote(str(paths.root))}"
    if not open_ and admin is None:
        return [f"lockgate user claim NAME {where}", f"lockgate serve {where}", f"lockgate user login NAME {where}"]
    outside = side == "outside"
    trust = f'lockgate key trust FILE --purpose bundle --owner "WHO" --from SITE {where}'
    first = f"lockgate key create engineer {where}" if outside else trust
    if admin is not None:
        role = "collector" if outside else "courier"
        last = f"lockgate user create NAME --role {role} --user {admin} {where}"
    else:
        last = f"lockgate collect SOURCE {where}" if outside else f"lockgate intake import DIR {where}"
    return [first, f"lockgate serve {where}", last]


def _take_back(paths: StationPaths, *, linked: bool, elsewhere: Whereabouts | None = None) -> None:
    """Remove the folders of a station whose making could not be recorded: the next try finds the folder empty."""
    import shutil

    from appliance.store.elsewhere import unmake_elsewhere
    from appliance.store.reserve import Reserve

    if elsewhere is not None:
        unmake_elsewhere(paths.database, elsewhere)
    paths.blobs_note.unlink(missing_ok=True)
    for folder in (paths.keys, paths.store, paths.jobs, paths.audit, *(() if linked else (paths.run,))):
        shutil.rmtree(folder, ignore_errors=True)
    reserve = Reserve(paths.reserve)
    reserve.path.unlink(missing_ok=True)
    shutil.rmtree(reserve.folder, ignore_errors=True)
