"""What a station's settings, and the machine's configuration where they say so, make of a registry."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from appliance.addresses import is_loopback
from appliance.settings.station import Config
from appliance.settings.upstreams import UpstreamSettings, check_mirror
from appliance.upstreams.accounts import canonical_host, keys_of
from appliance.upstreams.certificates import Certificates, certs_d, context_of
from appliance.upstreams.registries_conf import Rule, read_rules
from bundles.errors import LockgateError, RefusedError

ETC: Final = Path("/etc")
_DEFAULT: Final = UpstreamSettings()


class Upstreams:
    """The registries of a station whose folder is `root`. Blocking: what is asked for is read then, once.

    `etc` is where the machine's configuration stands. Every method raises UsageError or FailedError naming the file
    where that cannot be used.
    """

    def __init__(self, config: Config, root: Path, etc: Path = ETC) -> None:
        self._settings: Mapping[str, UpstreamSettings] = {
            canonical_host(host): settings for host, settings in config.upstreams.items()
        }
        self._root, self._etc = root, etc
        self._by_machine = config.collect.use_host_configuration
        self._contexts: dict[tuple[str, bool], ssl.SSLContext | None] = {}

    def settings(self, host: str) -> UpstreamSettings:
        """What config.toml says of a registry."""
        return self._settings.get(canonical_host(host), _DEFAULT)

    def located(self, host: str, repository: str) -> tuple[str, str]:
        """Where a repository's content is by the machine's configuration; itself where that says nothing. Raises
        RefusedError where it is blocked."""
        rule = self._rule(host, repository)
        if rule is None or not rule.location or rule.location == rule.prefix:
            return host, repository
        return rule.at(rule.location, canonical_host(host), repository)

    def mirrors(self, host: str, repository: str) -> tuple[tuple[str, str], ...]:
        """Pairs (host, repository) to be asked before it: config.toml's, else the machine's. Raises RefusedError where
        it is blocked."""
        rule = self._rule(host, repository)
        named = [check_mirror(text) for text in self.settings(host).mirrors]
        if named:
            whole = next(keys_of(host, repository)).partition("/")[2]
            return tuple((mirror, "/".join(filter(None, (prefix, whole)))) for mirror, prefix in named)
        if rule is None:
            return ()
        return tuple(rule.at(mirror.location, canonical_host(host), repository) for mirror in rule.mirrors)

    def plain_http(self, host: str, repository: str) -> bool:
        """Whether it is spoken to by HTTP: where it is named so; on loopback where no certificates are named for it."""
        settings = self.settings(host)
        if settings.plain_http is not None:
            return settings.plain_http
        if self._certificates(host):
            return False
        return is_loopback(urlsplit(f"//{host}").hostname or "") or self._insecure(host, repository)

    def context(self, host: str) -> ssl.SSLContext | None:
        """The TLS context for a registry; None where nothing speaks of it, and the machine's own authorities count.
        Raises FailedError."""
        return self._context(host, shown=True)

    def authorities(self, host: str) -> ssl.SSLContext | None:
        """As `context`, but without a client certificate: for a host that a registry chose. What a certificate opens
        there is nothing that another registry may ask for."""
        return self._context(host, shown=False)

    def _context(self, host: str, *, shown: bool) -> ssl.SSLContext | None:
        key = canonical_host(host), shown
        if key not in self._contexts:
            found = self._certificates(host)
            is_named = bool(found) or self.settings(host).plain_http is False
            used = found if shown else replace(found, shown=())
            self._contexts[key] = context_of(used, self._named_at(host)) if is_named else None
        return self._contexts[key]

    def proxy(self, host: str) -> str | None:
        """The proxy for a registry: a URL, "" for none, None for the environment's. Loopback has none."""
        return "" if is_loopback(urlsplit(f"//{host}").hostname or "") else self.settings(host).proxy

    def objections(self) -> Iterator[LockgateError]:
        """What cannot be used of what config.toml names, each by itself."""
        asked: list[Callable[[], object]] = [functools.partial(self.context, host) for host in self._settings]
        if self._by_machine:
            asked.append(lambda: self._rules)
        for ask in asked:
            try:
                ask()
            except LockgateError as error:
                yield error

    def _named_at(self, host: str) -> str:
        return f'[upstreams."{canonical_host(host)}"]' if self.settings(host) != _DEFAULT else host

    def _certificates(self, host: str) -> Certificates:
        settings = self.settings(host)
        if settings.ca or settings.client_cert:
            shown = ((self._root / settings.client_cert, self._root / settings.client_key),)
            return Certificates(
                (self._root / settings.ca,) if settings.ca else (),
                alone=True,
                shown=shown if settings.client_cert else (),
            )
        return certs_d(self._etc, host.lower()) if self._by_machine else Certificates()

    @functools.cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return read_rules(self._etc) if self._by_machine else ()

    def _rule(self, host: str, repository: str) -> Rule | None:
        found = next((rule for rule in self._rules if rule.fits(canonical_host(host), repository)), None)
        if found is not None and found.blocked:
            raise RefusedError(
                "the registry is blocked by the machine's registries.conf", thing=f"{host}/{repository}",
                remedy="ask its administrator, or set use_host_configuration = false in config.toml",
            )  # fmt: skip
        return found

    def _insecure(self, host: str, repository: str) -> bool:
        """Whether the machine calls it insecure. That means HTTP here, and never TLS without a check."""
        places = set(keys_of(host, repository))
        for rule in self._rules:
            if rule.insecure and (rule.location in places or rule.fits(canonical_host(host), repository)):
                return True
            if any(mirror.insecure and mirror.location in places for mirror in rule.mirrors):
                return True
        return False
