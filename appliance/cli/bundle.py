"""`lockgate bundle`: the group."""

from __future__ import annotations

import click

from appliance.cli.main import LazyGroup

_COMMANDS = {
    "build": ("appliance.cli.bundle_build:build", "Build a signed bundle and write it to its media"),
    "sign": ("appliance.cli.bundle_offline:sign", "Co-sign a bundle on its medium"),
    "verify": ("appliance.cli.bundle_offline:verify", "Check signatures and every byte; needs no station"),
    "inspect": ("appliance.cli.bundle_offline:inspect", "Say what a bundle claims to hold, unverified"),
    "unpack": ("appliance.cli.bundle_offline:unpack", "Verify, and write an OCI image layout"),
}


@click.command(cls=LazyGroup, table=_COMMANDS)
def bundle() -> None:
    """Bundles: build, sign, verify, inspect, unpack."""
