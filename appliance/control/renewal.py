"""The server's certificate, renewed before it ends: the one that the station made, by its own CA."""

from __future__ import annotations

import asyncio
import os
import signal

from appliance.access.certificates import is_due, load, names_of, recertify_server
from appliance.access.tls import server_context
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording_async
from appliance.control.api import Control
from appliance.limits import access as limits
from appliance.program_log import say
from bundles.errors import LockgateError

_ACTOR = "station"


async def keep_renewing(control: Control) -> None:
    """Look now and then whether the certificate is to be renewed, and have every worker take the new one up. One that
    cannot be renewed is told, and stands among the alerts from thirty days before its end on."""
    wait, between = limits.RENEWAL_LOOKED_AT
    while True:
        await asyncio.sleep(wait)
        wait = between
        try:
            if await renew_if_due(control):
                os.kill(os.getppid(), signal.SIGHUP)  # the supervisor passes it on to every worker
        except (LockgateError, OSError) as error:
            reason = error.diagnostics() if isinstance(error, LockgateError) else str(error)
            say(f"the certificate was not renewed: {reason}")


async def renew_if_due(control: Control) -> bool:
    """Renew the certificate where that is due, for its names and its key; recorded before it happens. Returns whether
    there is a new one that can be taken up. Raises LockgateError."""
    config, paths = control.station.config, control.station.paths
    if not await asyncio.to_thread(is_due, config, paths):
        return False
    names = names_of(await asyncio.to_thread(load, config.tls.path(paths.root, "certificate")))
    event = AuditEvent(Act.TLS_RENEW, _ACTOR, config.site, "done", {"names": names})
    async with recording_async(control.record, event):
        await asyncio.to_thread(recertify_server, paths)
    await asyncio.to_thread(server_context, config, paths)
    await control.record(AuditEvent(Act.TLS_RELOAD, _ACTOR, config.site))
    return True
