"""Accounts at registries: by which key they are found, and the document in which they travel to a job.

A key is `host[:port]`, or that with the beginning of a repository's name behind it; the longest that fits counts
(containers-auth.json(5)). Secrets are in no text of these objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from appliance.limits import collecting as limits
from bundles.errors import UsageError

HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
_FIELDS: Final = ("key", "user", "secret", "identity_token")


@dataclass(frozen=True, slots=True)
class Account:
    """An account at the registry, or the part of one, that `key` names. `user` is "" beside an identity token that has
    none."""

    key: str
    user: str
    secret: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """The registry's `host[:port]`."""
        return self.key.partition("/")[0]


class Accounts:
    """Some accounts, one for each key; of two the first counts."""

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._by_key: dict[str, Account] = {}
        for account in accounts:
            self._by_key.setdefault(account.key, account)

    def __bool__(self) -> bool:
        return bool(self._by_key)

    @property
    def hosts(self) -> list[str]:
        """The registries that there is an account for, sorted."""
        return sorted({account.host for account in self._by_key.values()})

    def find(self, host: str, repository: str) -> Account | None:
        """The account for a repository, by the longest key that fits."""
        found = (self._by_key.get(key) for key in keys_of(host, repository))
        return next((account for account in found if account is not None), None)

    def encode(self) -> bytes:
        """The document that holds them, secrets too: for a descriptor alone, never for a file or a log."""
        listed = [{name: getattr(one, name) for name in _FIELDS} for one in self._by_key.values()]
        return json.dumps(listed, ensure_ascii=True).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Accounts:
        """What `encode` made. Raises UsageError, which quotes nothing of it."""
        malformed = UsageError("malformed accounts of registries", remedy="see docs/reference/control-api.md, Handles")
        if len(raw) > limits.ACCOUNTS_HANDED:
            raise malformed
        try:
            listed: Any = json.loads(raw)
        except (ValueError, RecursionError):
            raise malformed from None
        if not isinstance(listed, list) or not all(_is_account(entry) for entry in listed):
            raise malformed
        return cls(Account(**entry) for entry in listed)


def _is_account(entry: Any) -> bool:
    return isinstance(entry, dict) and set(entry) == set(_FIELDS) and all(isinstance(v, str) for v in entry.values())


def canonical_host(host: str) -> str:
    """A registry's `host[:port]` in lower case (RFC 4343); one name for those of Docker Hub."""
    lower = host.lower()
    return HUB if lower in _HUB_NAMES else lower


def keys_of(host: str, repository: str) -> Iterator[str]:
    """The keys that fit a repository, the longest first. Docker Hub's own images are in `library/`."""
    canonical = canonical_host(host)
    if canonical == HUB and repository and "/" not in repository:
        repository = f"library/{repository}"
    parts = [part for part in repository.split("/") if part]
    for end in range(len(parts), 0, -1):
        yield "/".join((canonical, *parts[:end]))
    yield canonical


def place_of(text: str) -> tuple[str, str]:
    """Host and repository of a reference to a registry as it is written, `docker://` before it or not; of a pattern the
    part of the repository's name that stands fast."""
    host, _, rest = text.removeprefix("docker://").partition("/")
    name = rest.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    parts = f"{folder}{slash}{last.partition(':')[0]}".split("/")
    fixed = next((index for index, part in enumerate(parts) if "*" in part), len(parts))
    return host, "/".join(parts[:fixed])
