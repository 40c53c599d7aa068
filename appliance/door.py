"""Accepts connections, and bounds those that keep a process's descriptors without being served.

A connection waits until its first whole request, its TLS handshake included, and again between requests. Who has not
sent a request within limits.FIRST_REQUEST is closed. Of one origin (an address, or a uid on the control socket) so many
may wait, and so many in all; of more, the one that has waited for longest is closed, first of the origin with most.
Connections that are being served are neither counted nor closed: a site's clients may all stand behind one address.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from appliance.https_hint import answer, is_plain_http
from appliance.limits import registry as limits
from appliance.limits import station as station_limits
from appliance.program_log import lacking

_PAUSE: Final = 0.05
_PAUSE_MOST: Final = 1.0
"""Seconds without accepting where the system has no descriptor left: doubled each time, from the one to the other."""

_LOOK: Final = 0.005
"""Seconds between two looks for connections without a request."""

_log: Final = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Guest:
    """A connection. `since`: the loop's time at which it was accepted."""

    origin: str
    socket: socket.socket
    since: float
    protocol: RequestHandler | None = None
    opening: asyncio.Task[None] | None = None

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        if self.opening is not None and not self.opening.done():
            return False
        return self.protocol is None or self.protocol.transport is None

    @property
    def new(self) -> bool:
        """Whether no whole request has come yet."""
        return self.protocol is None or not self.protocol._request_count

    @property
    def waits(self) -> bool:
        """Whether nothing of it is being served."""
        protocol = self.protocol
        return protocol is None or (protocol._current_request is None and not protocol._messages)

    def close(self) -> None:
        """End it at once."""
        if self.opening is not None and not self.opening.done():
            self.opening.cancel()
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.transport.abort()


@dataclass(slots=True)
class Door:
    """Accepts on `listener` (non-blocking, listening) for `server`, under TLS where `context` is set."""

    server: web.Server
    listener: socket.socket
    origin: Callable[[socket.socket, Any], str]
    context: ssl.SSLContext | None = None
    count: Callable[[str], object] = lambda _: None
    """Told of each connection: `accepted`; and of those that end before a request, `tls` (no handshake), `plain` (HTTP
    where HTTPS is spoken), `late`, and `shed` for others' sake."""
    _guests: dict[str, list[_Guest]] = field(default_factory=dict)
    _count: int = 0
    _most: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self) -> None:
        """Begin to accept."""
        for work in (self._accept(), self._keep_sweeping()):
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Accept no more; what was accepted goes on."""
        for task in self._tasks:
            task.cancel()

    async def last_in(self, seconds: float) -> None:
        """Behind `close`: until the first request of each connection that was accepted has come, and `seconds` at most.
        A client whose request is under way would meet a reset, and one that is silent holds the end no longer."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while any(guest.new and not guest.gone for guests in self._guests.values() for guest in guests):
            if loop.time() >= until:
                return
            await asyncio.sleep(_LOOK)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        pause, quiet = _PAUSE, 0.0
        while True:
            try:
                accepted, peer = await loop.sock_accept(self.listener)
            except OSError as error:  # no descriptor is left, or the peer has gone already
                lacks = lacking(error)
                if lacks is None:
                    continue
                if loop.time() >= quiet:
                    quiet = loop.time() + station_limits.LOG_WINDOW
                    _log.warning("no connection is accepted for a moment: %s", lacks)
                self._shed(None)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_MOST)
                continue
            pause = _PAUSE
            try:
                if accepted.family != socket.AF_UNIX:
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                guest = _Guest(self.origin(accepted, peer), accepted, loop.time())
            except OSError:
                accepted.close()
                continue
            self.count("accepted")
            guest.opening = loop.create_task(self._let_in(guest))
            self._guests.setdefault(guest.origin, []).append(guest)
            self._count += 1
            if len(self._guests[guest.origin]) > limits.WAITING_ORIGIN:
                self._shed(guest.origin)
            if self._count > self._most:
                self._shed(None)

    async def _let_in(self, guest: _Guest) -> None:
        def protocol() -> RequestHandler:
            guest.protocol = self.server()
            return guest.protocol

        loop = asyncio.get_running_loop()
        secure = self.context is not None
        try:
            if secure and await is_plain_http(guest.socket):
                self.count("plain")
                await answer(guest.socket)
                guest.socket.close()
                return
            await loop.connect_accepted_socket(
                protocol, guest.socket, ssl=self.context,
                ssl_handshake_timeout=limits.FIRST_REQUEST if secure else None,
                ssl_shutdown_timeout=limits.TLS_SHUTDOWN if secure else None,
            )  # fmt: skip
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            if not isinstance(error, asyncio.CancelledError):  # whoever cancelled has counted it
                self.count("tls")
            guest.socket.close()  # no TLS, or too late, or shed: its sender's trouble

    def _shed(self, origin: str | None) -> None:
        """Close the connection of an origin (None: of the one with most) that waits for longest, if too many wait."""
        if origin is None:
            self._forget_gone()
            if not self._guests:
                return
            origin = max(self._guests, key=lambda name: len(self._guests[name]))
            most = 0
        else:
            most = limits.WAITING_ORIGIN
        waiting = [guest for guest in self._guests[origin] if not guest.gone and guest.waits]
        if len(waiting) > most:
            self.count("shed")
            waiting[0].close()

    async def _keep_sweeping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(limits.FIRST_REQUEST / 10)
            before = loop.time() - limits.FIRST_REQUEST
            for guests in self._guests.values():
                for guest in guests:
                    if guest.since < before and guest.new and not guest.gone:
                        self.count("late")
                        guest.close()
            self._forget_gone()

    def _forget_gone(self) -> None:
        for origin, guests in list(self._guests.items()):
            left = [guest for guest in guests if not guest.gone]
            self._count -= len(guests) - len(left)
            if left:
                self._guests[origin] = left
            else:
                del self._guests[origin]
