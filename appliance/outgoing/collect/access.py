"""What the registry client of `collect` needs to reach a registry: the account, the certificates, the way there.

The client asks `Accesses` for each repository of each host. It does the token protocol itself; whoever implements
`Accesses` says with which account, and over which connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol


def _machines(_: str) -> None:
    """The authorities of the machine, whatever the host."""


@dataclass(frozen=True)
class HostAccess:
    """How one host is reached for one repository. Secrets are in no text of it."""

    host: str
    """`name[:port]`, as the access is for."""
    user: str | None = None
    """The account's name, or None for an anonymous access."""
    secret: str | None = field(default=None, repr=False)
    """The account's password or access token."""
    identity_token: str | None = field(default=None, repr=False)
    """A refresh token for the token service, instead of a name and a secret (distribution token specification)."""
    ssl: SSLContext | None = None
    """The authorities and the client certificate for this host; None for those of the machine."""
    authorities: Callable[[str], SSLContext | None] = field(default=_machines, repr=False, compare=False)
    """The authorities for another host (`name[:port]`) that this one names, without a client certificate; None for
    those of the machine. May block, and raises FailedError."""
    plain_http: bool = False
    """Whether the host was named as one that speaks plain HTTP. Loopback does so without being named."""
    proxy: str | None = None
    """The URL of the proxy for this host; None for the environment's, "" for none."""
    concurrency: int = 0
    """Requests to the host at once; 0 for as many as the client does by itself."""


class Accesses(Protocol):
    """Says how hosts are reached. Its methods may block (files, credential helpers) and are called in a thread."""

    def for_repository(self, host: str, repository: str) -> HostAccess:
        """The access to `repository` at `host` (`name[:port]`, as references have it). Raises a LockgateError that
        names the file or helper and no secret."""
        ...

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        """Pairs (host, repository) to be tried before `repository` at `host`, in their order."""
        ...

    def located(self, host: str, repository: str) -> tuple[str, str]:
        """Host and repository where the content of `repository` at `host` is; usually these themselves. Raises
        RefusedError where it must not be asked for."""
        ...


class NoAccess:
    """Accesses without accounts: the machine's certificates, the environment's proxy, no mirrors."""

    def for_repository(self, host: str, repository: str) -> HostAccess:
        """As Accesses.for_repository."""
        return HostAccess(host)

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        """As Accesses.mirrors."""
        return ()

    def located(self, host: str, repository: str) -> tuple[str, str]:
        """As Accesses.located."""
        return host, repository
