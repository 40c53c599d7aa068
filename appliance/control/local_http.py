"""HTTP over a Unix socket for the control API's client: one connection for each request, ended by the server.

An HTTP library takes longer to load than most commands take to run. HTTP/1.0 (RFC 1945) needs none: the answer's body
is never chunked, and it ends with the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from bundles.limits import KIB, MIB

_LINE: Final = 8 * MIB
"""The longest header block and the longest line of a stream of events."""

_ANSWER: Final = 256 * MIB
"""The largest answer that is kept in memory; the largest documents of the API are reports of 64 MiB, in JSON."""

_BLOCK: Final = 64 * KIB


class Body(bytes):
    """What is sent: passwords and tokens stand in it, so that it is never printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"({len(self)} bytes)"


class GarbledError(Exception):
    """What came is no HTTP answer, or ends before its announced length; the message says which."""


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer whose body is still to be read. `length`: its bytes; None where the connection ends it."""

    status: int
    length: int | None
    reader: asyncio.StreamReader

    async def body(self) -> bytes:
        """The whole body. Raises GarbledError, OSError."""
        parts, size = [], 0
        while block := await self.reader.read(_BLOCK):
            parts.append(block)
            size += len(block)
            if size > _ANSWER:
                raise GarbledError(f"an answer of more than {_ANSWER} bytes")
        if self.length is not None and size != self.length:
            raise GarbledError(f"the answer ends after {size} of {self.length} bytes")
        return b"".join(parts)

    async def blocks(self, silence: float) -> AsyncGenerator[bytes, None]:
        """The body as it comes, of any length.

        Raises TimeoutError where nothing comes for `silence` seconds, GarbledError where it breaks off, OSError.
        """
        size = 0
        while True:
            async with asyncio.timeout(silence):
                block = await self.reader.read(_BLOCK)
            if not block:
                break
            size += len(block)
            yield block
        if self.length is not None and size != self.length:
            raise GarbledError(f"the answer ends after {size} of {self.length} bytes")

    async def lines(self, silence: float) -> AsyncGenerator[str, None]:
        """The body's lines as they come, without their ends.

        Raises TimeoutError where nothing comes for `silence` seconds, GarbledError, OSError.
        """
        while True:
            async with asyncio.timeout(silence):
                try:
                    line = await self.reader.readline()
                except ValueError:
                    raise GarbledError("a line of an event is too long") from None
            if not line:
                return
            yield line.decode("utf-8", "replace").rstrip("\n")


@contextlib.asynccontextmanager
async def request(
    path: str, method: str, target: str, headers: Mapping[str, str], body: Body | None = None
) -> AsyncIterator[Answering]:
    """Send one request to the socket at `path`, and give the answer once its headers are there.

    `target` is an absolute path with its query, escaped. Raises ConnectError where nobody listens, GarbledError,
    OSError, and ValueError for a target or header that holds a control character.
    """
    sent = Body(_block(method, target, headers, body))
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
    except OSError as error:
        raise ConnectError(error.errno, error.strerror) from None
    try:
        writer.write(sent)
        with contextlib.suppress(ConnectionError):  # refused before the body was read: the answer says why
            await writer.drain()
        yield await _head(reader)
    finally:
        writer.transport.abort()


def _block(method: str, target: str, headers: Mapping[str, str], body: Body | None) -> bytes:
    words = [f"{method} {target} HTTP/1.0", "Host: lockgate"]
    words += ["".join((name, ": ", value)) for name, value in headers.items()]
    if body is not None:
        words += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if any(not word.isascii() or not word.isprintable() for word in words) or target != "".join(target.split()):
        raise ValueError("a header or target holds a character that may not stand there")
    return "\r\n".join([*words, "", ""]).encode("ascii") + (body or b"")


class ConnectError(OSError):
    """Nobody listens at the socket."""


async def _head(reader: asyncio.StreamReader) -> Answering:
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        raise GarbledError("the connection ended before an answer") from None
    except asyncio.LimitOverrunError:
        raise GarbledError("headers without an end") from None
    first, *fields = block.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise GarbledError("no HTTP answer")
    length = None
    for field in fields:
        name, _, value = field.partition(":")
        if name.strip().lower() == "content-length" and value.strip().isascii() and value.strip().isdigit():
            length = int(value)
    return Answering(int(status), length, reader)
