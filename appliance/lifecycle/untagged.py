"""Manifests of a repository to which no tag leads, and which of them a collection must leave.

A tag leads to what it names, to what an index lists, to what refers to it (its SBOMs and signatures), and to the
subject that it refers to itself. Nothing is collected that is younger than asked, pinned, blocked or names something
blocked, of a bundle that is being built, or of a repository that holds released content; nor what one of these leads
to. Where a manifest cannot be read, nothing of its repository is.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from appliance.limits import lifecycle as lifecycle_limits
from appliance.station import Station
from appliance.store.reads import untagged as store
from appliance.store.reads.untagged import ShownManifest
from bundles import limits
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import INDEX_TYPES, parse_manifest
from bundles.ports import BlobReader

Kept = Literal["", "released", "pinned", "blocked", "building", "young", "referenced"]
"""Why a collection leaves a manifest; "" where it takes it."""


@dataclass(frozen=True, slots=True)
class Untagged:
    """A manifest to which no tag leads, and why it is kept."""

    shown: ShownManifest
    kept: Kept


class ManifestReferences:
    """What manifests name, read from their bytes and remembered: content does not change."""

    def __init__(self, blobs: BlobReader) -> None:
        self._blobs = blobs
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def of(self, digest: str) -> tuple[str, ...]:
        """Every digest that a manifest names but its subject. Raises FailedError where its bytes are not its digest's,
        NotFoundError, MalformedError."""
        known = self._known.get(digest)
        if known is None:
            wanted = Digest.parse(digest)
            with self._blobs.open_blob(wanted) as file:
                raw = file.read(limits.OCI_MANIFEST + 1)
            if Digest.of(raw, wanted.algorithm) != wanted:
                raise FailedError("a manifest is damaged on disk", thing=digest, remedy="run: lockgate scrub")
            manifest = parse_manifest(raw)
            known = self._known[digest] = tuple(str(one.digest) for one in (*manifest.manifests, *manifest.blobs))
            if len(self._known) > lifecycle_limits.NAMES_KNOWN:
                self._known.popitem(last=False)
        return known


def untagged(
    station: Station, names: ManifestReferences, repository: str, before: str = "", building: Container[str] = ()
) -> list[Untagged]:
    """The manifests of a repository to which no tag leads, each index before what it lists and each subject before what
    refers to it. `before`: what lost its last tag, or came, after this time is young; "" asks for no age.

    Reads indexes, and every such manifest where something is blocked. Raises FailedError, NotFoundError or
    MalformedError where one cannot be read.
    """
    if not store.has_untagged(station.reader, repository):
        return []
    web = _Web(store.shown_manifests(station.reader, repository), names)
    tagged = web.led_to(digest for digest, one in web.shown.items() if one.tagged)
    rest = {digest: one for digest, one in web.shown.items() if digest not in tagged}
    if not rest:
        return []
    kept = _reasons(station, repository, web, rest, before, building)
    return [Untagged(rest[digest], kept.get(digest, "")) for digest in web.in_order(rest)]


def count(station: Station, names: ManifestReferences, repository: str) -> int:
    """How many manifests of a repository no tag leads to. Raises as `untagged`."""
    if not store.has_untagged(station.reader, repository):
        return 0
    web = _Web(store.shown_manifests(station.reader, repository), names)
    return len(web.shown) - len(web.led_to(digest for digest, one in web.shown.items() if one.tagged))


def _reasons(
    station: Station, repository: str, web: _Web, rest: Mapping[str, ShownManifest], before: str,
    building: Container[str],
) -> dict[str, Kept]:  # fmt: skip
    if store.holds_released(station.reader, repository):
        return dict.fromkeys(rest, "released")
    found: dict[str, Kept] = {}
    pinned, blocked = store.pinned(station.reader, repository), store.blocked(station.reader)
    for digest in web.naming(blocked, rest) if blocked else ():
        found[digest] = "blocked"
    for digest, one in rest.items():
        if digest in pinned:
            found.setdefault(digest, "pinned")
        elif digest in building:
            found.setdefault(digest, "building")
        elif before and one.since > before:
            found.setdefault(digest, "young")
    for digest in web.led_to(list(found)):
        if digest in rest:
            found.setdefault(digest, "referenced")
    return found


@dataclass(slots=True)
class _Web:
    """How the manifests of a repository lead to one another."""

    shown: Mapping[str, ShownManifest]
    names: ManifestReferences
    _referring: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for digest, one in self.shown.items():
            if one.subject:
                self._referring[one.subject].append(digest)

    def listed(self, digest: str) -> Iterator[str]:
        """The manifests of the repository that an index lists; none for another manifest."""
        if self.shown[digest].media_type in INDEX_TYPES:
            yield from (one for one in self.names.of(digest) if one in self.shown)

    def led_to(self, roots: Iterable[str]) -> set[str]:
        """The roots, and everything that they lead to."""
        todo, found = list(roots), set[str]()
        while todo:
            digest = todo.pop()
            if digest in found:
                continue
            found.add(digest)
            todo += self.listed(digest)
            todo += self._referring.get(digest, ())
            subject = self.shown[digest].subject
            if subject in self.shown:
                todo.append(subject)
        return found

    def naming(self, wanted: set[str], among: Iterable[str]) -> set[str]:
        """The manifests that are wanted or name, directly or through others, something that is."""
        every = list(among)
        over: dict[str, list[str]] = defaultdict(list)
        todo = []
        for digest in every:
            named = self.names.of(digest)
            for one in named:
                over[one].append(digest)
            if digest in wanted or not wanted.isdisjoint(named):
                todo.append(digest)
        found = set[str]()
        while todo:
            digest = todo.pop()
            if digest not in found:
                found.add(digest)
                todo += over[digest]
        return found

    def in_order(self, digests: Collection[str]) -> list[str]:
        """The digests, each index before what it lists and each subject before what refers to it."""
        order: dict[str, None] = {}
        seen = set[str]()
        for root in digests:
            todo: list[tuple[str, bool]] = [(root, False)]
            while todo:  # what comes after a manifest is put down first, and the whole turned round
                digest, done = todo.pop()
                if done:
                    order.setdefault(digest, None)
                elif digest not in seen:
                    seen.add(digest)
                    todo.append((digest, True))
                    after = [*self.listed(digest), *self._referring.get(digest, ())]
                    todo += [(one, False) for one in after if one in digests and one not in seen]
        return list(reversed(order))
