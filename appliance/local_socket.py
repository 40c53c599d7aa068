"""Unix sockets by their path: listening at one, and connecting to one, however long the path is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from appliance.limits import station as limits
from bundles.errors import FailedError


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
