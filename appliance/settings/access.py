"""What a site chooses about access: `[access]` and `[tls]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from appliance.api.states import Role
from appliance.limits import access as limits
from appliance.permissions import Network, Rules, check_pattern, check_role, parse_networks


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


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[registry]`. `push`: patterns of repositories that clients of an inside station may write to."""

    push: tuple[str, ...] = ()


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

    def path(self, root: Path, name: Literal["certificate", "key", "ca", "client_ca"]) -> Path:
        """A setting's file."""
        return root / str(getattr(self, name))
