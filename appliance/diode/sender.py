"""The sending end of a diode: sessions of bundles, in rounds, each with symbols that were not sent before."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.diode import datagrams, session, table
from appliance.diode.coding import Coder
from appliance.diode.geometry import Geometry
from appliance.diode.pacing import Pacing
from appliance.diode.session import Session
from appliance.limits import diode as limits
from bundles import limits as bundle_limits
from bundles.errors import FailedError, RefusedError
from bundles.io.files import failures_named, open_regular

_HEAD_EVERY: Final = 0.5
"""Seconds between two heads: who begins to listen late loses no more than this."""

_FEW: Final = 16
"""Repair symbols of a block at least: of a small one some percent are none."""

_ENDS: Final = 5
_RUN: Final = 64
"""Symbols that are read from the coder at once."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a bundle: where it lies, its name below the bundle's folder, its bytes and their sha256."""

    path: Path
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A bundle that was read: its session, its head, its table, and which blocks go."""

    session: Session
    head: bytes
    table: bytes
    sources: Sequence[Source]
    blocks: Sequence[int]


def survey(sources: Sequence[Source], symbol: int, told: Callable[[int], object]) -> bytes:
    """Read every file once, hold it against its sum, and give the table. `told` is called with the bytes read.

    Raises RefusedError for a file that is not as it was signed, FailedError.
    """
    geometry = Geometry(sum(one.size for one in sources), symbol)
    block, left, sums = hashlib.sha256(), geometry.block, []
    for source in sources:
        whole = hashlib.sha256()
        for chunk in _read(source):
            whole.update(chunk)
            view = memoryview(chunk)
            while view:
                part = view[:left]
                block.update(part)
                left -= len(part)
                view = view[len(part) :]
                if not left:
                    sums.append(block.hexdigest())
                    block, left = hashlib.sha256(), geometry.block
            told(len(chunk))
        if whole.hexdigest() != source.sha256:
            raise _changed(source)
    if left < geometry.block:
        sums.append(block.hexdigest())
    return table.encode(table.Table(files=_sent(sources), blocks=sums))


def _sent(sources: Sequence[Source]) -> list[table.SentFile]:
    return [table.SentFile(name=one.name, size=one.size) for one in sources]


def _read(source: Source) -> Iterator[bytes]:
    left = source.size
    with failures_named(source.path, "cannot be read"), os.fdopen(open_regular(source.path), "rb") as file:
        while chunk := file.read(min(bundle_limits.CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise _changed(source)
            yield chunk
    if left:
        raise _changed(source)


def _changed(source: Source) -> RefusedError:
    return RefusedError(
        "a file is not as it was signed", thing=str(source.path), remedy="have the medium cut again, and send that"
    )


def _block(outgoing: Outgoing, number: int) -> bytes:
    """A block's bytes, as they are now: whoever receives holds them against the signed sum."""
    if number == 0:
        return outgoing.table
    files = _sent(outgoing.sources)
    paths = {one.name: one.path for one in outgoing.sources}
    found = bytearray()
    for piece in table.pieces(files, *outgoing.session.geometry.span(number)):
        path = paths[piece.name]
        with failures_named(path, "cannot be read"), os.fdopen(open_regular(path), "rb") as file:
            file.seek(piece.offset)
            found += file.read(piece.size).ljust(piece.size, b"\0")
    return bytes(found)


class Wire:
    """A socket that datagrams leave by, evenly."""

    def __init__(self, address: tuple[str, int], rate: int) -> None:
        self._address, self._pacing = address, Pacing(rate)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.sent = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, datagram: bytes) -> None:
        """Send one, when it is its turn. Raises FailedError."""
        self._pacing.take(len(datagram))
        for _ in range(limits.DIODE_ROUNDS):
            try:
                self._socket.sendto(datagram, self._address)
                self.sent += len(datagram)
                return
            except OSError as error:
                if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                    time.sleep(0.002)
                elif error.errno != errno.ECONNREFUSED:  # nobody listens, says this machine: nobody may have to
                    raise _unsent(error, self._address) from None


def _unsent(error: OSError, address: tuple[str, int]) -> FailedError:
    remedy = "check the diode's address, and the route and the fixed neighbour to it (ip route, ip neigh)"
    if error.errno == errno.EMSGSIZE:
        remedy = "make `mtu` of the diode in config.toml as small as the link's"
    return FailedError(
        f"nothing can be sent to the diode ({error.strerror})", thing=f"{address[0]}, port {address[1]}", remedy=remedy
    )


@dataclass(frozen=True, slots=True)
class Step:
    """A block of one round: `round` of this run, `fresh` how many rounds were sent before, over all runs."""

    bundle: int
    round: int
    fresh: int
    block: int


def count_of(outgoing: Outgoing, block: int, repair: int) -> int:
    """Symbols of a block that a round sends, with `repair` percent more than it takes. The table goes twice over."""
    geometry = outgoing.session.geometry
    if block == 0:
        return 2 * geometry.count(len(outgoing.table)) + _FEW
    own = geometry.count(geometry.span(block)[1])
    return own + max(_FEW, -(-own * repair // 100))


def send(
    wire: Wire,
    bundles: Sequence[Outgoing],
    steps: Sequence[Step],
    rounds: int,
    repair: int,
    link: bytes,
    began: Callable[[Step], object],
    told: Callable[[int], object],
) -> None:
    """Send `steps` in their order. `began` is told of each, and `told` of the bytes of content that went.

    One block is encoded while the one before it is sent, each by a process of its own.
    """
    with ExitStack() as stack:
        coders = [stack.enter_context(Coder()) for _ in range(2)]
        sending = _Sending(wire, bundles, rounds, repair, link, told)
        if steps:
            sending.ask(coders[0], steps[0])
        for at, step in enumerate(steps):
            if at + 1 < len(steps):
                sending.ask(coders[(at + 1) % 2], steps[at + 1])
            began(step)
            sending.block(coders[at % 2], step)
            following = steps[at + 1] if at + 1 < len(steps) else None
            if following is None or (following.bundle, following.round) != (step.bundle, step.round):
                sending.end(step)


class _Sending:
    def __init__(
        self, wire: Wire, bundles: Sequence[Outgoing], rounds: int, repair: int, link: bytes,
        told: Callable[[int], object],
    ) -> None:  # fmt: skip
        self._wire, self._bundles, self._rounds, self._repair = wire, bundles, rounds, repair
        self._told = told
        self._keys = [one.session.key(link) for one in bundles]
        self._heads = [session.pieces(one.head, link, one.session.symbol) for one in bundles]
        self._said, self._whose = 0.0, -1

    def _range(self, step: Step) -> tuple[int, int]:
        """The first symbol that a round sends of a block, and how many."""
        count = count_of(self._bundles[step.bundle], step.block, self._repair)
        return step.fresh % limits.DIODE_FRESH * count, count

    def ask(self, coder: Coder, step: Step) -> None:
        outgoing = self._bundles[step.bundle]
        first, count = self._range(step)
        coder.encode(_block(outgoing, step.block), outgoing.session.symbol, first, count)

    def block(self, coder: Coder, step: Step) -> None:
        outgoing, key = self._bundles[step.bundle], self._keys[step.bundle]
        symbol, name = outgoing.session.symbol, outgoing.session.name
        first, count = self._range(step)
        for start in range(0, count, _RUN):
            self._say_head(step.bundle)
            run = min(_RUN, count - start)
            symbols = coder.read(run * symbol)
            for at in range(run):
                content = symbols[at * symbol : (at + 1) * symbol]
                esi = first + start + at
                self._wire.send(datagrams.make(key, datagrams.SYMBOL, bytes(3), name, step.block, esi, content))
            self._told(run * symbol)

    def _say_head(self, bundle: int) -> None:
        now = time.monotonic()
        if bundle == self._whose and now - self._said < _HEAD_EVERY:
            return
        times = 1 if bundle == self._whose else 3
        self._said, self._whose = now, bundle
        for _ in range(times):
            for piece in self._heads[bundle]:
                self._wire.send(piece)

    def end(self, step: Step) -> None:
        outgoing, key = self._bundles[step.bundle], self._keys[step.bundle]
        flags = bytes((step.round, self._rounds, 0))
        for _ in range(_ENDS):
            self._wire.send(datagrams.make(key, datagrams.END, flags, outgoing.session.name, 0, 0, b""))
