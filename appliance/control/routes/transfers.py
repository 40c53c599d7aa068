"""GET /v1/transfer-hosts: where bundles are carried by SFTP; GET /v1/drop-folders: what lies in watched folders;
GET /v1/diodes: one-way links, and what is on its way in over them; GET /v1/replicas: stations that are followed."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.api.common import Page
from appliance.api.transfers import Diode, DiodeBundle, DiodeDatagrams, DropFolder, DroppedBundle, TransferHost
from appliance.control.api import Control, answer, get
from appliance.diode import receiver_state
from appliance.diode.receiver_state import COUNTED
from appliance.settings.diodes import DiodeSettings


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

    async def diodes(_: web.Request) -> web.Response:
        named = sorted(control.station.config.diodes.items())
        return answer(Page(tuple(await asyncio.to_thread(lambda: [_diode(control, *one) for one in named]))))

    async def replicas(_: web.Request) -> web.Response:
        return answer(Page(tuple(await asyncio.to_thread(control.replicas.told))))

    return [
        get("/v1/transfer-hosts", "media", hosts), get("/v1/drop-folders", "media", drops),
        get("/v1/diodes", "media", diodes), get("/v1/replicas", "status", replicas),
    ]  # fmt: skip


def _diode(control: Control, name: str, settings: DiodeSettings) -> Diode:
    stands = receiver_state.read(control.station.paths.diode(name))
    return Diode(
        name=name, address=settings.address, mtu=settings.mtu, rate=settings.rate, repair=settings.repair,
        repeat=settings.repeat, drop_folder=settings.drop_folder, key=settings.key, job=stands.job, at=stands.at,
        buffer=stands.buffer, received=stands.bytes,
        datagrams=DiodeDatagrams(**{how: stands.datagrams.get(how, 0) for how in COUNTED}),
        arriving=tuple(DiodeBundle(**msgspec.structs.asdict(one)) for one in stands.arriving),
    )  # fmt: skip
