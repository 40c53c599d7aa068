"""The process that does RaptorQ (RFC 6330): `python -m appliance.diode.coder`.

The library keeps Python's lock while it works, up to a third of a second for a block: in the process that sends or
receives, datagrams would be late or lost meanwhile. Requests come in on stdin, a line of JSON each:

| request | then on stdin | answer on stdout |
|---|---|---|
| `{"encode": BYTES, "symbol": T, "first": ESI, "count": N}` | the block's bytes | N symbols of T bytes |
| `{"decode": BYTES, "symbol": T, "spool": FILE, "sha256": HEX, "pieces": PIECES}` | | a line of JSON |

PIECES are `[FILE, OFFSET, SIZE]`, where the block's bytes go one behind the other. A spool is records of 4 bytes (ESI,
big-endian) and a symbol; one that is cut off at its end is left out. The answer to `decode` is `{"state": STATE}`:
`done` (written and synced), `more` (symbols are missing), `bad` (the block has another sum than the signed one), or
`failed` with `errno` and `file`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import raptorq

_ESI: Final = struct.Struct(">I")


def encode(block: bytes, symbol: int, first: int, count: int) -> list[bytes]:
    """`count` symbols of a block from the id `first` on; the block's own ones come first."""
    own = max(1, -(-len(block) // symbol))
    filled = block.ljust(own * symbol, b"\0")
    encoder = raptorq.Encoder.with_defaults(filled, symbol)
    packets = encoder.get_encoded_packets(max(0, first + count - own))
    return [packet[_ESI.size :] for packet in packets[first : first + count]]


def decode(records: Iterator[bytes], length: int, symbol: int) -> bytes | None:
    """A block of `length` bytes from records, or None where they do not suffice."""
    own = max(1, -(-length // symbol))
    decoder = raptorq.Decoder.with_defaults(own * symbol, symbol)
    for record in records:
        block = decoder.decode(record)
        if block is not None:
            return bytes(block[:length])
    return None


def _records(spool: bytes, symbol: int) -> Iterator[bytes]:
    size = _ESI.size + symbol
    for start in range(0, len(spool) - size + 1, size):
        record = spool[start : start + size]
        if record[0] == 0:  # the source block's number (RFC 6330, 3.2): there is one
            yield record


def _write(block: bytes, pieces: list[tuple[str, int, int]]) -> None:
    at = 0
    for name, offset, size in pieces:
        descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            done = 0
            while done < size:
                done += os.pwrite(descriptor, block[at + done : at + size], offset + done)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        at += size


def _decoded(request: dict[str, Any]) -> dict[str, Any]:
    length, symbol = request["decode"], request["symbol"]
    try:
        descriptor = os.open(request["spool"], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            block = decode(_records(file.read(), symbol), length, symbol)
        if block is None:
            return {"state": "more"}
        if hashlib.sha256(block).hexdigest() != request["sha256"]:
            return {"state": "bad"}
        _write(block, request["pieces"])
    except OSError as error:
        return {"state": "failed", "errno": error.errno, "file": str(error.filename or request["spool"])}
    return {"state": "done"}


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    for line in iter(requests.readline, b""):
        request = json.loads(line)
        if "encode" in request:
            block = requests.read(request["encode"])
            for symbol in encode(block, request["symbol"], request["first"], request["count"]):
                answers.write(symbol)
        else:
            answers.write(json.dumps(_decoded(request)).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Serve until stdin ends."""
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
