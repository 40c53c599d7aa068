"""Whom the station tells of acts: `[webhooks.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from appliance.addresses import is_loopback
from bundles.errors import UsageError

_LONGEST = 2_000
"""Characters of a URL."""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint. `acts` are acts of the audit log, or their beginnings with `*` behind; `repositories`: only events
    about one of these, where it names some. `addresses` are the networks that its host may be in: nothing else is
    connected to. `ca`: the authorities that count for it, in the place of the machine's."""

    url: str = ""
    acts: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ca: str = ""


def check_url(text: str) -> str:
    """An endpoint's URL: HTTPS, or HTTP on loopback, without an account or a fragment. Raises UsageError."""
    wrong = UsageError("not a webhook's URL", remedy='write it as "https://hooks.example/lockgate"; HTTP on loopback')
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    bare = "@" not in parts.netloc and not parts.fragment and (port is None or port > 0)
    if not secure or not parts.hostname or not bare or len(text) > _LONGEST or not text.isascii() or " " in text:
        raise wrong
    return text
