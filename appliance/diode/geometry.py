"""How a transfer's bytes are cut: a stream of files, in blocks, in symbols (docs/adr/0064-diode.md).

The files stand behind one another in one stream. Block 0 is the table, blocks 1 to n are the stream's bytes, each of
`block` bytes but the last. A block is `symbols` symbols of `symbol` bytes, the last one filled up with zeros; RFC 6330
calls these K and T. Symbols from `symbols` on are repair symbols: any `symbols` of a block, and rarely one or two more,
are the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BLOCK: Final = 10_240_000
"""Bytes of a block at most. RaptorQ's symbols are whole pieces of a block (RFC 6330, 4.4.1.2: N = 1) while this is
below the 10 MiB that the library plans a decoder's memory with."""

SYMBOLS: Final = 7400
"""Symbols of a block at most: the same bound for the smallest datagrams."""

ALIGNMENT: Final = 8
"""A symbol's size is a multiple of this (RFC 6330, Al)."""

LEAST_SYMBOL: Final = 512
MOST_SYMBOL: Final = 8960

HEADERS: Final = 48
"""Bytes of an IPv6 and a UDP header, the larger of the two kinds."""

ESI: Final = 1 << 24
"""Encoding symbol ids of a block (RFC 6330, 3.2)."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """`size` bytes in symbols of `symbol` bytes."""

    size: int
    symbol: int

    @property
    def symbols(self) -> int:
        """Symbols of a whole block."""
        return min(BLOCK // self.symbol, SYMBOLS)

    @property
    def block(self) -> int:
        """Bytes of a whole block."""
        return self.symbols * self.symbol

    @property
    def blocks(self) -> int:
        """Blocks of the stream, without the table."""
        return -(-self.size // self.block)

    def span(self, block: int) -> tuple[int, int]:
        """Where block 1 to n begins in the stream, and how many bytes it has."""
        start = (block - 1) * self.block
        return start, min(self.block, self.size - start)

    def count(self, length: int) -> int:
        """Symbols of a block of `length` bytes."""
        return max(1, -(-length // self.symbol))


def symbol_of(mtu: int, head: int) -> int:
    """The size of a symbol for packets of `mtu` bytes, with `head` bytes before it in the datagram."""
    room = mtu - HEADERS - head
    return min(room - room % ALIGNMENT, MOST_SYMBOL)
