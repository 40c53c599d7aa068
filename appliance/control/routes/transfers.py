"""GET /v1/transfer-hosts: where bundles are carried by SFTP."""

from __future__ import annotations

from aiohttp import web

from appliance.api.common import Page
from appliance.api.transfers import TransferHost
from appliance.control.api import Control, answer, get


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def hosts(_: web.Request) -> web.Response:
        named = sorted(control.station.config.transfer_hosts.items())
        return answer(
            Page(
                tuple(
                    TransferHost(
                        name=name, address=one.address, user=one.user, folder=one.folder, through=one.through,
                        host_keys=one.host_keys, hours=one.hours, rate=one.rate, parallel=one.parallel,
                        compare=one.compare,
                    )
                    for name, one in named
                )
            )
        )  # fmt: skip

    return [get("/v1/transfer-hosts", "media", hosts)]
