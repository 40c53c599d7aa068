"""`lockgate sftp`: bundles to transfer hosts and from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.cli.bundle.build import check_folders
from appliance.cli.completion import HOST
from appliance.cli.shared.context import call, detach_option, json_option, megabytes, show, station_option, table
from bundles.io.display import safe, some

_secret_option = click.option(
    "--secret-fd", type=int, metavar="N",
    help="A descriptor with the password, or the key's passphrase; else a credential of the service.",
)  # fmt: skip


@click.group()
def sftp() -> None:
    """Carry bundles by SFTP: hosts, list, push, pull; and by drop folders: watch. Both are named in config.toml."""


@sftp.command()
@station_option
@json_option
def hosts(root: Path | None, as_json: bool) -> None:
    """The transfer hosts, with the fingerprints that are pinned."""
    document = call(root, lambda client: client.get("/v1/transfer-hosts"))
    rows = [
        (one["name"], f"{one['user']}@{one['address']}", one["folder"] or "-", " ".join(one["host_keys"]),
         one["through"] or "-", " ".join(one["hours"]) or "always")
        for one in document["items"]
    ]  # fmt: skip
    show(document, as_json, lambda: table(rows, ("HOST", "ADDRESS", "FOLDER", "HOST KEYS", "THROUGH", "HOURS")))


@sftp.command()
@station_option
@json_option
def watch(root: Path | None, as_json: bool) -> None:
    """The drop folders: what was imported, what waits and for what, what was refused and why.

    The station looks by itself, every two seconds; this shows what it found.
    """
    document = call(root, lambda client: client.get("/v1/drop-folders"))
    show(document, as_json, lambda: _watched(document["items"]))


def _watched(folders: list[dict[str, Any]]) -> str:
    lines = [] if folders else ["no drop folder is named in config.toml"]
    for folder in folders:
        lines.append(f"{folder['name']}: {folder['path']}" + (f": {folder['fault']}" if folder["fault"] else ""))
        for one in folder["bundles"]:
            lines.append(f"  {one['id']} {one['state']}" + (f": {one['why']}" if one["why"] else ""))
        if folder["others"]:
            more = " or more" if folder["more"] else ""
            lines.append(f"  {some(folder['others'], 'name')}{more} that is no bundle's, left alone")
    return "\n".join(safe(line) for line in lines)


@sftp.command("list")
@click.argument("host", type=HOST, metavar="HOST[:FOLDER]")
@_secret_option
@station_option
@json_option
def list_(root: Path | None, host: str, secret_fd: int | None, as_json: bool) -> None:
    """The bundles that lie on a transfer host, and what else is there."""
    from appliance.cli.shared.follow import run_job

    result = run_job(root, "sftp-list", {"at": host}, secret=_secret(secret_fd))
    rows = [(one["id"], "whole" if one["whole"] else "on its way", str(one["volumes"])) for one in result["bundles"]]
    lines = [table(rows, ("BUNDLE", "STATE", "VOLUMES"))] if rows else ["no bundle is there"]
    lines += [f"not a bundle: {name}" for name in result["others"]]
    if result["others_more"]:
        lines.append(f"and {result['others_more']} more that are none")
    show(result, as_json, lambda: "\n".join(lines))


@sftp.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, type=HOST, metavar="HOST[:FOLDER]", help="A transfer host, and another folder than its own."
)
@_secret_option
@detach_option
@station_option
@json_option
def push(
    root: Path | None, folders: tuple[Path, ...], to: str, secret_fd: int | None, detach: bool, as_json: bool
) -> None:
    """Send bundles to a transfer host: what is signed of each DIR, and nothing else.

    What was sent is read back before a file gets its name. What was cut off goes on where it was: run it again. The
    last line is the bundle's folder there.
    """
    from appliance.cli.shared.follow import run_job

    params = {"paths": [str(folder.absolute()) for folder in folders], "to": to}
    result = run_job(root, "sftp-push", params, detach=detach, secret=_secret(secret_fd))
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    show(result, as_json, lambda: _pushed(result))


def _pushed(result: dict[str, Any]) -> str:
    how = "sent and read back" if result["compared"] else "sent, and not read back"
    lines = []
    for one in result["bundles"]:
        there = f", {one['there']} of them there already" if one["there"] else ""
        lines.append(f"{one['id']}: {some(one['volumes'], 'volume')}, {megabytes(one['bytes'])}, {how}{there}")
        if one["missing_signers"]:
            lines.append(f"still to sign: {', '.join(one['missing_signers'])}")
    return "\n".join(safe(line) for line in [*lines, *(one["path"] for one in result["bundles"])])


@sftp.command()
@click.argument("name", metavar="ID")
@click.option(
    "--from", "from_", required=True, type=HOST, metavar="HOST[:FOLDER]", help="A transfer host, or a folder of it."
)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path),
    help="The folder that the bundle's folder is made in; it must be there.",
)  # fmt: skip
@_secret_option
@detach_option
@station_option
@json_option
def pull(
    root: Path | None, name: str, from_: str, out: Path, secret_fd: int | None, detach: bool, as_json: bool
) -> None:
    """Fetch a bundle from a transfer host into a folder, as a medium: then import that.

    Its signatures are checked first; of what this station does not trust no volume is fetched. Exit status 3: refused;
    4: good so far, volumes are not there yet. What was cut off goes on where it was. The last line is the folder.
    """
    from appliance.cli.shared.follow import run_job

    check_folders((out,))
    params = {"id": name, "from": from_, "out": str(out.absolute())}
    result = run_job(root, "sftp-pull", params, detach=detach, secret=_secret(secret_fd))
    if detach:
        show(result, as_json, lambda: str(result["job"]))
        return
    text = f"{some(result['volumes'], 'volume')}, {megabytes(result['bytes'])}, every byte is the signed one"
    show(result, as_json, lambda: safe(text) + "\n" + safe(result["path"]))


def _secret(descriptor: int | None) -> bytes | None:
    if descriptor is None:
        return None
    from bundles.io.secret import passphrase_from

    return passphrase_from(descriptor, "--secret-fd")
