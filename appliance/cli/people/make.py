"""Make an account, of a person or a robot, where the station has accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundles.errors import UsageError

if TYPE_CHECKING:
    from appliance.control.client import ControlClient


async def make_account(client: ControlClient, body: dict[str, Any]) -> dict[str, Any]:
    """Make the account of `body` (POST /v1/accounts), and return it.

    Raises UsageError on an open station: with an account in it, it would not start again as an open one.
    """
    if (await client.get("/v1/session"))["open"]:
        raise UsageError(
            "an open station has no accounts",
            thing=str(body["name"]),
            remedy="for accounts stop it, and close it with: lockgate close",
        )
    made: dict[str, Any] = await client.post("/v1/accounts", body)
    return made
