"""`lockgate init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from appliance.cli.context import json_option, show
from appliance.observe.acts import Act

if TYPE_CHECKING:
    from appliance.paths import StationPaths


@click.command()
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--site", required=True, metavar="NAME", help="The station's name: 1 to 32 of a-z, 0-9 and -.")
@click.option("--side", required=True, type=click.Choice(["outside", "inside"]), help="Which side of the gap.")
@click.option("--open", "open_", is_flag=True, help="For trying it out: loopback alone, no accounts, one approval.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="What clients call it by, for its certificate.")
@json_option
def init(
    root: Path, site: str, side: Literal["outside", "inside"], open_: bool, names: tuple[str, ...], as_json: bool
) -> None:
    """Make a station's data folder, config.toml and station keys.

    Without --open also its CA and certificate, and the one-time code that makes the first administrator.
    """
    from appliance import clock
    from appliance.access.certificates import check_names, default_names, make_ca, make_server
    from appliance.access.first import make_code
    from appliance.cli.recorded import actor
    from appliance.config import Config, save_config
    from appliance.observe.audit import AuditEvent, FileAudit
    from appliance.observe.checkpoints import checkpoint
    from appliance.observe.reserve import Reserve
    from appliance.origin import Origin, write_origin
    from appliance.paths import STATION_KEYS, StationPaths
    from bundles.errors import FailedError, UsageError
    from bundles.files import failures_named
    from bundles.oci.reference import check_site
    from bundles.signing.keys import create_private, save_private
    from bundles.signing.trust import init_trust

    paths = StationPaths(root.resolve())
    check_site(site)
    check_names(names)
    with failures_named(root, "the station cannot be made"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        linked = paths.run.is_symlink()  # an installed station's sockets are in /run (packaging/tmpfiles.d)
        if len(list(root.iterdir())) > linked:
            raise UsageError("the folder is not empty", thing=str(root), remedy="give a new one")
        root.chmod(0o700)
        for folder in (paths.keys, paths.store, paths.run, paths.jobs, paths.audit):
            folder.mkdir(mode=0o700, exist_ok=linked)
    made = {name: create_private() for name in STATION_KEYS}
    keys = {name: key.public.keyid for name, key in made.items()}
    try:
        FileAudit(paths.audit, made["audit"]).record(
            AuditEvent(Act.INIT, actor(), site, "done", {"side": side, "open": open_, "keys": keys})
        )
    except FailedError:
        _take_back(paths, linked=linked)
        raise
    init_trust(paths.trust, site)
    for name, key in made.items():
        save_private(paths.keys / f"{name}.pem", key, None)
    write_origin(paths, Origin(site=site, side=side, open=open_, created=clock.now()))
    checkpoint(paths, site=site)
    document = {"root": str(paths.root), "site": site, "side": side, "open": open_, "keys": keys}
    lines = [f"station {site} ({side}) in {paths.root}"]
    if not open_:
        make_ca(paths, site)
        certificate = make_server(paths, list(dict.fromkeys([*names, *default_names()])))
        document |= {"certificate": certificate.not_after, "code": make_code(paths)}
        lines += [
            f"its certificate is good until {certificate.not_after}",
            f"one-time code for the first administrator, shown once: {document['code']}",
            f"use it with: lockgate user claim NAME -C {paths.root}",
        ]
    save_config(paths.config, Config(site=site, side=side, open=open_))
    Reserve(paths.reserve).keep()
    lines.append(f"start it with: lockgate serve -C {paths.root}")
    show(document, as_json, lambda: "\n".join(lines))


def _take_back(paths: StationPaths, *, linked: bool) -> None:
    """Remove the folders of a station whose making could not be recorded: the next try finds the folder empty."""
    import shutil

    from appliance.observe.reserve import Reserve

    for folder in (paths.keys, paths.store, paths.jobs, paths.audit, *(() if linked else (paths.run,))):
        shutil.rmtree(folder, ignore_errors=True)
    reserve = Reserve(paths.reserve)
    reserve.path.unlink(missing_ok=True)
    shutil.rmtree(reserve.folder, ignore_errors=True)
