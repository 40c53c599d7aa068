"""`lockgate guide`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.shared.context import folder_option, json_option, show, station_root
from appliance.cli.station.guides import NAMES, Guide, guide_of, guides_for


@click.command()
@click.argument("role", required=False, type=click.Choice(NAMES), metavar="[ROLE]")
@folder_option
@json_option
def guide(root: Path | None, role: str | None, as_json: bool) -> None:
    """Print a role's way, command by command; without ROLE every role's, of this station's side where one is named.

    ROLE is owner, administrator, collector, co-signer, courier, security-officer, auditor or client.
    """
    side = site = ""
    if root is not None:
        from appliance.settings.station import load_config

        config = load_config(station_root(root) / "config.toml")
        side, site = config.side, config.site
    chosen = [guide_of(role)] if role is not None else guides_for(side)
    document = {
        "site": site,
        "side": side,
        "guides": [
            {
                "role": one.role, "who": one.who, "side": one.side, "how_to": one.how_to,
                "steps": [{"command": step.command, "what": step.what} for step in one.steps],
            }
            for one in chosen
        ],
    }  # fmt: skip

    def text() -> str:
        where = f"station {site} ({side}) in {root}" if site else "Set LOCKGATE_DIR, or give each command -C DIR."
        return "\n\n".join([where, *(_way(one) for one in chosen)])

    show(document, as_json, text)


def _way(one: Guide) -> str:
    where = "" if one.side == "both" else f" ({one.side})"
    lines = [line for step in one.steps for line in (f"  {step.command}", f"      {step.what}")]
    return "\n".join([f"{one.role}{where}: {one.who}", *lines, f"  more: {one.how_to}"])
