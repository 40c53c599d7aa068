"""GET /v1/transfer-hosts: where bundles are carried by SFTP; GET /v1/drop-folders: what lies in watched folders."""

from __future__ import annotations

from aiohttp import web

from appliance.api.common import Page
from appliance.api.transfers import DropFolder, DroppedBundle, TransferHost
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

    async def drops(_: web.Request) -> web.Response:
        return answer(
            Page(
                tuple(
                    DropFolder(
                        name=one.name, path=str(one.path), fault=one.fault, others=one.listed.others,
                        more=one.listed.more,
                        bundles=tuple(DroppedBundle(**found) for found in control.drops.bundles(one)),
                    )
                    for one in control.drops.folders
                )
            )
        )  # fmt: skip

    return [get("/v1/transfer-hosts", "media", hosts), get("/v1/drop-folders", "media", drops)]
