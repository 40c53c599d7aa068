"""Where one source may send its client: by redirect, or for a token.

HTTPS stays HTTPS; plain HTTP stays on loopback, or at the very host that was named as one that speaks it. Addresses
that are not public are reached where they are in the zone of the source itself. That is asked of a URL's host, of what
a name resolves to, and of the address that a socket is about to be connected to, so a name that resolves to something
else the second time (DNS rebinding) gains nothing.

The zone of a source that is named is that of the addresses its name gave until it answered. Once they were of two
zones, the source counts as public: whoever answers for the name could choose the zone otherwise.
"""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from appliance.addresses import is_loopback
from appliance.outgoing.collect.urls import is_same_origin, is_usable
from appliance.outgoing.collect.zones import Zone, zone_of, zone_of_host
from appliance.settings.redirects import names
from bundles.errors import RefusedError


class Destinations(AbstractResolver):
    """The rule for one source at `base`, and the resolver and sockets that keep it.

    `narrowed`: lists of hosts; beside the source's own, a host must be in each list. `resolver` answers for names.
    `proxy`: the URL of the proxy for this source, "" for none, None for the environment's.
    """

    def __init__(
        self,
        base: URL,
        narrowed: Iterable[tuple[str, ...]] = (),
        resolver: AbstractResolver | None = None,
        proxy: str | None = None,
    ) -> None:
        self._base = base
        self._host = base.raw_host or ""
        self._narrowed = tuple(narrowed)
        self._resolver = resolver
        self._zone: Zone | None = zone_of_host(self._host)
        self._given: set[Zone] = set()
        self._own: set[str] = set()
        self._is_named = proxy is not None
        if proxy is not None:
            self._proxy = URL(proxy) if proxy else None
        else:
            self._proxy = None if base.scheme == "http" else _proxy()

    def proxy_of(self, url: URL) -> URL | None:
        """The proxy for a URL, where there is one. The environment's is asked for what is HTTPS, and as it says; one
        that was named for this source, for everything that is not on this machine."""
        host = url.raw_host or ""
        if self._is_named:
            return None if is_loopback(host) else self._proxy
        return None if url.scheme != "https" or urllib.request.proxy_bypass(host) else self._proxy

    def check(self, url: URL, before: URL) -> None:
        """Raises RefusedError where a request must not go to `url`, to which one to `before` was sent on."""
        if url.scheme != "https" and (url.scheme != "http" or before.scheme != "http"):
            raise self._refused(url, "it leaves HTTPS", "the registry must answer by HTTPS")
        host = url.raw_host or ""
        if not is_usable(url) or url.raw_user is not None or url.raw_password is not None:
            raise self._refused(
                url, "it names an account, or no host that can be asked for", "ask the registry's administrator"
            )
        if url.scheme == "http" and not is_loopback(host) and not self.is_source(url):
            raise self._refused(url, "plain HTTP is for loopback alone", "the registry must answer by HTTPS")
        zone = zone_of_host(host)
        if zone is not None and not self._permits(zone):
            raise self._refused(url, f"a {zone} address", "give the source by that address, if it is right")
        if host == self._host:
            return
        if self._proxy is not None and host == self._proxy.raw_host:
            raise self._refused(url, "it is the proxy", "ask the registry's administrator")
        if not all(names(hosts, host) for hosts in self._narrowed):
            raise self._refused(url, "not among the hosts for redirects", f"add {host} to `redirects`, if it is right")

    def is_source(self, url: URL) -> bool:
        """Whether a URL is of the source's own origin (RFC 6454): the only one that gets its token."""
        return is_same_origin(url, self._base)

    def answered(self, url: URL) -> None:
        """Note that the source itself answered at `url`, without a proxy: from then on its zone is known."""
        if self._zone is None and len(self._given) == 1 and self.is_source(url):
            self._zone = next(iter(self._given))

    def _permits(self, zone: Zone) -> bool:
        return zone in ("public", self._zone)

    def _may_connect(self, zone: Zone, host: str) -> bool:
        """Whether an address of `host` may be connected to: under a name of loopback only one of loopback."""
        return zone == "loopback" == self._zone if is_loopback(host) else self._permits(zone)

    def _refused(self, url: URL, why: str, remedy: str) -> RefusedError:
        thing = f"{self._base.raw_host} -> {url.scheme}://{url.raw_host}"[:200]
        return RefusedError(f"the registry sends elsewhere than it may ({why})", thing=thing, remedy=remedy)

    # As a resolver, and as what makes sockets.

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """What a name resolves to and may be connected to. Raises OSError, and RefusedError where nothing is left.

        Until the source answered, its own name alone leads to what is not public; in two zones it leads to neither.
        """
        if self._resolver is None:
            self._resolver = aiohttp.ThreadedResolver()
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError:  # from the codec idna, for a label that is empty or too long
            url = URL.build(scheme=self._base.scheme, host=self._host)
            raise self._refused(url, "no such name can be asked for", "check the name") from None
        zones = [zone_of(one["host"]) for one in found]
        is_own = host == self._host and zone_of_host(host) is None
        if is_own:
            self._note(found, zones)
        kept = [
            one for one, zone in zip(found, zones, strict=True)
            if self._may_connect(zone, host) or (is_own and one["host"] in self._own)
        ]  # fmt: skip
        if found and not kept:
            raise self._refused(
                URL.build(scheme=self._base.scheme, host=host),
                f"a {zones[0]} address",
                "check the name; what is not public is reached where the source itself is",
            )
        return kept

    def _note(self, found: Sequence[ResolveResult], zones: Sequence[Zone]) -> None:
        """Keep what the source's own name gave. Its addresses count until the zone is known, and while it is one."""
        self._given.update(zones)
        if len(self._given) > 1:
            self._zone = "public"
        if self._zone is None:
            self._own.update(one["host"] for one in found)
        else:
            self._own.clear()

    def make_socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for an entry of getaddrinfo. Raises RefusedError where its address must not be connected to."""
        family, kind, proto, _, target = info
        address = str(target[0])
        zone = zone_of(address)
        if not self._permits(zone) and (address, target[1]) not in {(one, self._base.port) for one in self._own}:
            raise self._refused(
                URL.build(scheme=self._base.scheme, host=address.partition("%")[0]),
                f"a {zone} address",
                "check the name; what is not public is reached where the source itself is",
            )
        return socket.socket(family=family, type=kind, proto=proto)

    async def close(self) -> None:
        """As AbstractResolver.close."""
        if self._resolver is not None:
            await self._resolver.close()


class WayToProxy(AbstractResolver):
    """The resolver and sockets of requests through `proxy`, which may have any address: they lead to it alone, by its
    own port. Whatever goes another way is under Destinations' rule."""

    def __init__(self, proxy: URL, resolver: AbstractResolver | None = None) -> None:
        self._host, self._port, self._resolver = proxy.raw_host or "", proxy.port, resolver
        self._addresses = {self._host}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The proxy's addresses. Raises OSError, and RefusedError for another name."""
        if host != self._host:
            raise self._refused(host)
        if self._resolver is None:
            self._resolver = aiohttp.ThreadedResolver()
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError:  # as in Destinations.resolve
            raise self._refused(host, "no such proxy can be asked for") from None
        self._addresses |= {one["host"] for one in found}
        return found

    def make_socket(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for an entry of getaddrinfo. Raises RefusedError where that is not the proxy's."""
        family, kind, proto, _, target = info
        if target[0] not in self._addresses or target[1] != self._port:
            raise self._refused(str(target[0]))
        return socket.socket(family=family, type=kind, proto=proto)

    def _refused(self, host: str, what: str = "not the proxy") -> RefusedError:
        return RefusedError(
            what, thing=f"{self._host} -> {host}"[:200],
            remedy="check `proxy` in config.toml, or HTTPS_PROXY of the station's service",
        )  # fmt: skip

    async def close(self) -> None:
        """As AbstractResolver.close."""
        if self._resolver is not None:
            await self._resolver.close()


def _proxy() -> URL | None:
    """The environment's proxy for HTTPS."""
    text = urllib.request.getproxies().get("https", "")
    return URL(text if "://" in text else f"http://{text}") if text else None
