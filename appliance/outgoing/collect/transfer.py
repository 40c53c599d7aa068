"""A blob's bytes from a registry: what breaks off goes on where it was (RFC 9110, Range), what stalls is cut, and no
byte more than announced is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import aiohttp

from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.host_client import TRANSIENT_ERRORS
from appliance.outgoing.collect.registry_client import NoRangeError, RegistryClient, sent_range
from appliance.outgoing.collect.tasks import in_thread, settled
from appliance.store.partials import PartialBlob, WrongDigestError
from bundles import limits
from bundles.errors import RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest


class Sink(Protocol):
    """Where the bytes go. `offset` is how many are there."""

    @property
    def offset(self) -> int: ...

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Append them. Raises a LockgateError."""
        ...

    async def restart(self) -> None:
        """Throw away what is there."""
        ...

    async def check(self, blob: Descriptor) -> None:
        """Raises WrongDigestError, with the bytes kept, where what is there is not the blob."""
        ...


class PartialSink:
    """Sink over a partial blob."""

    def __init__(self, partial: PartialBlob) -> None:
        self._partial = partial

    @property
    def offset(self) -> int:
        return self._partial.offset

    async def write(self, pieces: Sequence[bytes]) -> None:
        """As Sink.write."""
        await in_thread(self._partial.write, pieces)

    async def restart(self) -> None:
        """As Sink.restart."""
        await in_thread(self._partial.restart)

    async def check(self, blob: Descriptor) -> None:
        """As Sink.check."""
        self._partial.check()


class MemorySink:
    """A sink for small blobs."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def offset(self) -> int:
        return len(self.data)

    async def write(self, pieces: Sequence[bytes]) -> None:
        """As Sink.write."""
        for piece in pieces:
            self.data += piece

    async def restart(self) -> None:
        """As Sink.restart."""
        self.data.clear()

    async def check(self, blob: Descriptor) -> None:
        """As Sink.check."""
        found = Digest.of(bytes(self.data), blob.digest.algorithm)
        if found != blob.digest:
            raise WrongDigestError(
                "a blob's bytes are not its digest's", thing=f"{blob.digest} (found {found}, {len(self.data)} bytes)"
            )


class WatchedSink:
    """A sink that knows whether it failed itself: a full disk is no registry's fault."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.has_failed = False

    @property
    def offset(self) -> int:
        return self._sink.offset

    async def write(self, pieces: Sequence[bytes]) -> None:
        """As Sink.write."""
        with self._watching():
            await self._sink.write(pieces)

    async def restart(self) -> None:
        """As Sink.restart."""
        with self._watching():
            await self._sink.restart()

    async def check(self, blob: Descriptor) -> None:
        """As Sink.check."""
        await self._sink.check(blob)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.has_failed = True
            raise


async def transfer(client: RegistryClient, blob: Descriptor, sink: Sink, advance: Callable[[int], object]) -> None:
    """Bring what a sink lacks of a blob. `advance` is told of bytes that are in the sink, and, with a negative number,
    of those that are thrown away.

    Raises RefusedError for another length than announced, NotFoundError, FailedError where attempts are used up.
    """
    path = f"blobs/{blob.digest}"
    failures, mark = 0, sink.offset
    while sink.offset < blob.size:
        try:
            async with client.host.pace.slots:
                answer = await client.blob(blob.digest, sink.offset)
                try:
                    await _receive(client, answer, blob, sink, advance)
                finally:
                    answer.release()  # goes back to the pool where all of it was read, and is closed otherwise
            if sink.offset < blob.size:
                raise aiohttp.ClientPayloadError("it broke off")
        except NoRangeError:
            advance(-sink.offset)
            await sink.restart()  # the count of failures goes on: what was there before does not count twice
        except TRANSIENT_ERRORS as error:
            failures = 1 if sink.offset - mark >= collecting_limits.REMOTE_ADVANCE else failures + 1
            mark = sink.offset
            await client.pause(path, failures, error)


async def _receive(
    client: RegistryClient,
    answer: aiohttp.ClientResponse,
    blob: Descriptor,
    sink: Sink,
    advance: Callable[[int], object],
) -> None:
    """One answer's bytes into the sink, as far as they come. Raises RefusedError, one of TRANSIENT_ERRORS."""
    begins, total = sent_range(answer) if answer.status == 206 else (0, None)
    if begins != sink.offset and answer.status == 200:
        advance(-sink.offset)
        await sink.restart()
    announced = answer.content_length
    if (
        begins != sink.offset
        or total not in (None, blob.size)
        or (announced is not None and announced != blob.size - begins)
    ):
        raise RefusedError(
            "the registry announces another length than the blob has", thing=client.where(f"blobs/{blob.digest}"),
            remedy="ask its administrator; nothing of it was taken",
        )  # fmt: skip
    writing = _Writing(sink, advance)
    try:
        await _read(client, answer, blob, writing)
    except TRANSIENT_ERRORS:
        await writing.flush()  # what came is good
        raise
    finally:
        await writing.rest()


class _Writing:
    """Writes behind the reading: one stretch is on its way into the sink while the next one is read."""

    def __init__(self, sink: Sink, advance: Callable[[int], object]) -> None:
        self._sink, self._advance = sink, advance
        self._under_way: asyncio.Future[None] | None = None
        self._length = 0
        self.pieces: list[bytes] = []
        self.waiting = 0

    def take(self, piece: bytes) -> None:
        """Hold a piece for the next `start`."""
        self.pieces.append(piece)
        self.waiting += len(piece)

    async def start(self) -> None:
        """Begin to write what is held, once what is under way has ended. Raises what that raised."""
        await self.rest()
        pieces, self.pieces = self.pieces, []
        self._length, self.waiting = self.waiting, 0
        self._under_way = asyncio.ensure_future(self._sink.write(pieces))

    async def rest(self) -> None:
        """Wait until nothing is under way. Raises what the write raised."""
        if self._under_way is not None:
            writing, self._under_way = self._under_way, None
            await settled(writing)
            self._advance(self._length)

    async def flush(self) -> None:
        """Write all that is held."""
        if self.pieces:
            await self.start()
        await self.rest()


async def _read(client: RegistryClient, answer: aiohttp.ClientResponse, blob: Descriptor, writing: _Writing) -> None:
    clock = asyncio.get_running_loop().time
    room = blob.size - (sent_range(answer)[0] if answer.status == 206 else 0)
    ends, brought = clock() + collecting_limits.REMOTE_STALL, 0
    while True:
        piece, is_end = await answer.content.readchunk()  # as it came, without a copy
        if not piece:
            if is_end:
                continue  # of a chunk of the coding (RFC 9112, section 7.1), not of the body
            break
        room -= len(piece)
        if room < 0:
            raise RefusedError("a blob is longer than announced", thing=client.where(f"blobs/{blob.digest}"))
        writing.take(piece)
        if writing.waiting >= limits.CHUNK:
            await writing.start()
        brought += len(piece)
        if clock() > ends:
            if brought < collecting_limits.REMOTE_STALL_LEAST:
                raise TimeoutError("it stalls")
            ends, brought = clock() + collecting_limits.REMOTE_STALL, 0
    await writing.flush()
