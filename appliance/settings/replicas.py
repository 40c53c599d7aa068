"""Stations that this one follows: `[replicas.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from appliance.addresses import is_loopback
from bundles.errors import LockgateError, UsageError
from bundles.oci.reference import check_registry

_LONGEST = 300
"""Characters of a URL."""


class ReplicaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A primary that this station follows. Files are relative to the station's folder, or whole paths.

    `url`: `https://HOST[:PORT]` of its registry. `ca`: the only authorities that count for it. `account`: the robot
    that asks there; its secret stands elsewhere. `repositories`: patterns of what is followed. `every`: seconds between
    two looks. `hours`: windows `HH:MM-HH:MM` in UTC, none for always. `rate`: bytes a second, 0 for no limit.
    `deletes`: whether tags that are gone there go here too. `follow`: whether the station follows by itself, or only
    when it is asked to.
    """

    url: str = ""
    ca: str = ""
    account: str = ""
    repositories: tuple[str, ...] = ()
    every: int = 10
    hours: tuple[str, ...] = ()
    rate: int = 0
    deletes: bool = False
    follow: bool = True


def split_url(text: str) -> tuple[str, bool]:
    """A primary's `host[:port]` in lower case, and whether it is spoken to by TLS; by HTTP on loopback alone. Raises
    UsageError."""
    wrong = UsageError(
        "not a station's URL", thing=repr(text)[:80], remedy='write it as "https://primary.example:5000"'
    )
    try:
        parts = urlsplit(text)
        port = parts.port
        check_registry(parts.netloc)
    except (ValueError, LockgateError):
        raise wrong from None
    secure = parts.scheme == "https"
    spoken = secure or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and (port is None or port > 0)
    if not spoken or not bare or len(text) > _LONGEST:
        raise wrong
    return parts.netloc.lower(), secure
