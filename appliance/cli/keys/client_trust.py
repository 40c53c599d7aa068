"""`lockgate trust snippet` and `lockgate tls`: what clients need to trust the station, and its certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance.audit.acts import Act
from appliance.cli.keys.registry_address import host_option, registry_address
from appliance.cli.shared.context import call, folder_option, json_option, show, station_option, station_root, table
from bundles.io.display import some


@click.group()
def trust() -> None:
    """What clients need so that they trust this station."""


@trust.command()
@click.argument(
    "client",
    type=click.Choice(["containerd", "crio", "k3s", "kubelet", "kubernetes", "podman", "docker", "helm", "skopeo"]),
)
@host_option
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="REGISTRY",
    help="Stand in for a registry, as docker.io; _default: for all (containerd, k3s, kubernetes). May be repeated.",
)
@click.option("--issuer", metavar="NAME", help="Of [workload_issuers]: the nodes' cluster (kubelet).")
@folder_option
@json_option
def snippet(
    root: Path | None, client: str, host: str | None, mirrors: tuple[str, ...], issuer: str | None, as_json: bool
) -> None:
    """Print the configuration that a client needs, as a shell script to read and run there as root.

    The script asks nothing: LOCKGATE_USER and LOCKGATE_SECRET_FILE in its environment name an account and the file with
    its secret. A file that others share (registries.yaml, daemon.json, a mirror's hosts.toml) is not replaced: the
    script writes what is to be merged beside it, says so, and ends with status 1. It restarts nothing.

    With --mirror nodes pull from the station what manifests ask of that registry, under the same names. `kubernetes`
    prints a DaemonSet for nodes with containerd, and an example of a pod. `kubelet` prints a credential provider: pods
    then log in by their service accounts' tokens, and nodes hold no secret.
    """
    from appliance.access.kubelet_snippet import audience_of, kubelet
    from appliance.access.snippets import CLIENTS, check_mirrors
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config
    from bundles.errors import UsageError
    from bundles.io.files import read_small
    from bundles.limits import MIB

    paths = StationPaths(station_root(root))
    mirrored = check_mirrors(mirrors)
    reach = registry_address(paths, host)
    config = load_config(paths.config)
    if client != "kubelet" and issuer is not None:
        raise UsageError("--issuer is for the kubelet", thing=client, remedy="leave it out")
    if client == "kubelet" and mirrored:
        raise UsageError("a kubelet has no mirrors", thing=mirrors[0], remedy="give --mirror to the node's runtime")
    if client == "kubelet":
        made = kubelet(reach, audience_of(config, issuer))
    else:
        made = CLIENTS[client](reach, read_small(config.tls.path(paths.root, "ca"), MIB).decode(), mirrored)
    document = {
        "client": client, "host": reach, "mirrors": list(mirrors), "files": dict(made.files),
        "shared": sorted(made.shared), "commands": list(made.commands), "text": made.text(client, reach),
    }  # fmt: skip
    show(document, as_json, lambda: str(document["text"]))


@click.group()
def tls() -> None:
    """The server's certificate: show, renew, reload."""


@tls.command("show")
@folder_option
@json_option
def show_(root: Path | None, as_json: bool) -> None:
    """The certificates, until when they are good, and for which names."""
    from appliance.access.certificate_alerts import expiries
    from appliance.access.certificates import load, names_of
    from appliance.half_closed import require_accounts
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config

    station = station_root(root)
    config = load_config(station / "config.toml")
    require_accounts(StationPaths(station), config)
    found = expiries(config, station)
    items: list[dict[str, Any]] = [
        {"name": entry.name, "path": str(entry.path), "not_after": entry.not_after, "days": entry.days,
         "level": entry.level, "names": names_of(load(entry.path))}
        for entry in found
    ]  # fmt: skip
    rows = [
        (entry.name, "[!!]" if entry.level else "[ok]", f"{entry.not_after} ({some(entry.days, 'day')})",
         ", ".join(item["names"]) or "-")
        for entry, item in zip(found, items, strict=True)
    ]  # fmt: skip
    show({"items": items}, as_json, lambda: table(rows, ("CERTIFICATE", "STATE", "UNTIL", "NAMES")))


@tls.command()
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name or address (default: those it has now).")
@folder_option
@json_option
def renew(root: Path | None, names: tuple[str, ...], as_json: bool) -> None:
    """Make a new server certificate by the site's CA. A running station takes it up with `tls reload`."""
    from appliance.access.certificates import SERVER, default_names, load, make_server, names_of
    from appliance.audit.folder_acts import recorded
    from appliance.half_closed import require_accounts
    from appliance.paths import StationPaths
    from appliance.settings.station import load_config

    paths = StationPaths(station_root(root))
    require_accounts(paths, load_config(paths.config))
    old = paths.tls / SERVER
    before = names_of(load(old)) if old.is_file() else []
    wanted = list(names) or before or default_names()
    dropped = [name for name in before if name not in wanted]
    with recorded(paths.root, Act.TLS_RENEW, paths.root.name, {"names": wanted}):
        made = make_server(paths, wanted)
    document = {"path": str(made.path), "not_after": made.not_after, "names": wanted, "dropped": dropped}
    lines = [f"a certificate until {made.not_after}, for {', '.join(wanted)}"]
    if dropped:
        lines.append(f"[!!] no longer for {', '.join(dropped)}; to keep a name give it with --name too")
    show(document, as_json, lambda: "\n".join([*lines, "take it up with: lockgate tls reload"]))


@tls.command()
@station_option
@json_option
def reload(root: Path | None, as_json: bool) -> None:
    """Let the running station take up the certificate's files; no connection is dropped."""
    document: dict[str, Any] = call(root, lambda client: client.post("/v1/tls/reload"))
    show(document, as_json, lambda: f"reloaded; good until {document['items'][0]['not_after']}")
