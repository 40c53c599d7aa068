"""Connections that ask the pull lane first, and give every byte it does not answer to aiohttp, in order.

A connection is the lane's while aiohttp waits for a request on it, and what came begins a plain head. Plain
requests that the lane does not answer go to aiohttp, and the lane goes on behind its answers: such a head has no body,
so both agree where it ends. Bytes of any other kind make the connection aiohttp's for as long as it lasts.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from appliance.registry.lane import Lane
from appliance.registry.plain_head import END, HEAD, PlainFields, PlainHead, fields_of, may_become_plain, request_of

_AT_ONCE: Final = 16
"""Requests that came in one piece and are answered before others have their turn."""

_PIECES: Final = 4
"""Pieces in which a plain head may come: each is looked at from its beginning."""


_TURNS: Final = 4
"""Turns of the loop for which bytes are held until aiohttp waits again behind an answer of its own: it takes two."""


class LaneProtocol(RequestHandler):
    """A connection of a worker."""

    __slots__ = ("_address", "_block", "_fields", "_given", "_held", "_lane", "_pieces", "_theirs", "_turns")

    def __init__(self, lane: Lane, manager: web.Server, **more: Any) -> None:
        super().__init__(manager, **more)
        self._lane = lane
        self._address = ""
        self._theirs = False
        self._given = False
        self._pieces = self._turns = 0
        self._held = self._block = b""
        self._fields: PlainFields | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._theirs = not self._address

    def data_received(self, data: bytes) -> None:
        """As asyncio.Protocol's."""
        if self._theirs or not data or self._close or self._force_close:
            super().data_received(data)
            return
        if self._held:
            data, self._held = self._held + data, b""
        if self._turns < _TURNS and self._is_about_to_wait():
            self._turns += 1
            self._held = data
            if self._turns == 1:
                self._loop.call_soon(self._go_on)
            return
        answered = 0
        while data and answered < _AT_ONCE and self._is_waiting():
            end = data.find(END, 0, HEAD)
            if end < 0:
                self._pieces += 1
                if self._pieces < _PIECES and may_become_plain(data):
                    self._held = data
                    self._turns = 0
                    return
                break
            head = self._head(data[:end])
            answer = None if head is None else self._lane.answer(head, self._address, behind=answered > 0)
            if answer is None:
                break
            self._send(answer)
            answered += 1
            data = data[end + len(END) :]
        self._turns = 0
        if data:
            self._given = True
            self._theirs = not self._are_plain(data)
            super().data_received(data)

    def _are_plain(self, data: bytes) -> bool:
        """Whether these are whole plain heads: aiohttp finds the same end of them as the lane."""
        self._pieces = 0
        while data:
            end = data.find(END, 0, HEAD)
            if end < 0 or self._head(data[:end]) is None:
                return False
            data = data[end + len(END) :]
        return True

    def _is_about_to_wait(self) -> bool:
        """Whether aiohttp has answered what it was given, and has not come around to waiting for more: a client that is
        quick has sent its next request by then, which is the lane's all the same."""
        has_work = bool(self._messages) or self._current_request is not None or self._request_in_progress
        return self._given and self._waiter is None and not has_work

    def _go_on(self) -> None:
        """A turn of the loop later, with what was held for it."""
        if not self._held or not self._turns:
            return
        data, self._held = self._held, b""
        if self._is_about_to_wait() and self._turns < _TURNS:
            self._turns += 1
            self._held = data
            self._loop.call_soon(self._go_on)
            return
        self._turns = _TURNS
        self.data_received(data)

    def _is_waiting(self) -> bool:
        """Whether aiohttp has nothing of this connection's under way, and its client takes what it is sent."""
        if self._messages or self._current_request is not None or self._upgraded or self._payload_parser is not None:
            return False
        if self._paused or self._reading_paused or self._buffer_paused or self._close or self._force_close:
            return False
        if self.transport is None or self.transport.is_closing():
            return False
        waiter = self._waiter
        return not self._given or (waiter is not None and not waiter.done())

    def _head(self, head: bytes) -> PlainHead | None:
        line, _, block = head.partition(b"\r\n")
        request = request_of(line)
        if request is None:
            return None
        if self._fields is None or block != self._block:  # a client sends the same fields again and again
            self._fields, self._block = fields_of(block), block
        return None if self._fields is None else PlainHead(*request, self._fields)

    def _send(self, answer: bytes) -> None:
        """Write an answer, and note on the connection what aiohttp notes behind one of its own."""
        self._pieces = 0
        self._request_count += 1
        if self._manager is not None:
            self._manager.requests_count += 1
        if self.transport is not None:
            self.transport.write(answer)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout


class LaneServer(web.Server):
    """As another server, with the lane in front."""

    def __init__(self, lane: Lane, behind: web.Server) -> None:
        super().__init__(
            behind.request_handler,
            request_factory=behind.request_factory,
            handler_cancellation=behind.handler_cancellation,
            loop=behind._loop,
            **behind._kwargs,
        )
        self._lane = lane

    def __call__(self) -> RequestHandler:
        return LaneProtocol(self._lane, self, loop=self._loop, **self._kwargs)


class LaneRunner(web.AppRunner):
    """A runner whose server has the lane in front."""

    __slots__ = ("_lane",)

    def __init__(self, app: web.Application, lane: Lane, **more: Any) -> None:
        super().__init__(app, **more)
        self._lane = lane

    async def _make_server(self) -> web.Server:
        return LaneServer(self._lane, await super()._make_server())
