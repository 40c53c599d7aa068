"""How the station is reached beside its own control socket: other system accounts of a group, and monitoring."""

from __future__ import annotations

import contextlib
import grp
import ipaddress
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from appliance.addresses import is_loopback, origin_of, split_listen
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, Handler
from appliance.control.routes.metrics import answer
from appliance.door import Door
from appliance.paths import StationPaths
from appliance.permissions import is_within
from appliance.plain_http import asks_loopback, require_version
from appliance.registry.serving import handler_args
from appliance.settings.station import Config
from bundles.errors import FailedError, UsageError

_SHUTDOWN = 1.0
_BACKLOG = 128


def admit_group(config: Config, paths: StationPaths) -> None:
    """Let the members of `socket_group` reach the control socket, and nothing else in the station's folder.

    Raises UsageError for a group that does not exist, FailedError where its owner is not in it.
    """
    name, group = config.access.socket_group, socket_group(config)
    if group is None:
        return
    try:
        for path in paths.root.iterdir():
            if path != paths.run:
                path.chmod(path.stat().st_mode & 0o700)
        sockets = ((paths.control_socket, 0o660), (paths.handles_socket, 0o660))
        for path, mode in ((paths.root, 0o710), (paths.run, 0o710), *sockets):
            os.chown(path, -1, group)
            path.chmod(mode)
    except PermissionError:
        raise FailedError(
            "the control socket cannot be given to the group", thing=name, remedy="make the station's owner a member"
        ) from None


def socket_group(config: Config) -> int | None:
    """The number of the group that may reach the control socket; None for the owner alone. Raises UsageError for a
    group that does not exist."""
    name = config.access.socket_group
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(
            "no such group on this system",
            thing=f'access.socket_group = "{name}" in config.toml',
            remedy=f'make it with: groupadd {name}; or write socket_group = ""',
        ) from None


@contextlib.asynccontextmanager
async def monitoring(config: Config, control: Control) -> AsyncIterator[None]:
    """`GET /metrics` and `GET /sd` on `metrics_listen`, where the site wants it, for whom it is. On loopback it answers
    to loopback names alone, so that no web page reads it through a browser there. Raises FailedError."""
    if not config.metrics_listen:
        yield
        return

    networks = config.access.metrics_networks()
    host, port = split_listen(config.metrics_listen)
    local = is_loopback(host)

    async def admit(request: web.Request) -> None:
        if local and not asks_loopback(request):
            raise web.HTTPForbidden(text="403: not under this name\n")
        if networks and not is_within(request.remote or "", networks):
            thing = f"metrics from {request.remote}"
            await control.record(
                AuditEvent(Act.METRICS_REFUSE, "anonymous", thing, "refused", {}, origin_of(request.remote or ""))
            )
            raise web.HTTPForbidden(text="403: not from this address\n")

    async def metrics(request: web.Request) -> web.Response:
        await admit(request)
        return await answer(control)

    async def discovery(request: web.Request) -> web.Response:
        await admit(request)
        return web.json_response(targets(config, request))

    app = web.Application(middlewares=[_versions], handler_args=handler_args())
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/sd", discovery)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    assert runner.server is not None  # noqa: S101  the runner was set up
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        await runner.cleanup()
        raise FailedError(
            f"metrics cannot listen ({os.strerror(error.errno or 0)})",
            thing=config.metrics_listen,
            remedy="change metrics_listen",
        ) from None
    door = Door(runner.server, listener, lambda _, peer: origin_of(str(peer[0])))
    door.open()
    try:
        yield
    finally:
        door.close()
        listener.close()
        await runner.cleanup()


def targets(config: Config, request: web.Request) -> list[dict[str, Any]]:
    """What Prometheus is to read here, as its http_sd_config takes it: this station, at the address that it was just
    reached at, with its site and side. Nothing of it is the client's."""
    transport = request.transport
    reached = None if transport is None else transport.get_extra_info("sockname")
    if not isinstance(reached, tuple):
        raise ConnectionResetError
    host, port = ipaddress.ip_address(str(reached[0]).partition("%")[0]), int(reached[1])
    if isinstance(host, ipaddress.IPv6Address):
        host = host.ipv4_mapped or host
    target = f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"
    return [{"targets": [target], "labels": {"site": config.site, "side": config.side}}]


@web.middleware
async def _versions(request: web.Request, handler: Handler) -> web.StreamResponse:
    require_version(request)
    return await handler(request)
