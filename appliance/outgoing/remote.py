"""A remote registry as a source: a pull client of the distribution API, streaming, with resume and anonymous tokens."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

from appliance.config import is_loopback
from appliance.outgoing.sources import Root
from bundles import limits, strict_json
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, OCI_INDEX, parse_manifest
from bundles.oci.reference import Reference, RemoteReference

_ATTEMPTS: Final = 5
_BACK_OFF: Final = 0.5
"""Seconds before the first retry; doubled at each."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=20.0, sock_read=60.0)
_CHALLENGE: Final = re.compile(r'(realm|service|scope)="([^"]*)"')


class RemoteSource:
    """An artifact at another registry, with all its platforms and referrers. Plain HTTP on loopback, else HTTPS."""

    def __init__(self, reference: RemoteReference, as_: Reference | None) -> None:
        self._reference = reference
        self._repository = reference.reference.repository
        self._as = as_
        host = reference.host.rsplit(":", 1)[0].strip("[]")
        self._base = f"{'http' if is_loopback(host) else 'https'}://{reference.host}/v2/{self._repository}"
        self._runner = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None

    def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            self._runner.run(self._session.close())
        self._runner.close()

    def roots(self) -> list[Root]:
        """As Source.roots."""
        wanted = self._reference.reference
        raw, media_type = self._run(self._manifest(str(wanted.digest or wanted.tag)))
        algorithm = wanted.digest.algorithm if wanted.digest else "sha256"
        digest = Digest.of(raw, algorithm)
        if wanted.digest is not None and wanted.digest != digest:
            raise RefusedError("the registry sent another manifest", thing=str(self._reference))
        return [Root(Descriptor(media_type, digest, len(raw)), self._as or wanted)]

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        raw: bytes = self._run(self._manifest(str(descriptor.digest)))[0]
        if Digest.of(raw, descriptor.digest.algorithm) != descriptor.digest or len(raw) != descriptor.size:
            raise RefusedError("the registry sent another manifest", thing=str(descriptor.digest))
        return raw

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob. A broken transfer goes on where it was (Range), with back-off."""
        done, attempt = 0, 0
        while done < descriptor.size:
            answer: aiohttp.ClientResponse | None = None
            try:
                headers = {"Range": f"bytes={done}-"} if done else {}
                answer = self._run(self._get(f"/blobs/{descriptor.digest}", headers))
                if done and answer.status != 206:
                    raise FailedError(
                        "the registry cannot go on with a blob", thing=str(descriptor.digest), remedy="try again"
                    )
                while chunk := self._run(answer.content.read(limits.CHUNK)):
                    done += len(chunk)
                    yield chunk
                attempt = 0
                if done < descriptor.size and answer.status == 200:
                    raise aiohttp.ClientPayloadError("short")
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                attempt += 1
                self._pause(attempt, error)
            finally:
                if answer is not None:
                    answer.close()

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers: the API, else the fallback tag (distribution specification, Listing Referrers)."""
        for path in (f"/referrers/{digest}", f"/manifests/{digest.algorithm}-{digest.hex}"):
            try:
                raw, media_type = self._run(self._document(path))
            except NotFoundError:
                continue
            if media_type != OCI_INDEX:
                continue
            return list(parse_manifest(raw, OCI_INDEX).manifests)
        return []

    def _run(self, work: Any) -> Any:
        return self._runner.run(work)

    async def _manifest(self, reference: str) -> tuple[bytes, str]:
        raw, media_type = await self._document(f"/manifests/{reference}")
        if media_type not in MANIFEST_TYPES:
            media_type = parse_manifest(raw).media_type
        return raw, media_type

    async def _document(self, path: str) -> tuple[bytes, str]:
        attempt = 0
        while True:
            try:
                async with await self._get(path, {"Accept": ", ".join(sorted(MANIFEST_TYPES))}) as answer:
                    raw = await answer.content.read(limits.OCI_MANIFEST + 1)
                    while len(raw) <= limits.OCI_MANIFEST and (more := await answer.content.read(limits.CHUNK)):
                        raw += more
                    if len(raw) > limits.OCI_MANIFEST:
                        raise MalformedError("a manifest is too large", thing=path, remedy="the ceiling is 4 MiB")
                    return raw, answer.content_type
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                attempt += 1
                self._pause(attempt, error)

    async def _get(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False)
        for _ in range(2):
            sent = {**headers, **({"Authorization": f"Bearer {self._token}"} if self._token else {})}
            answer = await self._session.get(self._base + path, headers=sent)
            if answer.status != 401:
                break
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._token = await self._fetch_token(challenge)
        if answer.status in (200, 206):
            return answer
        answer.close()
        where = f"{self._reference.host}/{self._repository}{path}"
        if answer.status == 404:
            raise NotFoundError("the registry has no such thing", thing=where, remedy="check the reference")
        if answer.status in (401, 403):
            raise FailedError(
                "the registry refuses", thing=where, remedy="it wants an account; pull it with skopeo instead"
            )
        raise FailedError(f"the registry answered {answer.status}", thing=where, remedy="try again later")

    async def _fetch_token(self, challenge: str) -> str:
        """An anonymous token (distribution token specification)."""
        fields = dict(_CHALLENGE.findall(challenge))
        if not challenge.lower().startswith("bearer") or "realm" not in fields or self._session is None:
            raise FailedError("the registry wants an account", thing=self._reference.host, remedy="pull it with skopeo")
        query = {key: fields[key] for key in ("service", "scope") if key in fields}
        query.setdefault("scope", f"repository:{self._repository}:pull")
        async with self._session.get(fields["realm"], params=query) as answer:
            document = strict_json.loads(await answer.read(), ceiling=limits.MIB, what="token", floats=True)
        token = document.get("token") or document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str):
            raise FailedError("the registry gave no token", thing=self._reference.host, remedy="pull it with skopeo")
        return token

    def _pause(self, attempt: int, error: BaseException) -> None:
        if attempt >= _ATTEMPTS:
            raise FailedError(
                f"the registry cannot be reached ({error or type(error).__name__})",
                thing=str(self._reference),
                remedy="check the network, then run it again: what was fetched is kept",
            ) from None
        time.sleep(_BACK_OFF * 2 ** (attempt - 1))
