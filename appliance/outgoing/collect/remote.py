"""A remote registry as a source: everything at a reference, with its referrers, resumed where a transfer broke off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import aiohttp

from appliance import limits as station_limits
from appliance.outgoing.collect.registry_client import TRANSIENT_ERRORS, Document, RegistryClient, Transfer
from appliance.outgoing.collect.sources import Root, cosign_tags, fallback_tag
from bundles.errors import MalformedError, NotFoundError, RefusedError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, OCI_INDEX, parse_manifest
from bundles.oci.reference import Reference, RemoteReference, moved_tag

Answer = TypeVar("Answer")


class RemoteSource:
    """An artifact at another registry, with all its platforms. Blocking: its event loop runs inside each call."""

    def __init__(
        self,
        reference: RemoteReference,
        as_: Reference | None,
        back_off: float = 0.5,
        redirects: Sequence[tuple[str, ...]] = (),
    ) -> None:
        """`redirects`: as RegistryClient's."""
        self._reference = reference
        self._as = as_
        self._client = RegistryClient(reference.host, reference.reference.repository, back_off, redirects)
        self._runner = asyncio.Runner()
        self._asked: tuple[str, Document | None] = ("", None)

    def close(self) -> None:
        """Let go of the connections."""
        self._run(self._client.close())
        self._runner.close()

    def targets(self) -> list[Reference]:
        """As Source.targets."""
        return [self._as or self._reference.reference.named]

    def roots(self) -> list[Root]:
        """As Source.roots."""
        wanted = self._reference.reference
        found = self._find(str(wanted.digest or wanted.tag), wanted.digest)
        return [Root(found, self._as or wanted.named, self._compared(wanted))]

    def _compared(self, wanted: Reference) -> str:
        """What is to be said where the tag that was named beside a digest stands elsewhere."""
        if wanted.tag is None or wanted.digest is None:
            return ""
        try:
            there = self._find(wanted.tag).digest
        except NotFoundError:
            there = None
        note = moved_tag(wanted, there)
        return f"{self._reference.host}/{note}" if note else ""

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        raw = self._document(f"manifests/{descriptor.digest}").raw
        if Digest.of(raw, descriptor.digest.algorithm) != descriptor.digest or len(raw) != descriptor.size:
            raise RefusedError(
                "the registry sent another manifest",
                thing=str(descriptor.digest),
                remedy="ask its administrator; nothing of it was taken",
            )
        return raw

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob. A broken transfer goes on where it was (RFC 9110, Range), with back-off."""
        path = f"blobs/{descriptor.digest}"
        done = failures = 0
        while done < descriptor.size:
            transfer: Transfer | None = None
            try:
                transfer = self._run(self._client.transfer(path, done))
                while chunk := self._run(transfer.read()):
                    done, failures = done + len(chunk), 0
                    yield chunk
                if done < descriptor.size:
                    raise aiohttp.ClientPayloadError("it broke off")
            except TRANSIENT_ERRORS as error:
                failures += 1
                self._run(self._client.pause(path, failures, error))
            finally:
                if transfer is not None:
                    transfer.close()

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers: what the API lists, and what the index at the fallback tag does (distribution
        specification, Listing Referrers): a registry that learned the API later may know some by that index alone."""
        found: dict[Digest, Descriptor] = {}
        with contextlib.suppress(NotFoundError):
            document = self._document(f"referrers/{digest}")
            if document.media_type == OCI_INDEX:
                found = {one.digest: one for one in self._pages(document)}
        index = self._fallback(digest)
        if index is not None:
            found = {one.digest: one for one in self._pages(index)} | found
        return list(found.values())

    def _fallback(self, digest: Digest) -> Document | None:
        """The index at the fallback tag, asked for once: `referrers` and `attached` of a manifest follow each other."""
        tag = fallback_tag(digest)
        if self._asked[0] != tag:
            document: Document | None = None
            with contextlib.suppress(NotFoundError):
                document = self._document(f"manifests/{tag}")
            self._asked = (tag, document if document is not None and document.media_type == OCI_INDEX else None)
        return self._asked[1]

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """As Source.attached."""
        found = {}
        for tag in cosign_tags(digest):
            with contextlib.suppress(NotFoundError):
                found[tag] = self._find(tag)
        index = self._fallback(digest)
        if index is not None:
            found[fallback_tag(digest)] = Descriptor(OCI_INDEX, Digest.of(index.raw), len(index.raw))
        return found

    def _find(self, reference: str, digest: Digest | None = None) -> Descriptor:
        """The descriptor of the manifest at a tag, or at the `digest` that it must then have."""
        document = self._document(f"manifests/{reference}")
        named = document.media_type if document.media_type in MANIFEST_TYPES else None
        manifest = parse_manifest(document.raw, named)
        found = Digest.of(document.raw, digest.algorithm if digest else "sha256")
        if digest is not None and found != digest:
            raise RefusedError(
                "the registry sent another manifest",
                thing=str(self._reference),
                remedy="ask its administrator; nothing of it was taken",
            )
        return Descriptor(manifest.media_type, found, len(document.raw))

    def _pages(self, document: Document) -> list[Descriptor]:
        """Every page's entries. Raises MalformedError where they are too many, or go in a circle."""
        found: list[Descriptor] = []
        seen: set[str] = set()
        size = empty = 0
        while True:
            entries = parse_manifest(document.raw, OCI_INDEX).manifests
            found += entries
            size += len(document.raw)
            empty = 0 if entries else empty + 1
            for what, count, most in (
                ("referrers", len(found), station_limits.REMOTE_REFERRERS),
                ("bytes of referrers", size, station_limits.REMOTE_REFERRERS_SIZE),
                ("pages of referrers", len(seen) + 1, station_limits.REMOTE_PAGES),
                ("empty pages of referrers", empty, station_limits.REMOTE_PAGES_EMPTY),
            ):
                if count > most:
                    raise self._endless(f"too many {what}", f"at most {most} are taken")
            if not document.next:
                return found
            if document.next in seen:
                raise self._endless("a page of referrers twice", "ask its administrator")
            seen.add(document.next)
            document = self._document(document.next)

    def _endless(self, what: str, remedy: str) -> MalformedError:
        return MalformedError(f"the registry lists {what}", thing=str(self._reference), remedy=remedy)

    def _document(self, path: str) -> Document:
        return self._run(self._client.document(path))

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self._runner.run(work)
