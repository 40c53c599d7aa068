"""Hosts that a source of `collect` may send its client on to: `[collect]` of config.toml, `redirects` of a collection
(docs/reference/configuration.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from bundles.errors import UsageError

_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\Z|[0-9a-f:]*:[0-9a-f:.]*\Z")
_LENGTH: Final = 253
"""Characters of a name (RFC 1035, section 2.3.4)."""


class CollectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collect]`. `redirects`: by a registry's host, with its port where references have one, the hosts that it may
    send on to. A registry that is not named may send on to every public host. `use_host_configuration`: whether the
    machine's registries.conf and certs.d count too."""

    redirects: dict[str, tuple[str, ...]] = {}
    use_host_configuration: bool = False


def check_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Names of hosts, in lower case and without ports, `*.` before one for all below it. Raises UsageError."""
    found = tuple(hosts)
    for host in found:
        if not isinstance(host, str) or len(host) > _LENGTH or not _HOST.match(host):
            raise UsageError("not a host for redirects", thing=repr(host)[:80], remedy='write a name, as "cdn.example"')
    return found


def names(hosts: Iterable[str], host: str) -> bool:
    """Whether one of `hosts` is `host`, or one above it with `*.` before."""
    return any(host.endswith(one[1:]) if one.startswith("*.") else host == one for one in hosts)
