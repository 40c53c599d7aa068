"""A connection to a transfer host: its key is one that is pinned, or nothing is said to it.

Paramiko's client keeps a file of known hosts and can be told to trust at first use; here the transport alone is used,
and the fingerprint of the key that the host proved to hold is compared before anything is sent that could log in.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from appliance.limits import transfer as limits
from appliance.settings.transfer_hosts import TransferHostSettings, split_address
from appliance.sftp.names import shown
from appliance.sftp.secrets import Secrets, secrets_of
from bundles.errors import FailedError, LockgateError, RefusedError

_CIPHERS: Final = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
"""The fastest first: one pass in hardware enciphers and authenticates. Nothing in CBC mode."""

_WINDOW: Final = 32 * 1024 * 1024
"""Bytes that a host may have on the way to here. Paramiko's 2 MiB hold back a fast link."""

_PACKET: Final = 32768

HOST_KEY: Final = "host-key"
"""The code of the refusal of a host key that is not pinned."""

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it would write what a host says, as it stands


class CutError(FailedError):
    """The connection was cut, or nothing came for too long: what was carried is kept, and it may be tried again."""


class Hosts:
    """The transfer hosts of a station whose folder is `root`. `handed` is the secret that came with a job, for the host
    `target` alone."""

    def __init__(
        self, hosts: dict[str, TransferHostSettings], root: Path, target: str = "", handed: bytes | None = None
    ) -> None:
        self._hosts, self._root, self._target, self._handed = hosts, root, target, handed
        self._secrets: dict[str, Secrets] = {}

    def secrets(self, name: str) -> Secrets:
        """What a host is shown, read once. Raises as `secrets_of`."""
        if name not in self._secrets:
            handed = self._handed if name == self._target else None
            self._secrets[name] = secrets_of(self._root, name, self._hosts[name], handed)
        return self._secrets[name]

    def check(self, name: str) -> None:
        """Read the secrets of a host and of those before it. Raises as `secrets_of`."""
        while name:
            self.secrets(name)
            name = self._hosts[name].through

    @contextlib.contextmanager
    def sftp(self, name: str) -> Iterator[Any]:
        """An SFTP client of the host (appliance.sftp.answers.Client). Raises RefusedError for a key that is not pinned
        and where it lets nobody in, CutError where the connection breaks, FailedError."""
        from appliance.sftp.answers import Client  # here: loading paramiko takes a fifth of a second

        with self._transport(name) as transport, errors_named(name):
            client = Client.from_transport(transport, window_size=_WINDOW, max_packet_size=_PACKET)
            if client is None:
                raise FailedError("the transfer host has no SFTP", thing=name, remedy="ask who runs it")
            with contextlib.closing(client):
                client.get_channel().settimeout(limits.SFTP_TIMEOUT)
                yield client

    @contextlib.contextmanager
    def _transport(self, name: str) -> Iterator[Any]:
        settings = self._hosts[name]
        host, port = split_address(settings.address)
        with contextlib.ExitStack() as opened:
            if settings.through:
                jump = opened.enter_context(self._transport(settings.through))
                with errors_named(settings.through):
                    way = jump.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=limits.SFTP_TIMEOUT)
            else:
                way = _connect(name, host, port)
            opened.callback(way.close)
            with errors_named(name):
                transport = start(name, way, settings.host_keys)
                opened.callback(transport.close)
                log_in(name, transport, settings.user, self.secrets(name))
            yield transport


def _connect(name: str, host: str, port: int) -> socket.socket:
    """Raises CutError where nobody answers."""
    try:
        way = socket.create_connection((host, port), limits.SFTP_TIMEOUT)
    except OSError as error:
        why = error.strerror or str(error) or "no answer"
        raise CutError(
            "the transfer host cannot be reached", thing=f"{name}, {host}:{port} ({why})",
            remedy="check its address in config.toml, and the network",
        ) from None  # fmt: skip
    way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return way


def start(name: str, way: Any, pinned: Sequence[str]) -> Any:
    """A transport over the connection `way`, whose host holds one of the `pinned` keys. Raises RefusedError."""
    import paramiko

    transport = paramiko.Transport(way, default_window_size=_WINDOW, default_max_packet_size=_PACKET)
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = limits.SFTP_TIMEOUT
    transport.get_security_options().ciphers = _CIPHERS
    try:
        try:
            transport.start_client(timeout=limits.SFTP_TIMEOUT)
        except (ValueError, LookupError, TypeError, ArithmeticError, struct.error) as error:
            # what paramiko's own thread met in the host's bytes, whoever sent them
            raise FailedError(
                "the transfer host spoke no SSH", thing=f"{name}: {shown(error)}", remedy="ask who runs it"
            ) from None
        found = fingerprint(transport.get_remote_server_key().asbytes())
        _require_pinned(name, found, pinned)
    except BaseException:
        transport.close()
        raise
    return transport


def _require_pinned(name: str, found: str, pinned: Sequence[str]) -> None:
    if found not in pinned:
        raise RefusedError(
            "the transfer host's key is not the one that is pinned", code=HOST_KEY, thing=f"{name} shows {found}",
            remedy="ask who runs it for its fingerprint; only if it is this one, write it into host_keys",
        )  # fmt: skip


def fingerprint(key: bytes) -> str:
    """A public key's fingerprint, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def log_in(name: str, transport: Any, user: str, secrets: Secrets) -> None:
    """Show the host each key, then the password. Raises RefusedError where it takes none."""
    import paramiko

    tried: list[Callable[[], object]] = [partial(transport.auth_publickey, user, key) for key in secrets.keys]
    if secrets.password is not None:
        tried.append(partial(transport.auth_password, user, secrets.password))
    for attempt in tried:
        try:
            attempt()
        except paramiko.AuthenticationException:
            if not transport.is_active():
                break
            continue
        if transport.is_authenticated():
            return
    raise RefusedError(
        "the transfer host lets this account not in", thing=f"{user} at {name}",
        remedy="ask who runs it: it must have the key's public half, or the password here is not the right one",
    )  # fmt: skip


@contextlib.contextmanager
def errors_named(name: str) -> Iterator[None]:
    """What paramiko raises, as an error of ours that names the host."""
    import paramiko

    try:
        yield
    except LockgateError:
        raise
    except paramiko.SSHException as error:
        raise _cut(name, error) from None
    except (paramiko.SFTPError, UnicodeDecodeError) as error:  # the texts of its errors are UTF-8
        raise FailedError(
            "the transfer host spoke no SFTP", thing=f"{name}: {shown(error)}", remedy="ask who runs it"
        ) from None
    except (EOFError, TimeoutError, ConnectionError) as error:
        raise _cut(name, error) from None
    except PermissionError:
        raise RefusedError(
            "the transfer host does not allow it", thing=name, remedy="ask who runs it for rights in that folder"
        ) from None
    except OSError as error:
        if "closed" in str(error).lower():  # paramiko says so of a channel in plain words alone
            raise _cut(name, error) from None
        raise FailedError(
            "the transfer host did not do it", thing=f"{name}: {shown(error)}",
            remedy="its disk may be full, or the folder not there; ask who runs it",
        ) from None  # fmt: skip


def _cut(name: str, error: BaseException) -> CutError:
    why = shown(error) or type(error).__name__
    return CutError(
        "the connection to the transfer host was cut", thing=f"{name}: {why}",
        remedy="run it again: it goes on where it was",
    )  # fmt: skip
