"""The client's side: it opens what its user names, with its user's rights, and hands the descriptors over.

Small documents are read here and travel as bytes.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from appliance.api.errors import NO_ANSWER, NOT_RUNNING
from appliance.handles.path_params import MISSING, PathParam, places
from appliance.handles.secrets import SEALS, SECRET
from appliance.limits import control as limits
from appliance.local_socket import connect_to
from appliance.paths import StationPaths
from bundles.errors import FailedError, RefusedError, UsageError, from_wire
from bundles.io.files import failures_named

_WAIT: Final = 30.0
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ANY: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class BrokenOffError(FailedError):
    """What was handed over reached no control process, or none that lived to take it: it may be tried again."""


def hand_over(station: Path, params: Mapping[str, Any], table: Sequence[PathParam]) -> dict[str, Any]:
    """The params with every path of `table` opened and handed over to the station in `station`.

    Raises UsageError, FailedError, RefusedError: what cannot be opened, what the station does not take, and where it is
    not running.
    """
    given: dict[str, Any] = copy.deepcopy(dict(params))
    found = [(param, where, key) for param in table for where, key in places(given, param.at)]
    found = [(param, where, key) for param, where, key in found if isinstance(where[key], str) and where[key]]
    if len(found) > limits.JOB_PATHS:
        raise UsageError("too many paths", thing=str(len(found)), remedy=f"at most {limits.JOB_PATHS} at a time")
    if found:
        with _connected(station) as connection:
            for param, where, key in found:
                where[key] = _hand(connection, Path(where[key]), param)
    return given


def hand_secret(station: Path, secret: bytes) -> str:
    """The handle of a secret that was handed over to the station in `station`: in memory that has no name and that
    nobody can change any more (memfd_create(2)). Raises FailedError, RefusedError."""
    with _connected(station) as connection:
        descriptor = os.memfd_create("lockgate", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(secret)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
            socket.send_fds(connection, [SECRET], [descriptor])
        finally:
            os.close(descriptor)
        return str(_answer(connection, "accounts of registries")["handle"])


def hand_again(station: Path, waits_for: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What a job waits for, opened and handed over again, in its order. Raises as `hand_over`."""
    with _connected(station) as connection:
        return [
            _hand(connection, Path(one["root"]), PathParam("paths[]", bool(one["writes"]), "the path cannot be opened"))
            | {"path": str(one["path"])}
            for one in waits_for
        ]


def document_of(path: Path) -> dict[str, Any]:
    """A receipt or want-list with its signature, as the API takes it. Raises as `read_statement`."""
    import msgspec  # here: few commands hand a document in, and cryptography is slow to load

    from bundles.documents.statement import read_statement

    fields: dict[str, Any] = msgspec.to_builtins(read_statement(path.absolute()))
    return fields


@contextlib.contextmanager
def _connected(station: Path) -> Iterator[socket.socket]:
    """Raises FailedError, BrokenOffError where nobody listens, or nobody hears to the end; a handle that was given out
    by then is closed unused."""
    try:
        connection = connect_to(StationPaths(station).handles_socket, socket.SOCK_SEQPACKET)
    except OSError:
        raise BrokenOffError(
            "the station is not running", thing=str(station), remedy=f"start it with: lockgate serve -C {station}",
            code=NOT_RUNNING,
        ) from None  # fmt: skip
    with connection:
        connection.settimeout(_WAIT)
        try:
            yield connection
        except TimeoutError:
            raise FailedError(
                "the station did not answer in time", thing=str(station), remedy="try again", code=NO_ANSWER
            ) from None
        except OSError as error:
            raise BrokenOffError(
                "the station broke off", thing=f"{station} ({error.strerror})", remedy="try again", code=NO_ANSWER
            ) from None


def _open(place: Path, param: PathParam) -> int:
    """Raises RefusedError for a socket or a device without a driver, which cannot be opened, FailedError."""
    with failures_named(place, param.failing):
        try:
            return os.open(place, _FOLDER if param.writes else _ANY)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENODEV) and not (place.is_dir() or place.is_file()):
                raise _special(place) from None
            raise


def _special(path: Path) -> RefusedError:
    return RefusedError("not a folder or regular file", thing=str(path), remedy="give the folder or file itself")


def _hand(connection: socket.socket, path: Path, param: PathParam) -> dict[str, str]:
    """Open one path and hand it over; what stands for it in a request."""
    if not path.is_absolute():
        raise UsageError("the path is not absolute", thing=repr(str(path))[:120], remedy="write it in full")
    if "\0" in str(path):
        raise UsageError("a path with a NUL", thing=repr(str(path))[:120], remedy="check the path")
    _require_utf8(str(path))
    path = Path(os.path.normpath(path))
    place = _place(path, param)
    descriptor = _open(place, param)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise _special(path)
        message = json.dumps({"path": str(place), "writes": param.writes}).encode()
        socket.send_fds(connection, [message], [descriptor])
    finally:
        os.close(descriptor)
    answer = _answer(connection, str(path))
    root = str(answer["path"])
    _require_utf8(root)  # what a link leads to
    return {"handle": str(answer["handle"]), "path": root if place == path else str(Path(root) / path.name)}


def _answer(connection: socket.socket, thing: str) -> dict[str, Any]:
    """What the station answers to what was handed over. Raises the error that it answers with, FailedError."""
    raw = connection.recv(limits.HANDLE_MESSAGE)
    if not raw:
        raise BrokenOffError("the station did not answer", thing=thing, remedy="try again", code=NO_ANSWER)
    answer: dict[str, Any] = json.loads(raw)
    if "handle" not in answer:
        raise from_wire(answer)
    return answer


def _require_utf8(path: str) -> None:
    """Raises UsageError for a path whose bytes are no UTF-8 (PEP 383): it has no place in JSON."""
    if any("\ud800" <= character <= "\udfff" for character in path):
        raise UsageError("the path is not UTF-8", thing=ascii(path)[:120], remedy="rename it, and try again")


def _place(path: Path, param: PathParam) -> Path:
    """What is opened: the path itself, or the folder that it will be in. Raises FailedError."""
    match param.makes:
        case "file":
            if path.is_dir():
                raise UsageError("a folder is there", thing=str(path), remedy="name a new file in it")
            if os.path.lexists(path):
                raise UsageError("the file exists", thing=str(path), remedy="choose another name")
            if not path.parent.is_dir():
                raise UsageError("no such folder", thing=str(path.parent), remedy="check the path")
            return path.parent
        case _ if param.writes:
            with failures_named(path, param.failing):
                if not path.exists():
                    raise FailedError("the medium's folder is not there", thing=str(path), remedy=MISSING)
        case _:
            pass
    return path
