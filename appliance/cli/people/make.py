"""Make an account, of a person or a robot, and say what that means for an open station."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from appliance.control.client import ControlClient


async def make_account(client: ControlClient, body: dict[str, Any]) -> dict[str, Any]:
    """Make the account of `body` (POST /v1/accounts), and return it. Of an open station it is said on standard error
    that it will not start again as one: it lets everybody in, and accounts say who may come."""
    made: dict[str, Any] = await client.post("/v1/accounts", body)
    if (await client.get("/v1/session"))["open"]:
        click.echo(
            "[!!] an open station starts no more once it has accounts: stop it, and close it with: lockgate close",
            err=True,
        )
    return made
