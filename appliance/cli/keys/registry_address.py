"""How clients reach the station's registry, for what is printed for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from appliance.paths import StationPaths

host_option = click.option(
    "--host", metavar="HOST[:PORT]", help="How the client reaches the registry: a name of the certificate."
)


def registry_address(paths: StationPaths, host: str | None) -> str:
    """`HOST:PORT` as clients write it. What of it may surprise is said on standard error. Raises UsageError for a host
    that the certificate does not name, and where the port is not known yet."""
    from appliance.access.certificates import load, names_of
    from appliance.access.snippets import reach_of
    from appliance.addresses import is_loopback, split_listen
    from appliance.half_closed import require_accounts
    from appliance.settings.station import load_config
    from appliance.station import listens_at
    from bundles.errors import UsageError

    config = load_config(paths.config)
    require_accounts(paths, config)
    running = listens_at(paths)
    listens = running or config.listen
    listened, port = split_listen(listens)
    reach = reach_of(host, names_of(load(config.tls.path(paths.root, "certificate"))), port)
    if reach.endswith(":0"):
        raise UsageError(
            "the port is not known: each start chooses one, and the station does not run",
            thing=f'listen = "{config.listen}" in config.toml',
            remedy="give --host HOST:PORT, or write a port in config.toml",
        )
    if running is not None and running != config.listen:
        click.echo(f"the station listens at {running} now, and not at config.toml's {config.listen}", err=True)
    if is_loopback(listened) and host is None:
        click.echo(f"no other machine reaches {listens}: set listen in config.toml, or give --host", err=True)
    return reach
