"""What a site chooses about access: `[access]` and `[tls]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from appliance import limits
from appliance.access.permissions import Network, Role, Rules, check_pattern, check_role, parse_networks
from bundles.errors import UsageError


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access]`. Patterns are of repositories, addresses are networks; none of a listener's: every address."""

    anonymous_pull: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    metrics_addresses: tuple[str, ...] = ()
    role_addresses: dict[str, tuple[str, ...]] = {}
    requests_per_second: float = 0.0
    socket_group: str = ""
    session_minutes: int = limits.SESSION_IDLE // 60

    def rules(self) -> Rules:
        """What decisions need. Raises UsageError."""
        roles: dict[Role, tuple[Network, ...]] = {
            check_role(name): parse_networks(networks) for name, networks in self.role_addresses.items()
        }
        return Rules(tuple(check_pattern(pattern) for pattern in self.anonymous_pull), roles)

    def networks(self) -> tuple[Network, ...]:
        """Whence the registry may be spoken to; none: from everywhere. Raises UsageError."""
        return parse_networks(self.addresses)

    def metrics_networks(self) -> tuple[Network, ...]:
        """Whence the metrics may be read; none: from everywhere. Raises UsageError."""
        return parse_networks(self.metrics_addresses)

    def check(self) -> None:
        """Raises UsageError naming what is wrong."""
        self.rules()
        self.networks()
        self.metrics_networks()
        if self.requests_per_second < 0:
            raise UsageError("requests_per_second cannot be negative", thing=str(self.requests_per_second))
        most = limits.SESSION_LIFE // 60
        if not 1 <= self.session_minutes <= most:
            raise UsageError(f"session_minutes must be 1 to {most}", thing=str(self.session_minutes))


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[registry]`. `push`: patterns of repositories that clients of an inside station may write to."""

    push: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises UsageError naming what is wrong."""
        for pattern in self.push:
            check_pattern(pattern)


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tls]`. Files of the site's own instead of those `lockgate init` made, relative to the station's folder.

    `certificate` is the server's chain, `key` its private key without a passphrase, `ca` what clients are to trust
    (for `lockgate trust snippet`), `client_ca` whose certificates clients show where `clients` asks for them.
    """

    certificate: str = "tls/server.pem"
    key: str = "tls/server.key"
    ca: str = "tls/ca.pem"
    clients: Literal["off", "optional", "required"] = "off"
    client_ca: str = ""
    minimum: Literal["1.2", "1.3"] = "1.2"

    def check(self) -> None:
        """Raises UsageError naming what is wrong."""
        if (self.clients == "off") is not (not self.client_ca):
            raise UsageError("clients and client_ca go together", thing="[tls]", remedy="give both, or neither")

    def path(self, root: Path, name: Literal["certificate", "key", "ca", "client_ca"]) -> Path:
        """A setting's file."""
        return root / str(getattr(self, name))
