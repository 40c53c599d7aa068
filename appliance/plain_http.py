"""Rules for every listener of the station: which versions of HTTP it takes, under which names it answers on loopback,
and what its log says of a request that is no HTTP."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from appliance.addresses import is_loopback
from bundles.io.display import safe

_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+))(?::(?P<port>[0-9]{1,5}))?\Z")
"""A host and perhaps a port, and nothing besides: no user, and no list of hosts (RFC 9110, section 7.2)."""
_VERSIONS: Final = (HttpVersion11, HttpVersion10)
_UNSUPPORTED: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def require_version(request: web.Request) -> None:
    """Raises HTTPBadRequest for HTTP/0.9 and for what is no HTTP/1.

    The answer was written then, as HTTP/1.1, where a response object would repeat the request's version. An error of
    another kind would be a traceback in the log for each such request.
    """
    if request.version in _VERSIONS:
        return
    if request.transport is not None:
        request.transport.write(_UNSUPPORTED)
        request.transport.close()
    raise web.HTTPBadRequest


def names_loopback(hosts: Sequence[str]) -> bool:
    """Whether the one Host header, if there is one, names this machine alone. A browser always sends it, so a name that
    was rebound to loopback (DNS rebinding) is seen here. What is no host and port names nothing."""
    return len(hosts) <= 1 and all(map(_is_loopback, hosts))


def _is_loopback(authority: str) -> bool:
    found = _AUTHORITY.match(authority)
    if found is None or not 0 < int(found["port"] or 80) <= 65_535:
        return False
    six = found["six"]
    return is_loopback((six or found["host"]).lower()) and (six is None or ":" in six)


def asks_loopback(request: web.Request) -> bool:
    """`names_loopback` of a request. The host of an absolute target counts too: a server takes it in the place of the
    header's (RFC 9112, section 3.2.2)."""
    hosts, target = [request.headers.getall("Host", [])], request.raw_path
    if not target.startswith("/"):
        try:
            hosts.append([urlsplit(target).netloc])
        except ValueError:
            return False
    return all(map(names_loopback, hosts))


def one_line(record: logging.LogRecord) -> bool:
    """A filter of the log of a server. A request that is no HTTP is its sender's mistake: one line about it, no
    traceback. An answer that was cut off is in the log already, and a client that went away is nobody's error."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ConnectionResetError):
        return False
    if isinstance(error, HttpProcessingError):
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg = f"{record.getMessage()}: {safe(' '.join(error.message.split()), width=200)}"
        record.args = None
    return True
