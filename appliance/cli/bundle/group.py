"""`lockgate bundle`: the group."""

from __future__ import annotations

import click

from appliance.cli.main import LazyGroup

_COMMANDS = {
    "build": ("appliance.cli.bundle.build:build", "Build a signed bundle and write it to its media"),
    "recut": ("appliance.cli.bundle.recut:recut", "Cut a medium again, byte for byte"),
    "sign": ("appliance.cli.bundle.offline:sign", "Co-sign a bundle on its medium, or sign what a build waits for"),
    "list": ("appliance.cli.bundle.sent:list_", "The bundles that this station made"),
    "deltas": ("appliance.cli.bundle.sent:deltas", "What each inside is known to hold, and since when"),
    "void": ("appliance.cli.bundle.sent:void", "Say that a bundle will never come in: its media are lost"),
    "verify": ("appliance.cli.bundle.offline:verify", "Check signatures and every byte; needs no station"),
    "inspect": ("appliance.cli.bundle.offline:inspect", "Say what a bundle claims to hold, unverified"),
    "unpack": ("appliance.cli.bundle.offline:unpack", "Verify, and write it for stock tools to read"),
    "custody": ("appliance.cli.bundle.custody:custody", "Print a bundle's custody record; record a hand-over"),
}


@click.command(cls=LazyGroup, table=_COMMANDS)
def bundle() -> None:
    """Bundles: build, recut, sign, list, void, verify, inspect, unpack."""
