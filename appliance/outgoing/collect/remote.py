"""A remote registry as a source: everything at a reference, with its referrers, from its mirrors first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.access import Accesses, NoAccess
from appliance.outgoing.collect.evidence import Evidence, EvidenceMemory, NoMemory
from appliance.outgoing.collect.host_client import Hosts
from appliance.outgoing.collect.kept import KeptBytes
from appliance.outgoing.collect.registry_client import Document, RegistryClient
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.tasks import all_of, in_thread
from appliance.outgoing.collect.transfer import Sink, WatchedSink, transfer
from appliance.store.partials import WrongDigestError
from bundles.errors import CancelledError, LockgateError, MalformedError, NotFoundError, RefusedError
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
        kept: KeptBytes | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`say` is told where a mirror fails and another place is asked. `kept` holds manifests that came before they
        were asked for; sources share one, so that its bound counts for all of them."""
        self._reference, self._as, self._hosts = reference, as_, hosts
        self._accesses = accesses or NoAccess()
        self._narrowed, self._memory, self._say = narrowed, memory or NoMemory(), say
        self._found: tuple[RegistryClient, ...] = ()
        self._turn = asyncio.Lock()
        self._unsized: set[Digest] = set()
        """Manifests whose size only their bytes say."""
        self._kept = kept or KeptBytes(collecting_limits.COLLECT_MEMORY)
        self._told: dict[RegistryClient, tuple[int, int]] = {}
        """How many referrers and attached manifests each place has told, and in how many bytes."""

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

    async def find(self, tag: str) -> Descriptor:
        """The manifest at a tag of the reference's repository. Raises as `roots`."""
        return await self._anywhere(lambda place: self._find(place, tag))

    async def manifest_at(self, digest: Digest) -> bytes:
        """As `manifest`, of a manifest of which nothing but its digest is known."""
        self._unsized.add(digest)
        return await self.manifest(Descriptor("", digest, 0))

    async def blob_size(self, digest: Digest) -> int:
        """How many bytes the registry says that a blob has. Raises NotFoundError, FailedError."""
        return await self._anywhere(lambda place: place.blob_size(digest))

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """A manifest's bytes, checked against their digest. Raises RefusedError, NotFoundError, FailedError."""
        kept = self._kept.take((self, descriptor.digest))
        if kept is not None:
            return kept
        return await self._anywhere(lambda place: self._manifest(place, descriptor))

    async def _manifest(self, place: RegistryClient, descriptor: Descriptor) -> bytes:
        raw = (await place.document(f"manifests/{descriptor.digest}")).raw
        is_right = Digest.of(raw, descriptor.digest.algorithm) == descriptor.digest
        if not is_right or (len(raw) != descriptor.size and descriptor.digest not in self._unsized):
            raise _another(place.where(f"manifests/{descriptor.digest}"))
        return raw

    async def fetch(self, blob: Descriptor, sink: Sink, advance: Callable[[int], object]) -> None:
        """A blob's bytes into a sink, from the first place that gives those of its digest. Raises as transfer.transfer,
        WrongDigestError where the registry itself gives others, and what the sink raises."""
        watched = WatchedSink(sink)
        places = await self._places()
        for place in places:
            try:
                await self._fetch_at(place, blob, watched, advance)
                break
            except LockgateError as error:
                if place is places[-1] or watched.has_failed or isinstance(error, CancelledError):
                    raise
                self._say(f"a mirror fails, and the next place is asked: {error.diagnostics()}")
                if isinstance(error, WrongDigestError):
                    advance(-sink.offset)
                    await sink.restart()

    async def _fetch_at(
        self, place: RegistryClient, blob: Descriptor, sink: Sink, advance: Callable[[int], object]
    ) -> None:
        """From one place. It is to blame for wrong bytes where all of them are its own: else it is asked for all."""
        began = sink.offset
        while True:
            await transfer(place, blob, sink, advance)
            try:
                await sink.check(blob)
                break
            except WrongDigestError:
                if began == 0:
                    raise WrongDigestError(
                        "the registry sent other bytes than those of the digest",
                        thing=place.where(f"blobs/{blob.digest}"),
                        remedy="ask its administrator; nothing of it was taken",
                    ) from None
            self._say(f"{blob.digest} arrived with another digest, and is fetched again from its beginning")
            advance(-sink.offset)
            await sink.restart()
            began = 0

    async def evidence(self, digest: Digest) -> Evidence:
        """What speaks about a manifest: referrers, and what cosign's tags name. An answer is kept for an hour where the
        registry itself had a part in it."""
        source = f"{self._reference.host}/{self._reference.reference.repository}"
        known = self._memory.recall(source, str(digest))
        if known is None:
            known = await self._ask_evidence(digest)
            if not known.unasked:
                await in_thread(self._memory.note, source, str(digest), known)
        return known

    async def _ask_evidence(self, digest: Digest) -> Evidence:
        """What all places know together: a mirror need not have what refers to its images, or not all of it. Of a tag
        the registry itself has the last word. Raises its error where no place answers."""
        places = await self._places()
        referrers: dict[Digest, Descriptor] = {}
        tags: dict[str, Descriptor] = {}
        is_answered, unasked = False, ""
        for place in places:
            try:
                found = await self._evidence_at(place, digest)
            except CancelledError:
                raise
            except LockgateError as error:
                if place is places[-1]:
                    if not is_answered:
                        raise
                    unasked = f"the registry did not say what refers to {digest}: {error.diagnostics()}"
                self._say(f"what refers to {digest} was not asked there: {error.diagnostics()}")
                continue
            is_answered = True
            referrers |= {one.digest: one for one in found.referrers}
            tags |= found.tags
        return Evidence(tuple(referrers.values()), tags, unasked[: collecting_limits.COLLECT_REASON])

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
            found = await self._find(place, tag)
        except NotFoundError:
            return []
        self._count(place, 1, found.size)
        return [found]

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
        self._unsized.add(index.digest)
        self._kept.keep((self, index.digest), document.raw)
        return [index, *await self._pages(place, document)]

    async def _find(self, place: RegistryClient, reference: str, digest: Digest | None = None) -> Descriptor:
        """The descriptor of the manifest at a tag, or at the `digest` that it must then have; by a HEAD where it says
        enough. What was found is fetched by its digest, wherever the tag stands then."""
        said = await place.head(reference) if digest is None or digest.algorithm == "sha256" else None
        if said is not None:
            if digest is not None and said.digest != digest:
                raise _another(place.where(f"manifests/{reference}"))
            self._unsized.add(said.digest)
            return Descriptor(said.media_type, said.digest, max(said.size, 0))
        document = await place.document(f"manifests/{reference}")
        named = document.media_type if document.media_type in MANIFEST_TYPES else None
        manifest = parse_manifest(document.raw, named)
        found = Digest.of(document.raw, digest.algorithm if digest else "sha256")
        if digest is not None and found != digest:
            raise _another(place.where(f"manifests/{reference}"))
        self._unsized.add(found)
        self._kept.keep((self, found), document.raw)
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
            self._count(place, len(entries), len(document.raw))
            empty = 0 if entries else empty + 1
            for what, count, most in (
                ("referrers", len(found), collecting_limits.REMOTE_REFERRERS),
                ("bytes of referrers", size, collecting_limits.REMOTE_REFERRERS_SIZE),
                ("pages of referrers", len(seen) + 1, collecting_limits.REMOTE_PAGES),
                ("empty pages of referrers", empty, collecting_limits.REMOTE_PAGES_EMPTY),
            ):
                if count > most:
                    raise self._endless(f"too many {what}", f"at most {most} are taken")
            if not document.next:
                return found
            if document.next in seen:
                raise self._endless("a page of referrers twice", "ask its administrator")
            seen.add(document.next)
            document = await place.document(document.next)

    def _count(self, place: RegistryClient, entries: int, size: int) -> None:
        """Count what a place tells of evidence, about all manifests of the artifact. Raises MalformedError beyond the
        bounds: what is asked about many manifests is in memory together."""
        count, told = self._told.get(place, (0, 0))
        self._told[place] = count, told = count + entries, told + size
        for what, found, most in (
            ("manifests that refer to one artifact", count, collecting_limits.COLLECT_EVIDENCE),
            ("bytes of what refers to one artifact", told, collecting_limits.COLLECT_EVIDENCE_SIZE),
        ):
            if found > most:
                raise self._endless(f"too many {what}", f"at most {most} are taken")

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
            except CancelledError:
                raise
            except LockgateError as error:
                self._say(f"a mirror fails, and the next place is asked: {error.diagnostics()}")
        return await work(places[-1])


def _another(thing: str) -> RefusedError:
    return RefusedError(
        "the registry sent another manifest", thing=thing, remedy="ask its administrator; nothing of it was taken"
    )
