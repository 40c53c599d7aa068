"""The pull half of the distribution API over aiohttp: retries with back-off, anonymous tokens, capped answers.

Plain HTTP on loopback, HTTPS elsewhere; there the environment's proxy is used. Redirects are followed here, each hop
as appliance.outgoing.collect.destinations permits, without the token where they leave the registry. Nothing here is
trusted: whoever asks checks digests and sizes.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from appliance import clock
from appliance import limits as station_limits
from appliance.addresses import is_loopback
from appliance.outgoing.collect.destinations import Destinations
from appliance.outgoing.collect.next_page import next_page
from appliance.outgoing.collect.rate_limit import delay_of, limited
from bundles import limits
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.manifest import MANIFEST_TYPES

TRANSIENT_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What may pass when it is tried again."""

_TIMEOUT: Final = aiohttp.ClientTimeout(
    total=None, sock_connect=station_limits.REMOTE_CONNECT, sock_read=station_limits.REMOTE_IDLE
)
_PRINTABLE: Final = re.compile(r"[!-~]*\Z")
_CHALLENGE: Final = re.compile(r'(realm|service|scope)="([^"]*)"')
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ACCEPT: Final = ", ".join(sorted(MANIFEST_TYPES))
_REAL_HOSTS: Final = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Where a registry answers under another name than people give it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A small answer: its bytes, its media type without parameters, and the path of the next page, or ""."""

    raw: bytes
    media_type: str
    next: str


class Transfer:
    """A blob on its way; `read` gives it in chunks."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def skip(self, count: int) -> None:
        """Throw away the next `count` bytes."""
        while count > 0 and (chunk := await self._answer.content.read(min(count, limits.CHUNK))):
            count -= len(chunk)

    async def read(self) -> bytes:
        """The next bytes, as many as are wanted at once; b"" at the end. Raises one of TRANSIENT_ERRORS."""
        chunk = bytearray()
        while len(chunk) < limits.CHUNK:
            try:
                piece = await self._answer.content.read(limits.CHUNK - len(chunk))
            except TRANSIENT_ERRORS:
                if chunk:
                    break  # what came is good; the stream raises it again at the next read
                raise
            if not piece:
                break
            chunk += piece
        return bytes(chunk)

    def close(self) -> None:
        self._answer.close()


class RegistryClient:
    """One repository of one registry. `back_off` is the seconds before the first retry; it doubles at each.
    `redirects`: lists of hosts; in each of them a host must be that the registry sends on to."""

    def __init__(
        self, host: str, repository: str, back_off: float = 0.5, redirects: Sequence[tuple[str, ...]] = ()
    ) -> None:
        self.host = host
        self._repository = repository
        self._back_off = back_off
        self._loopback = is_loopback(urlsplit(f"//{host}").hostname or "")
        scheme = "http" if self._loopback else "https"
        self._base = f"{scheme}://{_REAL_HOSTS.get(host, host)}/v2/{self._name}"
        self._destinations = Destinations(URL(self._base), redirects)
        self._session: aiohttp.ClientSession | None = None
        self._token = ""

    @property
    def _name(self) -> str:
        """The repository as the registry knows it: Docker's own images are in `library/`."""
        alone = self.host in _REAL_HOSTS and "/" not in self._repository
        return f"library/{self._repository}" if alone else self._repository

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def document(self, path: str) -> Document:
        """A manifest or a list at `path` below the repository (or a `next` path), at most 4 MiB.

        Raises NotFoundError, FailedError, MalformedError.
        """

        failures = 0
        while True:
            try:
                async with await self.open(path, {"Accept": _ACCEPT}) as answer:
                    raw = await _read_capped(answer, limits.OCI_MANIFEST, path)
                    return Document(raw, answer.content_type, self._next_page(answer))
            except TRANSIENT_ERRORS as error:
                failures += 1
                await self.pause(path, failures, error)

    async def transfer(self, path: str, start: int) -> Transfer:
        """A blob's bytes from `start` on; where the registry knows no ranges (RFC 9110), the first are thrown away."""
        answer = await self.open(path, {"Range": f"bytes={start}-"} if start else {})
        transfer = Transfer(answer)
        await transfer.skip(start if answer.status == 200 else 0)
        return transfer

    async def pause(self, path: str, failures: int, error: Exception) -> None:
        """Wait before the next attempt. Raises FailedError after the last one, or where another would not help."""
        last = failures >= station_limits.REMOTE_ATTEMPTS
        wait = self._back_off * 2 ** (failures - 1)
        if isinstance(error, aiohttp.ClientResponseError) and error.status == 429:
            delay = delay_of(
                error.headers["Retry-After"] if error.headers and "Retry-After" in error.headers else "",
                clock.seconds(clock.now()),
            )
            if last or (delay or 0) > station_limits.REMOTE_RETRY_WAIT:
                raise limited(self._where(path), delay) from None
            wait = max(wait, delay or 0)
        if last or isinstance(error, aiohttp.ClientSSLError):
            raise self._unreachable(path, error) from None
        await asyncio.sleep(wait)

    def _unreachable(self, path: str, error: Exception) -> FailedError:
        if isinstance(error, aiohttp.ClientSSLError):
            reason, remedy = "its certificate is not trusted", "add its authority to this machine's certificates"
        elif isinstance(error, aiohttp.ClientConnectorError):
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or str(error)
            remedy = "check the name and the network, then run it again: what was fetched is kept"
        else:
            reason = getattr(error, "message", "") or str(error) or type(error).__name__
            remedy = "check the network, then run it again: what was fetched is kept"
        return FailedError(f"the registry cannot be reached ({reason[:160]})", thing=self._where(path), remedy=remedy)

    async def open(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """An answer of status 200 or 206, to be closed by the caller.

        Raises NotFoundError, FailedError for a refusal that stays; one of TRANSIENT_ERRORS for one that may pass.
        """
        answer = await self._get(path, headers)
        if answer.status == 401 and self._destinations.is_source(answer.url):
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._token = await self._fetch_token(challenge)
            answer = await self._get(path, headers)
        if answer.status in (200, 206):
            return answer
        answer.close()
        if answer.status in _TRANSIENT:
            raise aiohttp.ClientResponseError(
                answer.request_info, (), status=answer.status, message=f"it answered {answer.status}",
                headers=answer.headers,
            )  # fmt: skip
        if answer.status in (401, 403):
            raise self._account_wanted(path)
        if 400 <= answer.status < 500:
            raise NotFoundError("the registry has no such thing", thing=self._where(path), remedy="check the reference")
        raise FailedError(f"the registry answered {answer.status}", thing=self._where(path), remedy="try again later")

    async def _get(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        return await self._follow(URL(urljoin(f"{self._base}/", path)), headers)

    async def _follow(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """A GET's answer behind its redirects (RFC 9110, section 15.4). The token goes to the registry alone, and
        no more once a redirect has left it.

        Raises RefusedError for a redirect that must not be followed, one of TRANSIENT_ERRORS.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(
                    resolver=self._destinations, socket_factory=self._destinations.make_socket
                ),
                headers={"Accept-Encoding": "identity"}, read_bufsize=limits.CHUNK,
            )  # fmt: skip
        at_home = True
        for _ in range(station_limits.REMOTE_REDIRECTS + 1):
            at_home = at_home and self._destinations.is_source(url)
            sent = {**headers, "Authorization": f"Bearer {self._token}"} if self._token and at_home else headers
            proxy = self._destinations.proxy_of(url)
            answer = await self._session.get(url, headers=sent, allow_redirects=False, proxy=proxy)
            if answer.status not in _REDIRECTS:
                return answer
            answer.close()
            url = self._sent_on(url, answer.headers.get("Location", ""))
        raise RefusedError(
            "the registry sends on and on",
            thing=f"{self.host} -> {url.raw_host}"[:200],
            remedy=f"at most {some(station_limits.REMOTE_REDIRECTS, 'redirect is', 'redirects are')} followed",
        )

    def _sent_on(self, url: URL, location: str) -> URL:
        """Where a redirect leads. Raises RefusedError where it must not be followed."""
        target = _joined(url, location) if location else None
        if target is None:
            raise RefusedError(
                "the registry sends on to no address", thing=f"{self.host} -> {location!r}"[:200],
                remedy="ask its administrator",
            )  # fmt: skip
        self._destinations.check(target, url)
        return target

    async def _fetch_token(self, challenge: str) -> str:
        """An anonymous token (distribution token specification). The realm gets no credentials: there are none, and the
        token before this one is the registry's alone."""
        fields = challenge_fields(challenge)
        realm = _joined(URL(self._base), fields.get("realm", ""))
        if not challenge.lower().startswith("bearer ") or realm is None or not fields.get("realm"):
            raise self._account_wanted("")
        self._destinations.check(realm, URL(self._base))
        self._token = ""
        query = {"scope": f"repository:{self._name}:pull"} | {
            key: fields[key] for key in ("service", "scope") if key in fields
        }
        async with await self._follow(realm.update_query(query), {}) as answer:
            if answer.status in _TRANSIENT:
                raise aiohttp.ClientResponseError(
                    answer.request_info, (), status=answer.status, message="its token service is not ready",
                    headers=answer.headers,
                )  # fmt: skip
            if answer.status != 200:
                raise self._account_wanted("")
            raw = await _read_capped(answer, limits.MIB, "token")
        document: Any = strict_json.loads(
            raw, ceiling=limits.MIB, nodes=station_limits.REMOTE_TOKEN_NODES, what="token", floats=True
        )
        token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._account_wanted("")
        return token

    def _account_wanted(self, path: str) -> FailedError:
        return FailedError(
            "the registry wants an account",
            thing=self._where(path),
            remedy="copy it into an OCI layout with skopeo, and collect that",
        )

    def _next_page(self, answer: aiohttp.ClientResponse) -> str:
        """The path of the next page (RFC 8288, rel="next"); "" at the end. Raises RefusedError for one that is not of
        this registry: a list without its rest would be taken for whole."""
        link = next_page(", ".join(answer.headers.getall("Link", ())))
        if not link:
            return ""
        target = _joined(answer.url, link)
        if target is None or not self._destinations.is_source(target) or not self._destinations.is_source(answer.url):
            raise RefusedError(
                "the registry's next page is at another host",
                thing=f"{self.host} -> {link if target is None else target.raw_host!r}"[:200],
                remedy="copy it into an OCI layout with skopeo, and collect that",
            )
        return target.raw_path_qs

    def _where(self, path: str) -> str:
        return f"{self.host}/{self._repository}/{path}".rstrip("/")


async def _read_capped(answer: aiohttp.ClientResponse, ceiling: int, what: str) -> bytes:
    raw = bytearray()
    while chunk := await answer.content.read(limits.CHUNK):
        raw += chunk
        if len(raw) > ceiling:
            raise MalformedError("the registry's answer is too large", thing=what, remedy=f"at most {ceiling} bytes")
    return bytes(raw)


def challenge_fields(challenge: str) -> dict[str, str]:
    """The quoted fields of a WWW-Authenticate header that a token is asked for with (RFC 7235, section 4.1)."""
    return dict(_CHALLENGE.findall(challenge))


def _joined(url: URL, target: str) -> URL | None:
    """A reference resolved against the URL it came from (RFC 3986, section 5), without a fragment; None for none.

    The host is normalised. Path and query stay as they are written: a signed URL holds for its very characters.
    """
    try:
        found = url.join(URL(target)).with_fragment(None)
        if not found.raw_host:
            return None
        if not _PRINTABLE.match(target):
            return found
        exact = url.join(URL(target, encoded=True))
        return URL.build(
            scheme=found.scheme, authority=found.raw_authority, path=exact.raw_path,
            query_string=exact.raw_query_string, encoded=True,
        )  # fmt: skip
    except ValueError:
        return None
