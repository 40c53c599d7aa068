"""Plain HTTP that came to the port of TLS: answered with where to go, since a client that speaks no TLS sees nothing
of a handshake that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Final

from appliance.limits import registry as limits
from bundles.limits import KIB

_HINT: Final = "this port speaks TLS: call it with https:// (a client's setting for plain or insecure HTTP must go)"
_BODY: Final = json.dumps({"errors": [{"code": "UNSUPPORTED", "message": _HINT}]}).encode() + b"\n"
ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
    + str(len(_BODY)).encode() + b"\r\n\r\n" + _BODY
)  # fmt: skip
"""The whole answer, in the registry's form of an error (OCI distribution specification 1.1, Error codes)."""


async def is_plain_http(accepted: socket.socket) -> bool:
    """Whether what came first is a request of plain HTTP. Waits for the first byte, and takes none away.

    A TLS record's first byte is its type, 22 for a handshake (RFC 8446, section 5.1); a request begins with the
    capital letters of its method. Raises OSError where the peer has gone.
    """
    loop = asyncio.get_running_loop()
    come = loop.create_future()

    def wake() -> None:
        if not come.done():
            come.set_result(None)

    loop.add_reader(accepted.fileno(), wake)
    try:
        await come
    finally:
        loop.remove_reader(accepted.fileno())
    first = accepted.recv(1, socket.MSG_PEEK)
    return b"A" <= first <= b"Z"


def answer_to(asked: bytes) -> bytes:
    """What is sent to a request: to a HEAD the header alone (RFC 9110, section 9.3.2)."""
    return ANSWER.removesuffix(_BODY) if asked.startswith(b"HEAD ") else ANSWER


async def answer(accepted: socket.socket) -> None:
    """Send the hint, then read what the client still sends, so that its system does not drop the answer; at most for
    limits.TLS_SHUTDOWN seconds."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(limits.TLS_SHUTDOWN):
            asked = await loop.sock_recv(accepted, 16 * KIB)
            await loop.sock_sendall(accepted, answer_to(asked))
            accepted.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(accepted, 64 * KIB):
                pass
