"""The pull half of the distribution API for one repository: retries with back-off, tokens and passwords, capped
answers. Nothing here is trusted: whoever asks checks digests and sizes.

Plain HTTP on loopback and for hosts that were named so, HTTPS elsewhere.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import HostAccess
from appliance.outgoing.collect.challenges import Challenge, basic, choose, token_in
from appliance.outgoing.collect.host_client import (
    REAL_HOSTS,
    TRANSIENT,
    TRANSIENT_ERRORS,
    HostClient,
    read_capped,
)
from appliance.outgoing.collect.next_page import next_page
from appliance.outgoing.collect.pace import said_by
from bundles import limits
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES

_ACCEPT: Final = ", ".join(sorted(MANIFEST_TYPES))
_CLIENT: Final = "lockgate"
"""What a token service is told of who asks."""

_AUTHORITY: Final = 'name its authority: ca in [upstreams."HOST"] of config.toml, or in this machine\'s certificates'

_SENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\Z")


@dataclass(frozen=True, slots=True)
class Document:
    """A small answer: its bytes, its media type without parameters, and the whole URL of the next page, or ""."""

    raw: bytes
    media_type: str
    next: str


@dataclass(frozen=True, slots=True)
class Head:
    """What a HEAD says of a manifest: its type, digest, and size in bytes, or -1 where it does not say."""

    media_type: str
    digest: Digest
    size: int


class RegistryClient:
    """One repository of one registry, with the account for it; with the name "" the registry itself (its catalog)."""

    def __init__(self, host: HostClient, repository: str, access: HostAccess) -> None:
        self.host = host
        self._access, self._repository = access, repository
        alone = access.host in REAL_HOSTS and "/" not in repository
        self._name = f"library/{repository}" if alone else repository  # where Docker's own images are
        self._base = host.base.join(URL(f"{self._name}/")) if self._name else host.base
        self._scope = f"repository:{self._name}:pull" if self._name else "registry:catalog:*"
        self.lists_referrers = True
        """Whether there is a referrers API, as far as is known: a registry without one answers 404."""
        self._authorization = ""
        self._turn = asyncio.Lock()

    async def document(self, path: str) -> Document:
        """A manifest or a list at `path` below the repository (or at a `next` URL), at most 4 MiB.

        Raises NotFoundError, FailedError, MalformedError.
        """
        failures = 0
        while True:
            try:
                async with self.host.pace.slots, await self.open(path, {"Accept": _ACCEPT}) as answer:
                    raw = await read_capped(answer, limits.OCI_MANIFEST, self.where(path))
                    return Document(raw, answer.content_type, self._next_page(answer))
            except TRANSIENT_ERRORS as error:
                failures += 1
                await self.pause(path, failures, error)

    async def head(self, reference: str) -> Head | None:
        """What the manifest at a tag or digest is (HEAD; distribution specification, Checking if content exists). None
        where the answer does not say, or where the registry knows no HEAD. Raises NotFoundError, FailedError."""
        path = f"manifests/{reference}"
        failures = 0
        while True:
            try:
                async with self.host.pace.slots, await self.open(path, {"Accept": _ACCEPT}, "HEAD") as answer:
                    return _said(answer)
            except NoHeadError:
                return None
            except TRANSIENT_ERRORS as error:
                failures += 1
                await self.pause(path, failures, error)

    async def blob_size(self, digest: Digest) -> int:
        """How many bytes a blob has, by a HEAD (distribution specification, Checking if content exists). Raises
        NotFoundError, FailedError also where the registry does not say."""
        path, failures = f"blobs/{digest}", 0
        while True:
            try:
                async with self.host.pace.slots, await self.open(path, {}, "HEAD") as answer:
                    length = answer.headers.get("Content-Length", "")
                break
            except NoHeadError:
                length = ""
                break
            except TRANSIENT_ERRORS as error:
                failures += 1
                await self.pause(path, failures, error)
        if not (length.isascii() and length.isdigit() and len(length) <= 15):
            raise FailedError(
                "the registry does not say how large a blob is", thing=self.where(path), remedy="ask its administrator"
            )
        return int(length)

    async def blob(self, digest: Digest, start: int) -> aiohttp.ClientResponse:
        """The answer that carries a blob's bytes from `start` on, or all of them where its status is 200 (RFC 9110,
        Range). To be closed by the caller, who holds a slot. Raises NoRangeError, and as `open`."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        return await self.open(f"blobs/{digest}", headers)

    async def pause(self, path: str, failures: int, error: Exception) -> None:
        """Wait before the next attempt. Raises FailedError after the last one, or where another would not help."""
        is_limit = isinstance(error, aiohttp.ClientResponseError) and error.status == 429
        certificate = isinstance(error, aiohttp.ClientSSLError)
        if certificate or (failures >= collecting_limits.REMOTE_ATTEMPTS and not is_limit):
            self.host.pace.lost()
            raise self._unreachable(path, error) from None
        await self.host.pace.pause(self.where(path), failures, error)

    def _unreachable(self, path: str, error: Exception) -> FailedError:
        remedy = "check the network, then run it again: what was fetched is kept"
        if isinstance(error, aiohttp.ClientSSLError):
            remedy = _AUTHORITY
        elif isinstance(error, aiohttp.ClientConnectorError):
            remedy = "check the name and the network, then run it again: what was fetched is kept"
        return FailedError(f"the registry cannot be reached ({said_by(error)})", thing=self.where(path), remedy=remedy)

    async def open(self, path: str, headers: dict[str, str], method: str = "GET") -> aiohttp.ClientResponse:
        """An answer of status 200 or 206, to be closed by the caller. `path` is below the repository, or a whole URL of
        the registry, which is taken as it is written.

        Raises RefusedError for a URL of another origin and as HostClient.follow, NotFoundError, FailedError for a
        refusal that stays; one of TRANSIENT_ERRORS for one that may pass.
        """
        url = URL(path if _is_whole(path) else f"{self._base}{path}", encoded=True)
        answer = await self._authorized(method, url, headers)
        if answer.status in (200, 206):
            return answer
        answer.release()
        if answer.status in TRANSIENT:
            raise aiohttp.ClientResponseError(
                answer.request_info, (), status=answer.status, message=f"it answered {answer.status}",
                headers=answer.headers,
            )  # fmt: skip
        if answer.status in (401, 403):
            raise self._account_wanted(path)
        if method == "HEAD" and answer.status in (400, 405, 406, 501):
            raise NoHeadError
        if answer.status == 416 and "Range" in headers:
            raise NoRangeError
        if answer.status == 400 and url.scheme == "http":
            raise FailedError(
                "the registry refused a request of plain HTTP", thing=self.where(path),
                remedy="where it speaks TLS, say so in config.toml: plain_http = false for its host (upstreams)",
            )  # fmt: skip
        if 400 <= answer.status < 500:
            raise NotFoundError("the registry has no such thing", thing=self.where(path), remedy="check the reference")
        raise FailedError(f"the registry answered {answer.status}", thing=self.where(path), remedy="try again later")

    async def _authorized(self, method: str, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer, asked for once more with what the registry wants where it wants something."""
        if not self.host.is_known:
            async with self.host.first:
                return await self._with_account(method, url, headers)
        return await self._with_account(method, url, headers)

    async def _with_account(self, method: str, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        hint = self.host.challenge
        if not self._authorization and hint is not None and (hint.scheme == "bearer" or basic(self._access)):
            await self._authenticate(hint, "", general=True)
        used = self._authorization
        answer = await self.host.follow(method, url, headers, used)
        if answer.status == 401 and self.host.is_source(answer.url):
            challenge = choose(answer.headers.getall("WWW-Authenticate", ()))
            answer.release()
            await self._authenticate(challenge, used)
            answer = await self.host.follow(method, url, headers, self._authorization)
        self.host.is_known = True
        return answer

    async def _authenticate(self, challenge: Challenge, used: str, *, general: bool = False) -> None:
        """Take what answers a challenge, unless somebody did so since `used` was refused. `general`: the challenge is
        another repository's. Raises FailedError where there is nothing to answer it with."""
        async with self._turn:
            if self._authorization != used:
                return
            if challenge.scheme == "bearer":
                scope = "" if general else challenge.scope
                self._authorization = ""
                token = await self._token(challenge, scope or self._scope)
                self._authorization = f"Bearer {token}"
            else:
                known = basic(self._access)
                if challenge.scheme != "basic" or not known or known == used:
                    raise self._account_wanted("")
                self._authorization = known
            self.host.challenge = challenge

    async def _token(self, challenge: Challenge, scope: str) -> str:
        """A token of the service that a challenge names (token authentication and OAuth2 of the distribution project).
        An account is shown to it only where HostClient.keeps_secrets says so."""
        realm = self.host.join(self._base, challenge.realm)
        if realm is None:
            raise RefusedError(
                "the registry names a token service without an address",
                thing=f"{self._access.host} -> {challenge.realm!r}"[:200], remedy="ask its administrator",
            )  # fmt: skip
        access, trusted = self._access, self.host.keeps_secrets(realm)
        service = {"service": challenge.service} if challenge.service else {}
        if access.identity_token and trusted:
            answer = await self.host.post(
                realm,
                {"grant_type": "refresh_token", **service, "scope": scope, "client_id": _CLIENT,
                 "refresh_token": access.identity_token},
            )  # fmt: skip
        else:
            password = basic(access) if trusted else ""
            account = {"account": access.user or ""} if password else {}
            url = realm.update_query({"scope": scope, **service, **account})
            answer = await self.host.follow("GET", url, {}, password, realm=True)
        async with answer:
            if answer.status in TRANSIENT:
                raise aiohttp.ClientResponseError(
                    answer.request_info, (), status=answer.status, message="its token service is not ready",
                    headers=answer.headers,
                )  # fmt: skip
            if answer.status != 200:
                raise self._account_wanted("")
            raw = await read_capped(answer, limits.MIB, "token")
        token = token_in(raw)
        if token is None:
            raise self._account_wanted("")
        return token

    def _account_wanted(self, path: str) -> FailedError:
        host = self._access.host
        if self._access.user or self._access.identity_token:
            name = self._access.user or "an identity token"
            return FailedError(
                f"the registry refuses the account {name[:80]}", thing=self.where(path),
                remedy=f"log in again (skopeo login {host}), and see whether it may pull there", code="account-refused",
            )  # fmt: skip
        return FailedError(
            "the registry wants an account",
            thing=self.where(path),
            remedy=f"log in there first: skopeo login {host}; or name a file of accounts with --authfile",
            code="account-wanted",
        )

    def _next_page(self, answer: aiohttp.ClientResponse) -> str:
        """The URL of the next page (RFC 8288, rel="next"); "" at the end. Raises RefusedError for one that is not of
        this registry: a list without its rest would be taken for whole."""
        link = next_page(", ".join(answer.headers.getall("Link", ())))
        if not link:
            return ""
        target = self.host.join(answer.url, link)
        if target is None or not self.host.is_source(target) or not self.host.is_source(answer.url):
            raise RefusedError(
                "the registry's next page is at another host",
                thing=f"{self._access.host} -> {link if target is None else target.raw_host!r}"[:200],
                remedy="copy it into an OCI layout with skopeo, and collect that",
            )
        return str(target)

    def where(self, path: str) -> str:
        """How a thing at this repository is named to people."""
        if _is_whole(path):
            return path.partition("?")[0][:300]
        name = f"{self._access.host}/{self._repository}"
        if (reference := path.removeprefix("manifests/")) != path:
            return f"{name}{'@' if ':' in reference else ':'}{reference}"
        return f"{name}/{path}".rstrip("/")


def _is_whole(path: str) -> bool:
    return path.startswith(("https://", "http://"))


class NoHeadError(Exception):
    """The registry answers no HEAD there."""


class NoRangeError(Exception):
    """The registry has no bytes from there on."""


def _said(answer: aiohttp.ClientResponse) -> Head | None:
    """What a HEAD's headers say, None where they lack a digest or a manifest's type."""
    try:
        digest = Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except MalformedError:
        return None
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isascii() and length.isdigit() and len(length) <= 12 else -1
    if digest.algorithm != "sha256" or answer.content_type not in MANIFEST_TYPES or size > limits.OCI_MANIFEST:
        return None
    return Head(answer.content_type, digest, size)


def sent_range(answer: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """Where the bytes of an answer of status 206 begin, and how many there are in all (None: it does not say). -1 where
    its Content-Range is none of bytes (RFC 9110, section 14.4)."""
    found = _SENT_RANGE.match(answer.headers.get("Content-Range", ""))
    if found is None:
        return -1, None
    return int(found[1]), None if found[3] == "*" else int(found[3])
