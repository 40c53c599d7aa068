"""An SSH server by paramiko that lies: about sizes, about what it wrote, in names, without end. It takes a password."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from appliance.settings.transfer_hosts import TransferHostSettings
from appliance.sftp.connection import fingerprint

PASSWORD = "tr0ub4dor-of-one-test"


@dataclass
class Lies:
    """What it does wrong. `sizes` are said of files by name; `short` bytes are given at most by one read; files in
    `changed` have another last byte than is there; files in `dropped` keep nothing that is written; `names` stand in
    every folder too, `raw_names` as these bytes; of `boundless` files attributes are said to follow without end."""

    root: Path
    sizes: dict[str, int] = field(default_factory=dict)
    short: int = 0
    changed: frozenset[str] = frozenset()
    dropped: bool = False
    names: tuple[str, ...] = ()
    raw_names: tuple[bytes, ...] = ()
    endless: bool = False
    boundless: frozenset[str] = frozenset()
    passwords: list[str] = field(default_factory=list)


class _Server(paramiko.ServerInterface):
    lies: Lies

    def check_auth_password(self, username: str, password: str) -> int:
        self.lies.passwords.append(password)
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Handle(paramiko.SFTPHandle):
    def __init__(self, path: Path, flags: int, lies: Lies) -> None:
        super().__init__(flags)
        self._path, self._lies = path, lies
        self._file = os.fdopen(os.open(path, (flags & ~os.O_APPEND) | os.O_CLOEXEC, 0o600),
                               "rb" if not flags & (os.O_WRONLY | os.O_RDWR) else "r+b", buffering=0)  # fmt: skip

    def read(self, offset: int, length: int) -> Any:
        length = min(length, self._lies.short or length)
        data = os.pread(self._file.fileno(), length, offset)
        size = os.fstat(self._file.fileno()).st_size
        if self._lies.endless:
            return b"x" * length
        if self._path.name in self._lies.changed and data and offset + len(data) == size:
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data or paramiko.SFTP_EOF

    def write(self, offset: int, data: bytes) -> int:
        if not self._lies.dropped:
            os.pwrite(self._file.fileno(), data, offset)
        return paramiko.SFTP_OK

    def stat(self) -> Any:
        return _attributes(self._path, self._lies)

    def close(self) -> None:
        self._file.close()


def _pack_boundless(message: Any) -> None:
    message.add_int(paramiko.SFTPAttributes.FLAG_EXTENDED)
    message.add_int(2**32 - 1)


def _attributes(path: Path, lies: Lies) -> Any:
    try:
        found = paramiko.SFTPAttributes.from_stat(path.lstat(), path.name)
    except FileNotFoundError:
        return paramiko.SFTP_NO_SUCH_FILE
    if path.name in lies.boundless:
        found._pack = _pack_boundless
    if path.name in lies.sizes:
        found.st_size = lies.sizes[path.name]
    return found


class _Files(paramiko.SFTPServerInterface):
    lies: Lies

    def _at(self, path: str) -> Path:
        return self.lies.root / path.lstrip("/")

    def list_folder(self, path: str) -> Any:
        here = self._at(path)
        if not here.is_dir():
            return paramiko.SFTP_NO_SUCH_FILE
        found = [paramiko.SFTPAttributes.from_stat(one.lstat(), one.name) for one in here.iterdir()]
        names = (*self.lies.names, *self.lies.raw_names)
        return found + [paramiko.SFTPAttributes.from_stat(here.lstat(), name) for name in names]

    def stat(self, path: str) -> Any:
        return _attributes(self._at(path), self.lies)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            return _Handle(self._at(path), flags, self.lies)
        except FileNotFoundError:
            return paramiko.SFTP_NO_SUCH_FILE

    def remove(self, path: str) -> int:
        self._at(path).unlink()
        return int(paramiko.SFTP_OK)

    def rename(self, oldpath: str, newpath: str) -> int:
        self._at(oldpath).rename(self._at(newpath))
        return int(paramiko.SFTP_OK)

    posix_rename = rename

    def mkdir(self, path: str, attr: Any) -> int:
        self._at(path).mkdir()
        return int(paramiko.SFTP_OK)


@contextlib.contextmanager
def lying_server(lies: Lies) -> Iterator[TransferHostSettings]:
    """Run it on a free port; yields how it is reached, by a password."""
    key = paramiko.ECDSAKey.generate()
    server = type("Server", (_Server,), {"lies": lies})
    files = type("Files", (_Files,), {"lies": lies})
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    transport = paramiko.Transport(listening.accept()[0])
                    transports.append(transport)
                    transport.add_server_key(key)
                    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files)
                    with contextlib.suppress(EOFError, paramiko.SSHException):
                        transport.start_server(server=server())

        threading.Thread(target=accept, daemon=True).start()
        yield TransferHostSettings(
            address=f"127.0.0.1:{listening.getsockname()[1]}", user="anyone", password=True,
            host_keys=(fingerprint(key.asbytes()),),
        )  # fmt: skip
        listening.shutdown(socket.SHUT_RDWR)
    for transport in transports:
        transport.close()
