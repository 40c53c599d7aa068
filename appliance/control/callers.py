"""Who calls the control API: the socket's peer credentials, made an account."""

from __future__ import annotations

import os
import pwd
import socket
import struct

from aiohttp import web

from appliance.access.permissions import Caller
from appliance.config import Config
from bundles.errors import RefusedError


class Callers:
    """Knows callers by the uid at the other end of the Unix socket (unix(7), SO_PEERCRED)."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def identify(self, request: web.Request) -> Caller:
        """The caller. On an open station root and the station's owner may do everything.

        Raises RefusedError for everybody else.
        """
        uid = peer_uid(request)
        if not self._config.open or uid not in (0, os.geteuid()):
            raise RefusedError("this account may not use the station", thing=str(uid), remedy="call as the owner")
        return Caller(system_name(uid), "system", uid=uid, everything=True)


def peer_uid(request: web.Request) -> int:
    """The caller's uid. Raises RefusedError where the transport has none."""
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    if peer is None:
        raise RefusedError("the caller is gone")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def system_name(uid: int) -> str:
    """A system account as the audit log names it: `name(uid)`."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = "uid"
    return f"{name}({uid})"
