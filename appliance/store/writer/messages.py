"""Frames on the writer's socket: four bytes of length, big-endian, then msgpack.

A request is `[number, write]`; before its first one a job sends `[0, token]`, the lease of the control process that
started it. An answer is `[number, result, null]` or `[number, null, error]` with the error as
`bundles.errors.to_wire` gives it. Answers may come in any order; the number says whose it is.
"""

from __future__ import annotations

import functools
import importlib
import operator
import pkgutil
import struct
from typing import Any, Final

import msgspec

from appliance.limits import store as limits
from appliance.store import writes
from appliance.store.writes.write import Write
from bundles.errors import FailedError

HEADER: Final = struct.Struct(">I")


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What became of one write."""

    number: int
    result: Any = None
    error: dict[str, str] | None = None


@functools.cache
def _write_classes() -> tuple[type[Write], ...]:
    """Every write of every module in `store.writes`: what the socket accepts, and nothing else."""
    for module in pkgutil.iter_modules(writes.__path__):
        importlib.import_module(f"{writes.__name__}.{module.name}")
    return tuple(sorted(_below(Write), key=lambda cls: cls.__name__))


def _below(cls: type[Write]) -> set[type[Write]]:
    direct = {below for below in cls.__subclasses__() if below.__module__.startswith(f"{writes.__name__}.")}
    return direct.union(*(_below(below) for below in direct))


@functools.cache
def _request_decoder() -> msgspec.msgpack.Decoder[Any]:
    union = functools.reduce(operator.or_, _write_classes()) | str
    return msgspec.msgpack.Decoder(tuple[int, union])  # type: ignore[valid-type]


_answer_decoder: Final = msgspec.msgpack.Decoder(Answer)
_encoder: Final = msgspec.msgpack.Encoder()


def encode_request(number: int, write: Write) -> bytes:
    """One request's frame. Raises FailedError when it is larger than a frame may be."""
    return _frame(_encoder.encode((number, write)))


def encode_lease(token: str) -> bytes:
    """The frame that shows a lease. Raises FailedError."""
    return _frame(_encoder.encode((0, token)))


def decode_request(body: bytes) -> tuple[int, Write | str]:
    """A request's body: a write, or the token of a lease. Raises msgspec.DecodeError for anything else."""
    number, write = _request_decoder().decode(body)
    return number, write


def encode_answer(answer: Answer) -> bytes:
    """One answer's frame. Raises FailedError."""
    return _frame(_encoder.encode(answer))


def decode_answer(body: bytes) -> Answer:
    """An answer's body. Raises msgspec.DecodeError."""
    return _answer_decoder.decode(body)


def body_length(header: bytes) -> int:
    """The length a header announces. Raises FailedError beyond the ceiling."""
    (length,) = HEADER.unpack(header)
    if length > limits.WRITE_FRAME:
        raise FailedError("a frame on the writer's socket is too large", thing=f"{length} bytes")
    return int(length)


def _frame(body: bytes) -> bytes:
    if len(body) > limits.WRITE_FRAME:
        raise FailedError(
            "a write is too large", thing=f"{len(body)} bytes", remedy=f"the ceiling is {limits.WRITE_FRAME}"
        )
    return HEADER.pack(len(body)) + body
