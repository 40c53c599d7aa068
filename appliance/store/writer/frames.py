"""Frames on the writer's socket: four bytes of length, big-endian, then msgpack.

A request is `[number, write]`; before its first one a job sends `[0, token]`, the lease of the control process that
started it. An answer is `[number, result, null]` or `[number, null, error]` with the error as
`bundles.errors.to_wire` gives it. Answers may come in any order; the number says whose it is.
"""

from __future__ import annotations

import functools
import importlib
import operator
import os
import pkgutil
import socket
import struct
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance import limits
from appliance.store import writes
from appliance.store.writes.base import Write
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


class ShortPath:
    """A socket's path made short enough for AF_UNIX (108 bytes): through /proc/self/fd of its opened folder.

    A context manager; the path holds while the block runs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= limits.UNIX_PATH:
            return str(self._path)
        self._fd = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def listen_at(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A listening Unix socket at `path`, mode 0600, in place of a stale one. Raises FailedError."""
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        with ShortPath(path) as short:
            listener.bind(short)
        path.chmod(0o600)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise FailedError("a socket cannot be opened", thing=f"{path} ({error.strerror})") from None
    return listener


def stop_listening(path: Path) -> None:
    """Take the socket's name away. Harmless where it is gone."""
    path.unlink(missing_ok=True)


def connect_to(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A connected Unix socket. Raises OSError where nobody listens."""
    client = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        with ShortPath(path) as short:
            client.connect(short)
    except OSError:
        client.close()
        raise
    return client
