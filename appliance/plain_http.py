"""Rules for every TCP listener of the station: which versions of HTTP it takes, and under which names it answers on
loopback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web

from appliance.addresses import is_loopback

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
    was rebound to loopback (DNS rebinding) is seen here."""
    try:
        return len(hosts) <= 1 and all(is_loopback(urlsplit(f"//{host}").hostname or "") for host in hosts)
    except ValueError:
        return False
