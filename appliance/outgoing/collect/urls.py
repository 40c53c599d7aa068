"""References between URLs, as registries write them in redirects, realms and next pages."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from yarl import URL

_PRINTABLE: Final = re.compile(r"[!-~]*\Z")
_LABEL: Final = "[A-Za-z0-9_-]{1,63}"
_NAME: Final = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")
"""A name that a resolver takes: labels of 1 to 63 characters, 253 in all (RFC 1035, section 2.3.4)."""


def is_usable(url: URL) -> bool:
    """Whether a URL names a host that can be asked for, a name or an address without a scope, and no port 0."""
    host = url.raw_host or ""
    if url.explicit_port == 0:
        return False
    if ":" not in host:
        return _NAME.match(host) is not None
    try:
        return "%" not in host and ipaddress.IPv6Address(host) is not None
    except ValueError:
        return False


def is_same_origin(url: URL, other: URL) -> bool:
    """Whether two URLs are of one origin (RFC 6454, section 5): the same scheme, host and port, written out or not."""
    one, two = ((each.scheme, (each.raw_host or "").lower(), each.port) for each in (url, other))
    return one == two


def joined(url: URL, target: str) -> URL | None:
    """A reference resolved against the URL it came from (RFC 3986, section 5), without a fragment; None for one that
    is malformed or that no request can be sent to.

    The host is normalised. Path and query stay as they are written: a signed URL holds for its very characters.
    """
    try:
        found = url.join(URL(target)).with_fragment(None)
        if not is_usable(found):
            return None
        if not _PRINTABLE.match(target):
            return found
        exact = url.join(URL(target, encoded=True))
        return URL.build(
            scheme=found.scheme, authority=found.raw_authority, path=exact.raw_path,
            query_string=exact.raw_query_string, encoded=True,
        )  # fmt: skip
    except ValueError:
        return None
