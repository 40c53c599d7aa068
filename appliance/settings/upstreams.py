"""Registries that content is taken from: `[upstreams."HOST"]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from bundles.errors import UsageError
from bundles.oci.reference import check_registry, check_repository

_LONGEST: Final = 2_000
"""Characters of a proxy's URL."""


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one registry is reached. Files are relative to the station's folder, or whole paths.

    `ca`: the authorities that count for it, in the place of the machine's; `client_cert` and `client_key`: what this
    station shows. `plain_http`: whether it speaks HTTP; None: on loopback alone. `proxy`: a URL, "" for none, None for
    the environment's. `mirrors`: `HOST[:PORT][/PREFIX]`, asked before it, in their order. `concurrency`: requests to it
    at once; 0: as many as the client does by itself.
    """

    ca: str = ""
    client_cert: str = ""
    client_key: str = ""
    plain_http: bool | None = None
    proxy: str | None = None
    mirrors: tuple[str, ...] = ()
    concurrency: int = 0


def check_mirror(text: str) -> tuple[str, str]:
    """A mirror's host, and the prefix that repositories have there, "" for none. Raises MalformedError."""
    host, slash, prefix = text.partition("/")
    check_registry(host)
    if slash:
        check_repository(prefix)
    return host, prefix


def check_proxy(text: str) -> str:
    """A proxy's URL: `http://HOST:PORT`, or `https://…`. Raises UsageError, also for one that holds an account: it
    would stand in a file and in errors."""
    wrong = UsageError("not a proxy's URL", remedy='write it as "http://proxy.example:3128", or "" for none')
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    usual = parts.scheme in ("http", "https") and parts.hostname and (port is None or port > 0)
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    if not usual or not bare or len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise wrong
    return text
