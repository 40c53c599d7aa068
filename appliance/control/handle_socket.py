"""Where clients hand folders and files over: `run/handles.sock`, and the handles that wait for a request.

A message is JSON, `{"path": text, "writes": bool}` or `{"secret": true}`, with one descriptor (unix(7), SCM_RIGHTS);
the answer is `{"handle": id, "path": text}` or an error. A handle is good once, within a minute, for the uid that sent
it. What it may be used for is decided here, as it comes, and again as what lies beneath is opened.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import json
import os
import secrets
import select
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.audit.event import refusal
from appliance.audit.port import AuditPort
from appliance.control.callers import system_name
from appliance.handles.granted import Grant, check_handed, name_of
from appliance.handles.ground import Ground
from appliance.handles.rights import Person, acting_as
from appliance.handles.secrets import check_secret, is_secret
from appliance.limits import control as limits
from appliance.local_socket import listen_at
from appliance.paths import StationPaths
from bundles.errors import FailedError, LockgateError, RefusedError, UsageError, to_wire
from bundles.io.files import os_failure

_SO_PEERGROUPS: Final = 59
_NGROUPS: Final = 65_536
"""Groups that an account may be in (NGROUPS_MAX)."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_TICK: Final = 2.0
"""Seconds between two looks for handles that nobody used."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A folder, file or secret that was handed over. The descriptor is the holder's to close."""

    root: str
    writes: bool
    is_file: bool
    person: Person
    descriptor: int
    since: float
    is_secret: bool = False

    def grant(self, path: str) -> Grant:
        """As appliance.handles.params.Taken."""
        one = self.person
        return Grant(
            path=path, root=self.root, writes=self.writes, is_file=self.is_file, uid=one.uid, gid=one.gid,
            groups=one.groups,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of it; harmless a second time only where nothing was opened in between, so it is done once."""
        os.close(self.descriptor)


class Handles:
    """The handles that wait. Safe from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._waiting: dict[str, Handle] = {}
        self._turn = threading.Lock()

    def add(self, handle: Handle) -> str:
        """A handle's id. Raises RefusedError where the uid has too many that wait; the oldest of whoever holds the most
        makes room where there are too many in all."""
        own, most = limits.HANDLES
        with self._turn:
            self._expire()
            counted = collections.Counter(one.person.uid for one in self._waiting.values())
            if counted[handle.person.uid] >= own:
                raise RefusedError(
                    "too many folders wait to be used",
                    thing=str(own),
                    remedy="start what they are for, or wait a minute",
                )
            if len(self._waiting) >= most:
                greedy = counted.most_common(1)[0][0]
                self._waiting.pop(next(k for k, one in self._waiting.items() if one.person.uid == greedy)).close()
            name = secrets.token_urlsafe(24)
            self._waiting[name] = handle
            return name

    def take(self, name: str, uid: int, *, secret: bool = False) -> Handle:
        """A handle of that uid's, given up: it is good once, a secret's where a secret is meant. Raises
        RefusedError."""
        with self._turn:
            self._expire()
            handle = self._waiting.get(name)
            if handle is None or handle.person.uid != uid or handle.is_secret is not secret:
                raise RefusedError(
                    "no such handle, or not this caller's", remedy="hand the folder over again, just before the request"
                )
            return self._waiting.pop(name)

    def expire(self) -> None:
        """Close those that nobody used in time."""
        with self._turn:
            self._expire()

    def close(self) -> None:
        """Close all."""
        with self._turn:
            while self._waiting:
                self._waiting.popitem()[1].close()

    def _expire(self) -> None:
        late = self._now() - limits.HANDLE_LIFE
        for name in [name for name, handle in self._waiting.items() if handle.since < late]:
            self._waiting.pop(name).close()


class HandleServer:
    """Takes descriptors on the socket; a thread a connection, so that a file system that hangs holds nobody else."""

    def __init__(self, paths: StationPaths, handles: Handles, audit: AuditPort, *, is_open: bool) -> None:
        self._paths, self._handles, self._audit, self._is_open = paths, handles, audit, is_open
        self._callers: collections.Counter[int] = collections.Counter()
        self._turn = threading.Lock()
        self._stopped = threading.Event()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen while it is open. Raises FailedError where the socket cannot be made."""
        listener = listen_at(self._paths.handles_socket, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        stop = os.eventfd(0)
        thread = threading.Thread(target=self._accept, args=(listener, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            os.eventfd_write(stop, 1)
            await asyncio.to_thread(thread.join)
            os.close(stop)
            listener.close()
            self._handles.close()
            self._paths.handles_socket.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket, stop: int) -> None:
        """Take connections until `stop`, an eventfd, is written. A listener that is shut down would not do: accept(2)
        with a time-out then runs without a pause until the time is over."""
        ready = select.poll()
        ready.register(listener, select.POLLIN)
        ready.register(stop, select.POLLIN)
        while not self._stopped.is_set():
            self._handles.expire()
            if not ready.poll(_TICK * 1000):
                continue
            try:
                connection, _ = listener.accept()
                person = person_at(connection)
            except BlockingIOError:  # told to stop, or the client went again
                continue
            except OSError:  # descriptors are short for a moment
                self._stopped.wait(0.1)
                continue
            own, most = limits.HANDLE_CALLERS
            with self._turn:
                admitted = self._callers[person.uid] < own and self._callers.total() < most
                self._callers[person.uid] += admitted
            if not admitted:
                _answer(connection, to_wire(FailedError("too many hand folders over at once", remedy="try again")))
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection, person), daemon=True).start()

    def _serve(self, connection: socket.socket, person: Person) -> None:
        try:
            connection.settimeout(limits.HANDLE_IDLE)
            with connection, contextlib.suppress(OSError):
                while not self._stopped.is_set() and self._one(connection, person):
                    pass
        finally:
            with self._turn:
                self._callers[person.uid] -= 1
                self._callers += collections.Counter()  # without those that have none

    def _one(self, connection: socket.socket, person: Person) -> bool:
        """Take one message and answer it; whether there was one. Raises OSError where the client is gone."""
        data, descriptors, flags, _ = socket.recv_fds(connection, limits.HANDLE_MESSAGE, 4, socket.MSG_CMSG_CLOEXEC)
        if not data and not descriptors:
            return False
        shown, kept = "", -1
        try:
            if len(descriptors) != 1 or flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                raise UsageError("one descriptor is handed over at a time")
            if is_secret(data):
                shown = "accounts of registries"
                handle = self._secret(person, descriptors[0])
            else:
                shown, writes = _read(data)
                handle = self._checked(person, descriptors[0], shown, writes=writes)
            answer = {"handle": self._handles.add(handle), "path": handle.root}
            kept = handle.descriptor
        except LockgateError as error:
            self._audit.record(refusal(Act.PATH_HAND_OVER, system_name(person.uid), shown, error))
            answer = to_wire(error)
        finally:
            for descriptor in descriptors:
                if descriptor != kept:
                    os.close(descriptor)
        return _answer(connection, answer)

    def _require_caller(self, person: Person) -> None:
        if self._is_open and person.uid not in (0, os.geteuid()):
            raise RefusedError(
                "this account may not use the station", thing=str(person.uid), remedy="call as the owner"
            )

    def _secret(self, person: Person, descriptor: int) -> Handle:
        self._require_caller(person)
        check_secret(descriptor)
        return Handle("", False, True, person, descriptor, time.monotonic(), is_secret=True)

    def _checked(self, person: Person, descriptor: int, said: str, *, writes: bool) -> Handle:
        self._require_caller(person)
        shown = Path(said)
        try:
            is_file = check_handed(person, descriptor, shown, Ground(self._paths), writes=writes)
            with acting_as(person):
                root = name_of(descriptor, said)
        except OSError as error:
            raise os_failure(error, shown, "what was handed over cannot be looked at") from None
        return Handle(root, writes, is_file, person, descriptor, time.monotonic())


def person_at(connection: socket.socket) -> Person:
    """Who is at the other end of a Unix socket (unix(7), SO_PEERCRED and SO_PEERGROUPS)."""
    size = struct.calcsize("3i")
    _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Person(uid, gid, _groups_at(connection))


def peer_person(request: web.Request) -> Person:
    """Who is at the other end of a request; where the transport does not say, somebody with no account's rights."""
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
    with contextlib.suppress(OSError):
        if peer is not None:
            return person_at(peer)
    return Person(-1, -1)


def _groups_at(connection: socket.socket) -> tuple[int, ...]:
    """The further groups of who is at the other end; Python's own getsockopt takes no more than 256."""
    room = (ctypes.c_uint32 * _NGROUPS)()
    length = ctypes.c_uint32(ctypes.sizeof(room))
    number = connection.fileno()
    if _libc.getsockopt(number, socket.SOL_SOCKET, _SO_PEERGROUPS, room, ctypes.byref(length)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return tuple(room[: length.value // 4])


def _read(data: bytes) -> tuple[str, bool]:
    """The fields of a message. Raises UsageError."""
    try:
        fields: Any = json.loads(data)
        path, writes = fields["path"], fields["writes"]
        encoded = path.encode()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise UsageError("a malformed message", remedy="send `path` and `writes`") from None
    if not isinstance(writes, bool) or set(fields) != {"path", "writes"}:
        raise UsageError("a malformed message", remedy="send `path` and `writes`")
    if b"\0" in encoded or len(encoded) > limits.PATH or os.path.normpath(path) != path or not path.startswith("/"):
        raise UsageError("not a whole path", thing=path[:120], remedy="name it from the root, without `..`")
    return path, writes


def _answer(connection: socket.socket, document: dict[str, Any]) -> bool:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(document).encode())
        return True
    return False
