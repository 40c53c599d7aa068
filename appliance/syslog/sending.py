"""A connection to a collector of syslog over TLS (RFC 5425), and what it is known to have got.

Syslog has no answer. What counts as taken is what the collector's system has acknowledged (TCP), on a connection that
it did not close: a new one is held to be good once it was not closed for a moment, since a collector that wants a
client's certificate says so only after the handshake (RFC 8446, section 4.4.2.4).
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.addresses import split_listen
from appliance.limits import forwarding as limits
from appliance.settings.syslog import SyslogSettings
from bundles.errors import UsageError

_WAIT = 0.02
"""Seconds between two looks whether the collector's system has acknowledged everything."""


class NotSentError(Exception):
    """A collector did not take what was sent, or not all of it."""


def context_of(settings: SyslogSettings, root: Path) -> ssl.SSLContext:
    """What the collector's certificate is held against: the settings' authorities alone. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    file = root / settings.ca
    try:
        context.load_verify_locations(file)
        if settings.client_cert:
            file = root / settings.client_cert
            # A key with a passphrase would ask for it on the terminal of a service: it is refused.
            context.load_cert_chain(file, root / settings.client_key, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
        raise UsageError(
            f"a certificate for the collector cannot be read ({reason.replace('_', ' ').lower()})",
            thing=str(file),
            remedy="check ca, client_cert and client_key in [syslog] of config.toml",
        ) from None
    return context


class Collector:
    """A collector, connected to when there is something to send. Blocking; for one thread at a time, but `close`."""

    def __init__(self, settings: SyslogSettings, root: Path) -> None:
        self._settings, self._root = settings, root
        self._link: ssl.SSLSocket | None = None
        self._closed = False

    def send(self, frames: Sequence[bytes]) -> None:
        """Send messages with their lengths, and wait until they were taken. Raises NotSentError: some of them may have
        been taken; UsageError where the certificates cannot be read."""
        deadline = time.monotonic() + limits.SYSLOG_TIME
        try:
            self._send(frames, deadline)
        except TimeoutError:
            self._drop()
            raise NotSentError(f"it did not take the messages in {limits.SYSLOG_TIME:.0f} s") from None
        except ssl.SSLCertVerificationError as error:
            self._drop()
            raise NotSentError(f"its certificate does not count: {error.verify_message}") from None
        except OSError as error:
            self._drop()
            said = getattr(error, "reason", None) or error.strerror or str(error) or type(error).__name__
            raise NotSentError(str(said).replace("_", " ").lower()) from None

    def _send(self, frames: Sequence[bytes], deadline: float) -> None:
        settles = 0.0
        if self._link is not None:
            try:
                self._require_open(self._link, 0.0)
            except OSError:  # it ended while there was nothing to send
                self._drop()
        if self._link is None:
            self._link, settles = self._open(deadline), limits.SYSLOG_SETTLES
        for frame in frames:
            self._link.settimeout(_left(deadline))
            self._link.sendall(frame)
        while _unacknowledged(self._link):
            _left(deadline)
            self._require_open(self._link, _WAIT)
        self._require_open(self._link, settles)

    def _open(self, deadline: float) -> ssl.SSLSocket:
        host, port = split_listen(self._settings.host)
        context = context_of(self._settings, self._root)
        if self._closed:
            raise ConnectionError("the station stops")
        plain = socket.create_connection((host, port), timeout=_left(deadline))
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return context.wrap_socket(plain, server_hostname=self._settings.name or host)
        except BaseException:
            plain.close()
            raise

    def _require_open(self, link: ssl.SSLSocket, seconds: float) -> None:
        """Go on where the collector has not closed the connection, nor does within so many seconds. Raises OSError."""
        ends = time.monotonic() + seconds
        while True:
            link.settimeout(0.0)
            try:
                if not link.recv(4_096):
                    raise ConnectionError("it closed the connection")
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                left = ends - time.monotonic()
                if left <= 0:
                    return
                select.select([link], [], [], left)

    def close(self) -> None:
        """End the connection, from any thread: what is being sent then fails at once."""
        self._closed = True
        if (link := self._link) is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(link, socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _left(deadline: float) -> float:
    """Seconds until then. Raises TimeoutError where it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _unacknowledged(link: ssl.SSLSocket) -> int:
    """Bytes that the other system has not acknowledged (tcp(7), SIOCOUTQ)."""
    (left,) = struct.unpack("i", fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    return int(left)
