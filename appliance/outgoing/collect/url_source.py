"""A file at a URL as a source: an artifact of the file's bytes, which have the sha256 that was given with the URL.

It is fetched as a blob of a registry is: by the same rules for redirects and addresses, capped, and resumed where it
broke off. No account is shown: whoever names a URL names nobody's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

import aiohttp
from yarl import URL

from appliance.file_url import check_file_url
from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import Accesses, HostAccess
from appliance.outgoing.collect.evidence import Evidence
from appliance.outgoing.collect.host_client import TRANSIENT_ERRORS, HostClient, Hosts
from appliance.outgoing.collect.registry_client import NoHeadError, RegistryClient, sent_range
from appliance.outgoing.collect.remote import Narrowed, RemoteSource
from appliance.outgoing.collect.sources import Root, file_manifest
from appliance.outgoing.collect.tasks import in_thread
from appliance.outgoing.collect.transfer import Sink, transfer
from appliance.outgoing.collect.urls import joined
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError, UsageError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import EMPTY_JSON, OCI_MANIFEST
from bundles.oci.reference import Reference, RemoteReference

_MODE: Final = 0o644


def check_url(text: str) -> URL:
    """The URL of a file, its path as it is written. Raises UsageError as `check_file_url`, and for a host that cannot
    be asked for."""
    check_file_url(text)
    try:
        exact = joined(URL(text, encoded=True), text)
    except ValueError:
        exact = None
    if exact is None:
        raise UsageError("not the URL of a file", thing=repr(text[:200]), remedy="check its host and port")
    return exact


class UrlSource(RemoteSource):
    """A file at `url` whose bytes have the digest `wanted`. For one event loop."""

    def __init__(
        self, url: str, wanted: Digest, as_: Reference, hosts: Hosts, *, accesses: Accesses, narrowed: Narrowed
    ) -> None:
        """Raises UsageError as `check_url`."""
        self._url, self._wanted = check_url(url), wanted
        self._place_of = self._url.host_port_subcomponent or ""
        super().__init__(RemoteReference(self._place_of, as_), as_, hosts, accesses=accesses, narrowed=narrowed)
        self._small: dict[Digest, bytes] = {}
        self._client: _FileClient | None = None

    async def roots(self) -> AsyncIterator[Root]:
        """What is to be taken: one artifact, as `collect file:PATH` makes it. Raises a LockgateError that names the
        URL."""
        try:
            size = await (await self._server()).length()
        except (FailedError, NotFoundError) as error:
            raise _of_a_server(error) from None
        title = (
            unquote(PurePosixPath(self._url.raw_path).name) or self._reference.reference.repository.rpartition("/")[2]
        )
        raw = file_manifest(title, _MODE, self._wanted, size)
        self._small = {Digest.of(raw): raw, Digest.of(EMPTY_JSON): EMPTY_JSON}
        yield Root(Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw)), self._reference.reference)

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """As RemoteSource.manifest."""
        return self._small[descriptor.digest]

    async def fetch(self, blob: Descriptor, sink: Sink, advance: Callable[[int], object]) -> None:
        """As RemoteSource.fetch."""
        if blob.digest in self._small:
            await sink.write([self._small[blob.digest]])
            advance(blob.size)
            return
        try:
            await transfer(await self._server(), blob, sink, advance)
        except (FailedError, NotFoundError) as error:
            raise _of_a_server(error) from None

    async def evidence(self, digest: Digest) -> Evidence:
        """As RemoteSource.evidence: nothing speaks about a file."""
        return Evidence()

    async def _server(self) -> _FileClient:
        if self._client is None:
            found = await in_thread(self._accesses.for_repository, self._place_of, "")
            access = dataclasses.replace(found, user=None, secret=None, identity_token=None)
            host = self._hosts.client(access, self._narrowed(self._place_of))
            if host.base.scheme != self._url.scheme:
                raise RefusedError(
                    "a file is not fetched by plain HTTP" if self._url.scheme == "http" else "this host speaks HTTP",
                    thing=_shown(self._url),
                    remedy=f'write {host.base.scheme}://…, or set plain_http in [upstreams."{self._place_of}"]',
                )
            self._client = _FileClient(host, self._url, access)
        return self._client


class _FileClient(RegistryClient):
    """A server's file, asked for as a registry's blob is."""

    def __init__(self, host: HostClient, url: URL, access: HostAccess) -> None:
        super().__init__(host, "", access)
        self._url = url

    def where(self, path: str) -> str:
        """What is named in errors: the URL without its query, which may hold what is nobody's to see."""
        return _shown(self._url)

    async def blob(self, digest: Digest, start: int) -> aiohttp.ClientResponse:
        """As RegistryClient.blob."""
        return await self.open(str(self._url), {"Range": f"bytes={start}-"} if start else {})

    async def length(self) -> int:
        """The file's bytes, as the server says. Raises RefusedError where it does not, or says too many."""
        failures = 0
        while True:
            try:
                size = await self._said_length()
                break
            except TRANSIENT_ERRORS as error:
                failures += 1
                await self.pause("", failures, error)
        if size is None:
            raise RefusedError(
                "the server does not say how long the file is", thing=_shown(self._url),
                remedy="fetch it by other means, and collect it with file:PATH",
            )  # fmt: skip
        if size > collecting_limits.URL_FILE:
            raise RefusedError(
                "the file is too large", thing=f"{_shown(self._url)} ({size} bytes)",
                remedy=f"at most {collecting_limits.URL_FILE} bytes",
            )  # fmt: skip
        return size

    async def _said_length(self) -> int | None:
        async with self.host.pace.slots:
            try:
                async with await self.open(str(self._url), {}, "HEAD") as answer:
                    if answer.content_length is not None:
                        return answer.content_length
            except NoHeadError:
                pass
            async with await self.open(str(self._url), {"Range": "bytes=0-0"}) as answer:
                return sent_range(answer)[1] if answer.status == 206 else answer.content_length


def _shown(url: URL) -> str:
    return str(url.with_query(None))[:300]


def _of_a_server(error: FailedError | NotFoundError) -> LockgateError:
    """The same error of what is no registry."""
    if error.code == "account-wanted":
        return FailedError(
            "the server wants an account", thing=error.thing,
            remedy="fetch the file by other means, and collect it with file:PATH",
        )  # fmt: skip
    what = error.what.replace("the registry", "the server", 1)
    return type(error)(what, thing=error.thing, remedy=error.remedy, code=error.code)
