"""One registry host over aiohttp, shared by all references of a collect: its connections, its pace, and where it may
send its client. Redirects are followed here, each hop as appliance.outgoing.collect.destinations permits; what proves
an account goes to the registry alone, and no more once a redirect has left it. Its client certificate is shown to the
registry alone, and its authorities count for nobody else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from appliance.addresses import is_loopback
from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.challenges import Challenge
from appliance.outgoing.collect.destinations import Destinations, WayToProxy
from appliance.outgoing.collect.pace import Pace
from appliance.outgoing.collect.tasks import in_thread
from appliance.outgoing.collect.urls import joined
from appliance.tracing.context import DONE_FOR, HEADER
from bundles import limits
from bundles.errors import MalformedError, RefusedError
from bundles.io.display import some

TRANSIENT_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What may pass when it is tried again."""

TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of the same kind."""

REAL_HOSTS: Final = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Where a registry answers under another name than people give it."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Way:
    """What two repositories of a host must have in common to share connections."""

    host: str
    redirects: tuple[tuple[str, ...], ...]
    plain_http: bool
    proxy: str | None
    ssl: int
    """Which context it is."""

    @classmethod
    def of(cls, access: HostAccess, redirects: Sequence[tuple[str, ...]]) -> Way:
        """The way that an access describes."""
        return cls(access.host, tuple(redirects), access.plain_http, access.proxy, id(access.ssl))


class HostClient:
    """The connections to one host. `redirects`: lists of hosts; in each of them a host must be that the registry sends
    on to."""

    def __init__(self, access: HostAccess, redirects: Sequence[tuple[str, ...]], pace: Pace, trace: str = "") -> None:
        """`trace`: the place in a trace that the host is told where a task has none of its own (`DONE_FOR`), "" for
        none; no other host is told."""
        host = access.host
        address = URL(f"//{REAL_HOSTS.get(host, host)}").raw_host or ""
        plain = access.plain_http or (is_loopback(address) and access.ssl is None)
        self.pace = pace
        self.base = URL(f"{'http' if plain else 'https'}://{REAL_HOSTS.get(host, host)}/v2/")
        self._ssl, self._authorities = access.ssl, access.authorities
        self._trace = {HEADER: trace} if trace else {}
        self._contexts: dict[str, ssl.SSLContext | None] = {}
        self._destinations = Destinations(self.base, redirects, proxy=access.proxy)
        self._session: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None
        self.challenge: Challenge | None = None
        """What the host asked for last, so that the next repository need not be refused first."""
        self.first = asyncio.Lock()
        """Held by the first request of all: until it is answered nobody knows what the host asks for."""
        self.is_known = False

    async def close(self) -> None:
        """Let go of the connections."""
        for session in (self._session, self._proxied):
            if session is not None:
                await session.close()

    def is_source(self, url: URL) -> bool:
        """Whether a URL is of the registry's own origin."""
        return self._destinations.is_source(url)

    def join(self, url: URL, target: str) -> URL | None:
        """As urls.joined."""
        return joined(url, target)

    def keeps_secrets(self, realm: URL) -> bool:
        """Whether an account of this host may be shown to a realm that the host named: by HTTPS, where the host named
        it by HTTPS too; in plain text only to the host itself, or from loopback to loopback."""
        if self.base.scheme == "https":
            return realm.scheme == "https"
        own, other = self.base.raw_host or "", realm.raw_host or ""
        return own == other or (is_loopback(own) and is_loopback(other))

    async def follow(
        self, method: str, url: URL, headers: Mapping[str, str], authorization: str = "", *, realm: bool = False
    ) -> aiohttp.ClientResponse:
        """An answer behind its redirects (RFC 9110, section 15.4). `url` is of the registry's origin, or, with `realm`,
        one that the registry named. `authorization` goes to the registry alone, or, with `realm`, to `url` alone; it is
        not sent again once a redirect has led elsewhere.

        Raises RefusedError for a URL or a redirect that must not be followed, FailedError as Pace.turn, one of
        TRANSIENT_ERRORS.
        """
        self._require_first(url, realm=realm)
        start = url
        at_home = True
        for _ in range(collecting_limits.REMOTE_REDIRECTS + 1):
            at_home = at_home and (url == start if realm else self.is_source(url))
            sent = {**headers, "Authorization": authorization} if authorization and at_home else headers
            answer = await self._ask(method, url, sent)
            if answer.status not in _REDIRECTS:
                return answer
            answer.release()
            url = self._sent_on(url, answer.headers.get("Location", ""))
        raise RefusedError(
            "the registry sends on and on",
            thing=f"{self.base.raw_host} -> {url.raw_host}"[:200],
            remedy=f"at most {some(collecting_limits.REMOTE_REDIRECTS, 'redirect is', 'redirects are')} followed",
        )

    async def post(self, url: URL, form: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The answer to a form at a realm, wherever it leads: a form with a secret is sent on to nobody. Raises as
        `follow`."""
        self._require_first(url, realm=True)
        return await self._ask("POST", url, {}, form=form)

    def _require_first(self, url: URL, *, realm: bool) -> None:
        """Raises RefusedError where a request must not begin at `url`."""
        if realm:
            self._destinations.check(url, self.base)
        elif not self.is_source(url):
            raise RefusedError(
                "the registry is asked at its own address alone", thing=f"{self.base.raw_host} -> {url.raw_host}"[:200],
                remedy="ask its administrator",
            )  # fmt: skip

    async def _ask(
        self, method: str, url: URL, headers: Mapping[str, str], *, form: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """One answer. TLS is that of the URL's own host: of the registry its authorities and its client certificate,
        of another host its authorities alone."""
        is_source = self.is_source(url)
        context = self._ssl if is_source else await self._context(url)
        if is_source:
            trace = DONE_FOR.get()
            headers = {**headers, **({HEADER: trace} if trace else self._trace)}
        proxy = self._destinations.proxy_of(url)
        await self.pace.turn(f"{url.raw_host}{url.raw_path}"[:200])
        connections = self._connections() if proxy is None else self._by_proxy(proxy)
        async with asyncio.timeout(collecting_limits.REMOTE_ANSWER):
            answer = await connections.request(
                method, url, headers=headers, data=form, allow_redirects=False, proxy=proxy, ssl=context or True
            )
        if proxy is None:
            self._destinations.answered(url)
        self.pace.heard(answer.headers)
        return answer

    async def _context(self, url: URL) -> ssl.SSLContext | None:
        """The authorities that count for another host; None for those of the machine. Raises FailedError."""
        host = url.host_port_subcomponent or ""
        if host not in self._contexts:
            self._contexts[host] = await in_thread(self._authorities, host) if url.scheme == "https" else None
        return self._contexts[host]

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _session(self._destinations)
        return self._session

    def _by_proxy(self, proxy: URL) -> aiohttp.ClientSession:
        """The connections to the proxy. The others have no part in its exemption."""
        if self._proxied is None:
            self._proxied = _session(WayToProxy(proxy))
        return self._proxied

    def _sent_on(self, url: URL, location: str) -> URL:
        """Where a redirect leads. Raises RefusedError where it must not be followed."""
        target = joined(url, location) if location else None
        if target is None:
            raise RefusedError(
                "the registry sends on to no address", thing=f"{self.base.raw_host} -> {location!r}"[:200],
                remedy="ask its administrator",
            )  # fmt: skip
        self._destinations.check(target, url)
        return target


class Hosts:
    """The clients of one collect, one a host and way to it. `back_off` and `say` as Pace's, `trace` as HostClient's;
    without a `back_off` it is limits.REMOTE_BACK_OFF."""

    def __init__(
        self, back_off: float | None = None, say: Callable[[str], object] = lambda _: None, trace: str = ""
    ) -> None:
        self._back_off = collecting_limits.REMOTE_BACK_OFF if back_off is None else back_off
        self._say, self._trace = say, trace
        self._paces: dict[str, Pace] = {}
        self._clients: dict[Way, HostClient] = {}

    def client(self, access: HostAccess, redirects: Sequence[tuple[str, ...]]) -> HostClient:
        """The client for an access, made at its first use. Its host's pace is everybody's, whatever the way."""
        way = Way.of(access, redirects)
        if way not in self._clients:
            fresh = Pace(access.host, self._back_off, self._say, access.concurrency)
            pace = self._paces.setdefault(access.host.lower(), fresh)
            self._clients[way] = HostClient(access, redirects, pace, self._trace)
        return self._clients[way]

    def rest(self, host: str) -> float | None:
        """As Pace.rest, of a host that was asked."""
        pace = self._paces.get(host.lower())
        return None if pace is None else pace.rest

    async def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients.values():
            await client.close()


def _session(way: Destinations | WayToProxy) -> aiohttp.ClientSession:
    """Connections that resolve names and make sockets as `way` permits."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=collecting_limits.REMOTE_CONNECT, sock_read=collecting_limits.REMOTE_IDLE
        ),
        auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(resolver=way, socket_factory=way.make_socket),
        headers={"Accept-Encoding": "identity"}, read_bufsize=limits.CHUNK,
    )  # fmt: skip


async def read_capped(answer: aiohttp.ClientResponse, ceiling: int, what: str) -> bytes:
    """A small answer's body. Raises MalformedError beyond `ceiling` bytes, one of TRANSIENT_ERRORS."""
    raw = bytearray()
    async with asyncio.timeout(collecting_limits.REMOTE_DOCUMENT):
        while chunk := await answer.content.read(limits.CHUNK):
            raw += chunk
            if len(raw) > ceiling:
                raise MalformedError(
                    "the registry's answer is too large", thing=what, remedy=f"at most {ceiling} bytes"
                )
    return bytes(raw)
