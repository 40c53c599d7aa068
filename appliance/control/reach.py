"""How the station is reached beside its own control socket: other system accounts of a group, and monitoring."""

from __future__ import annotations

import contextlib
import grp
import os
from collections.abc import AsyncIterator

from aiohttp import web

from appliance.access.permissions import is_within
from appliance.addresses import origin_of
from appliance.config import Config, split_listen
from appliance.control.api import Control
from appliance.control.routes.tls import answer
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.paths import StationPaths
from bundles.errors import FailedError, UsageError

_SHUTDOWN = 1.0


def admit_group(config: Config, paths: StationPaths) -> None:
    """Let the members of `socket_group` reach the control socket, and nothing else in the station's folder.

    Raises UsageError for a group that does not exist, FailedError where its owner is not in it.
    """
    name = config.access.socket_group
    if not name:
        return
    try:
        group = grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError("no such group", thing=name, remedy="check socket_group in config.toml") from None
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


@contextlib.asynccontextmanager
async def monitoring(config: Config, control: Control) -> AsyncIterator[None]:
    """`GET /metrics` on `metrics_listen`, where the site wants it, for whom it is. Raises FailedError."""
    if not config.metrics_listen:
        yield
        return

    networks = config.access.metrics_networks()

    async def metrics(request: web.Request) -> web.Response:
        if networks and not is_within(request.remote or "", networks):
            thing = f"metrics from {request.remote}"
            await control.record(
                AuditEvent(Act.METRICS_REFUSE, "anonymous", thing, "refused", {}, origin_of(request.remote or ""))
            )
            raise web.HTTPForbidden(text="403: not from this address\n")
        return await answer(control)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    host, port = split_listen(config.metrics_listen)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise FailedError(
            f"metrics cannot listen ({os.strerror(error.errno or 0)})",
            thing=config.metrics_listen,
            remedy="change metrics_listen",
        ) from None
    try:
        yield
    finally:
        await runner.cleanup()
