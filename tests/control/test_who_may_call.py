"""The control API asks in one place who calls and whether they may."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from appliance.access.identity import StationIdentity
from appliance.access.passwords import HashingThreads
from appliance.audit.port import MemoryAudit
from appliance.control.api import ANYBODY, Control, get
from appliance.control.callers import Callers
from appliance.control.server import application
from appliance.jobs.service import Jobs
from appliance.paths import StationPaths
from appliance.permissions import PERMISSIONS, Caller, Grant, Role
from appliance.station import open_station
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService, WriterService
from tests.intake.inside import make_station
from tests.job_starter import NoStarter


class Played(Callers):
    """Callers with one account, whoever calls."""

    def __init__(self, *roles: Role) -> None:
        self._caller = Caller("alice", grants=tuple(Grant(role) for role in roles))

    def identify(self, request: web.Request) -> Caller:
        return self._caller


@contextmanager
def a_station(root: Path, callers: Callers, *, open_: bool = True) -> Iterator[tuple[Control, MemoryAudit]]:
    make_station(root, open_=open_)
    paths = StationPaths(root)
    with WriterService(paths.database) as service:
        audit = MemoryAudit()
        station = dataclasses.replace(open_station(root, service), audit=audit)
        writer, accounts, threads = AsyncWriterService(service), Accounts(station.reader), HashingThreads()
        identity = StationIdentity(accounts, writer, threads, SharedEpoch(paths.database))
        yield (
            Control(station, writer, Jobs(station, writer, NoStarter()), "127.0.0.1:0", callers, identity=identity),
            audit,
        )
        threads.close()


@asynccontextmanager
async def served(app: web.Application, root: Path) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.UnixSite(runner, str(root / "test.sock")).start()
    async with aiohttp.ClientSession("http://lockgate", connector=aiohttp.UnixConnector(str(root / "test.sock"))) as it:
        yield it
    await runner.cleanup()


def each_route(app: web.Application) -> list[tuple[str, str, Any]]:
    return [
        (route.method, route.resource.canonical, getattr(route.handler, "permission", None))
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]


def test_every_route_names_a_permission(tmp_path: Path) -> None:
    with a_station(tmp_path, Played()) as (control, _):
        found = each_route(application(control))
    assert len(found) > 20
    assert sorted(route for route in found if route[2] not in PERMISSIONS) == [
        ("GET", "/healthz", ANYBODY), ("GET", "/readyz", ANYBODY), ("POST", "/v1/session", ANYBODY),
    ]  # fmt: skip


async def test_whoever_holds_no_role_is_refused_at_every_route(tmp_path: Path) -> None:
    with a_station(tmp_path, Played()) as (control, audit):
        app = application(control)
        async with served(app, tmp_path) as client:
            for method, path, permission in each_route(app):
                if permission == ANYBODY:
                    continue
                audit.events.clear()
                async with client.request(method, re.sub(r"\{\w+\}", "enable", path), json={}) as answer:
                    assert (answer.status, (await answer.json())["error"]) == (403, "RefusedError"), path
                assert [event.outcome for event in audit.events] == ["refused"], path


async def test_a_route_that_names_no_permission_is_nobodys(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    with a_station(tmp_path, Played("administrator")) as (control, _):
        app = application(control)
        app.add_routes([web.get("/v1/forgotten", answer), get("/v1/remembered", "account", answer)])
        async with served(app, tmp_path) as client:
            assert (await client.get("/v1/forgotten")).status == 403
            assert (await client.get("/v1/remembered")).status == 200
            assert (await client.get("/v1/unknown")).status == 404


@pytest.mark.parametrize(
    ("role", "kind", "allowed"),
    [
        ("courier", "import", True),
        ("security-officer", "import", False),
        ("administrator", "import", False),
        ("collector", "collect", True),
        ("courier", "build", False),
    ],
)
async def test_a_job_takes_the_permission_of_its_kind(role: Role, kind: str, allowed: bool, tmp_path: Path) -> None:
    with a_station(tmp_path, Played(role)) as (control, _):
        control.jobs._stopping = True  # the question is who gets as far as the queue
        async with (
            served(application(control), tmp_path) as client,
            client.post("/v1/jobs", json={"kind": kind, "params": {}}) as answer,
        ):
            assert (answer.status == 403) is not allowed
            assert ("station is stopping" in await answer.text()) is allowed


def test_a_job_kind_names_its_permission() -> None:
    from appliance.jobs.kinds import KINDS

    assert all(kind.permission in PERMISSIONS for kind in KINDS.values())
    assert {name: kind.permission for name, kind in KINDS.items() if name in ("collect", "build", "import")} == {
        "collect": "collect", "build": "build", "import": "import",
    }  # fmt: skip


def test_the_owner_of_an_open_station_may_do_everything(tmp_path: Path) -> None:
    with a_station(tmp_path, Played()) as (control, _):
        owner = Caller("owner(0)", "system", everything=True)
        assert all(control.rules.decide(owner, permission, "team/app") for permission in PERMISSIONS)
