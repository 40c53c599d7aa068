"""`/readyz` and `/healthz`: what a load balancer, an orchestrator or a probe asks without an account.

They say a state and codes from a closed list, and nothing else: no name, no number, no path. Who may know more asks
`lockgate status`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from appliance.audit.noted_head import lost_head
from appliance.limits import station as limits
from appliance.local_socket import ShortPath
from appliance.paths import StationPaths
from appliance.plain_http import require_version
from appliance.store.blobs import BlobStore
from appliance.store.database_file import exchanged
from appliance.store.errors import EngineError
from appliance.store.heard import StaleError
from appliance.store.integrity import is_distrusted
from appliance.store.presence import Presence
from appliance.store.reads.registry import Metadata
from appliance.store.reserve import Reserve
from appliance.store.writable import unwritable

State = Literal["ready", "degraded", "not ready"]
Code = Literal["read-only", "reserve", "damaged", "unread", "control", "metadata", "store", "log"]

READYZ: Final = "/readyz"
HEALTHZ: Final = "/healthz"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether pulls are served (`not ready` where not), and by codes what else is not as it should be."""

    state: State
    codes: tuple[Code, ...] = ()

    def answer(self) -> web.Response:
        """200 where pulls are served, else 503."""
        status = 503 if self.state == "not ready" else 200
        return web.json_response({"status": self.state, "codes": list(self.codes)}, status=status, headers=_HEADERS)


class Probe:
    """Answers both for one process. What was found is given for `limits.READY_KEPT` seconds, so that whoever asks
    without pause costs nothing."""

    def __init__(
        self, paths: StationPaths, metadata: Metadata, *, asks_control: bool, blobs: BlobStore | None = None
    ) -> None:
        """`metadata` belongs to the event loop's thread; `asks_control`: whether this is not the control process;
        `blobs`: the process's own store, which knows whether its bucket answers."""
        self._paths, self._metadata, self._asks_control = paths, metadata, asks_control
        self._away = Presence(paths).away if blobs is None else blobs.away
        self._lock = asyncio.Lock()
        self._found: tuple[float, Readiness] | None = None

    async def readyz(self, request: web.Request) -> web.Response:
        """GET /readyz."""
        require_version(request)
        async with self._lock:
            moment = time.monotonic()
            if self._found is None or moment - self._found[0] >= limits.READY_KEPT:
                self._found = moment, await self._look()
            return self._found[1].answer()

    async def healthz(self, request: web.Request) -> web.Response:
        """GET /healthz: the process that was asked answers."""
        require_version(request)
        return Readiness("ready").answer()

    async def _look(self) -> Readiness:
        codes: list[Code] = list(await asyncio.to_thread(self._outside))
        try:
            self._metadata.version()
            damaged, unread = self._metadata.troubled()
            distrusted = is_distrusted(self._metadata.connection)
        except (EngineError, StaleError):
            return Readiness("not ready", (*(code for code in codes if code != "metadata"), "metadata"))
        if damaged:
            codes.append("damaged")
        if unread:
            codes.append("unread")
        if "metadata" not in codes and (distrusted or self._metadata.placement.lost()):
            codes.append("metadata")
        state: State = "not ready" if "store" in codes else "degraded" if codes else "ready"
        return Readiness(state, tuple(codes))

    def _outside(self) -> list[Code]:
        """What the disk's room says, whether the log holds what was signed, whether the store is in its place, and
        whether the control process takes writes: pulls go on without it. Blocking, a second at most."""
        reserve, codes = Reserve(self._paths.reserve), list[Code]()
        if reserve.read_only() or unwritable(self._paths):
            codes.append("read-only")
        if reserve.in_want():
            codes.append("reserve")
        if lost_head(self._paths):
            codes.append("log")
        if exchanged(self._paths.database):
            codes.append("metadata")
        if self._away():
            codes.append("store")
        if self._asks_control and not _takes_connections(self._paths):
            codes.append("control")
        return codes


def _takes_connections(paths: StationPaths) -> bool:
    with contextlib.suppress(OSError), ShortPath(paths.writer_socket) as path, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(limits.READY_CONTROL)
        asking.connect(path)
        return True
    return False
