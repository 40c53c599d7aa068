"""A remote registry as a source: everything at a reference, with its referrers, from its mirrors first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from appliance import limits as station_limits
from appliance.outgoing.collect.access import Accesses, NoAccess
from appliance.outgoing.collect.evidence import Evidence, EvidenceMemory, NoMemory
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.registry_client import Document, RegistryClient
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.tasks import all_of, in_thread
from appliance.outgoing.collect.transfer import Sink, transfer
from bundles.errors import LockgateError, MalformedError, NotFoundError, RefusedError
from bundles.oci.attached_tags import cosign_tags, fallback_tag
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, OCI_INDEX, parse_manifest
from bundles.oci.reference import Reference, RemoteReference, moved_tag

Answer = TypeVar("Answer")
Narrowed = Callable[[str], Sequence[tuple[str, ...]]]
"""The lists that narrow where a host may send its client on to."""

_NO_LISTS: Final[Narrowed] = lambda _: ()  # noqa: E731  a constant of its type


class RemoteSource:
    """An artifact at another registry, with all its platforms. For one event loop."""

    def __init__(
        self,
        reference: RemoteReference,
        as_: Reference | None,
        hosts: Hosts,
        *,
        accesses: Accesses | None = None,
        narrowed: Narrowed = _NO_LISTS,
        memory: EvidenceMemory | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`say` is told where a mirror fails and another place is asked."""
        self._reference, self._as, self._hosts = reference, as_, hosts
        self._accesses = accesses or NoAccess()
        self._narrowed, self._memory, self._say = narrowed, memory or NoMemory(), say
        self._found: tuple[RegistryClient, ...] = ()
        self._turn = asyncio.Lock()
        self._roots: dict[Digest, bytes | None] = {}
        """Manifests whose size only their bytes say, with the bytes where they came already."""

    @property
    def host(self) -> str:
        """The registry's host, in lower case."""
        return self._reference.host.lower()

    def targets(self) -> list[Reference]:
        """What it will be called here."""
        return [self._as or self._reference.reference.named]

    async def roots(self) -> AsyncIterator[Root]:
        """What is to be taken: one artifact. Raises a LockgateError that names the reference."""
        wanted = self._reference.reference
        found = await self._anywhere(lambda place: self._find(place, str(wanted.digest or wanted.tag), wanted.digest))
        yield Root(found, self._as or wanted.named, await self._compared(wanted))

    async def _compared(self, wanted: Reference) -> str:
        """What is to be said where the tag that was named beside a digest stands elsewhere."""
        if wanted.tag is None or wanted.digest is None:
            return ""
        tag = wanted.tag
        try:
            there: Digest | None = (await self._anywhere(lambda place: self._find(place, tag))).digest
        except NotFoundError:
            there = None
        note = moved_tag(wanted, there)
        return f"{self._reference.host}/{note}" if note else ""

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """A manifest's bytes, checked against their digest. Raises RefusedError, NotFoundError, FailedError."""
        kept = self._roots.get(descriptor.digest)
        if kept is not None:
            self._roots[descriptor.digest] = None
            return kept
        return await self._anywhere(lambda place: self._manifest(place, descriptor))

    async def _manifest(self, place: RegistryClient, descriptor: Descriptor) -> bytes:
        raw = (await place.document(f"manifests/{descriptor.digest}")).raw
        is_right = Digest.of(raw, descriptor.digest.algorithm) == descriptor.digest
        if not is_right or (len(raw) != descriptor.size and descriptor.digest not in self._roots):
            raise _another(place.where(f"manifests/{descriptor.digest}"))
        return raw

    async def fetch(self, blob: Descriptor, sink: Sink, advance: Callable[[int], object]) -> None:
        """A blob's bytes into a sink; whoever stores them checks the digest. Raises as transfer.transfer."""
        await self._anywhere(lambda place: transfer(place, blob, sink, advance))

    async def evidence(self, digest: Digest) -> Evidence:
        """What speaks about a manifest: referrers, and what cosign's tags name. An answer is kept for an hour."""
        source = f"{self._reference.host}/{self._reference.reference.repository}"
        known = self._memory.recall(source, str(digest))
        if known is None:
            known = await self._ask_evidence(digest)
            await in_thread(self._memory.note, source, str(digest), known)
        return known

    async def _ask_evidence(self, digest: Digest) -> Evidence:
        """The first of the places that knows something; a mirror need not have what refers to its images."""
        places = await self._places()
        answered = False
        for place in places:
            try:
                found = await self._evidence_at(place, digest)
            except LockgateError as error:
                if place is places[-1] and not answered:
                    raise
                self._say(f"what refers to {digest} was not asked there: {error.diagnostics()}")
                continue
            answered = True
            if found:
                return found
        return Evidence()

    async def _evidence_at(self, place: RegistryClient, digest: Digest) -> Evidence:
        """What the API lists, what the index at the fallback tag does (distribution specification, Listing Referrers: a
        registry that learned the API later may know some by that index alone), and what cosign's tags name."""
        tags = list(cosign_tags(digest))
        listed, indexes, *attached = await all_of(
            [
                self._listed(place, digest),
                self._fallback(place, digest),
                *(self._tagged(place, tag) for tag in tags),
            ]
        )
        found = {one.digest: one for one in listed}
        named = {tag: one[0] for tag, one in zip(tags, attached, strict=True) if one}
        if indexes:
            named[fallback_tag(digest)] = indexes[0]
            found = {one.digest: one for one in indexes[1:]} | found
        return Evidence(tuple(found.values()), named)

    async def _tagged(self, place: RegistryClient, tag: str) -> list[Descriptor]:
        try:
            return [await self._find(place, tag)]
        except NotFoundError:
            return []

    async def _listed(self, place: RegistryClient, digest: Digest) -> list[Descriptor]:
        """What the referrers API lists. A registry without it answers 404, and is asked once."""
        if not place.lists_referrers:
            return []
        try:
            document = await place.document(f"referrers/{digest}")
        except NotFoundError:
            place.lists_referrers = False
            return []
        return await self._pages(place, document) if document.media_type == OCI_INDEX else []

    async def _fallback(self, place: RegistryClient, digest: Digest) -> list[Descriptor]:
        """The index at the fallback tag, and behind it what it lists; nothing where there is none."""
        try:
            document = await place.document(f"manifests/{fallback_tag(digest)}")
        except NotFoundError:
            return []
        if document.media_type != OCI_INDEX:
            return []
        index = Descriptor(OCI_INDEX, Digest.of(document.raw), len(document.raw))
        self._roots[index.digest] = document.raw
        return [index, *await self._pages(place, document)]

    async def _find(self, place: RegistryClient, reference: str, digest: Digest | None = None) -> Descriptor:
        """The descriptor of the manifest at a tag, or at the `digest` that it must then have; by a HEAD where it says
        enough. What was found is fetched by its digest, wherever the tag stands then."""
        said = await place.head(reference) if digest is None or digest.algorithm == "sha256" else None
        if said is not None:
            if digest is not None and said.digest != digest:
                raise _another(place.where(f"manifests/{reference}"))
            self._roots.setdefault(said.digest, None)
            return Descriptor(said.media_type, said.digest, max(said.size, 0))
        document = await place.document(f"manifests/{reference}")
        named = document.media_type if document.media_type in MANIFEST_TYPES else None
        manifest = parse_manifest(document.raw, named)
        found = Digest.of(document.raw, digest.algorithm if digest else "sha256")
        if digest is not None and found != digest:
            raise _another(place.where(f"manifests/{reference}"))
        self._roots[found] = document.raw
        return Descriptor(manifest.media_type, found, len(document.raw))

    async def _pages(self, place: RegistryClient, document: Document) -> list[Descriptor]:
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
            document = await place.document(document.next)

    def _endless(self, what: str, remedy: str) -> MalformedError:
        return MalformedError(f"the registry lists {what}", thing=str(self._reference), remedy=remedy)

    async def _places(self) -> tuple[RegistryClient, ...]:
        """The mirrors, and the registry itself last."""
        async with self._turn:
            if not self._found:
                origin = (self._reference.host, self._reference.reference.repository)
                mirrors = await in_thread(self._accesses.mirrors, *origin)
                home = await in_thread(self._accesses.located, *origin)
                self._found = tuple([await self._place(*one) for one in (*mirrors, home)])
        return self._found

    async def _place(self, host: str, repository: str) -> RegistryClient:
        access = await in_thread(self._accesses.for_repository, host, repository)
        return RegistryClient(self._hosts.client(access, self._narrowed(host)), repository, access)

    async def _anywhere(self, work: Callable[[RegistryClient], Awaitable[Answer]]) -> Answer:
        """What the first place gives that does not fail. Raises the registry's own error where all fail."""
        places = await self._places()
        for place in places[:-1]:
            try:
                return await work(place)
            except LockgateError as error:
                self._say(f"a mirror fails, and the next place is asked: {error.diagnostics()}")
        return await work(places[-1])


def _another(thing: str) -> RefusedError:
    return RefusedError(
        "the registry sent another manifest", thing=thing, remedy="ask its administrator; nothing of it was taken"
    )
