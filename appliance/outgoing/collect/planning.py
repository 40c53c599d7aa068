"""What a collect would take, without taking it; and that a source gives what a lock says (appliance.lock_file)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

from appliance.outgoing.collect.arrivals import ArtifactSource
from appliance.outgoing.collect.collector import shown_blobs
from appliance.outgoing.collect.entitled import Entitled
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.tasks import in_thread
from appliance.selecting.platforms import Wanted
from appliance.station import Station
from bundles import limits
from bundles.errors import RefusedError, UsageError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

Plan = Literal["", "digests", "bytes"]
"""What a collect finds out instead of taking anything: what its references stand for, and what that weighs."""

PLANS: Final[tuple[Plan, ...]] = ("", "digests", "bytes")
_REMEDY: Final = "see what changed, then make the lock anew: lockgate collect -f FILE --update"


def plan_of(params: Mapping[str, Any]) -> Plan:
    """What a job's params ask for. Raises UsageError."""
    said = params.get("plan", "")
    for plan in PLANS:
        if said == plan:
            return plan
    raise UsageError("malformed parameters", thing="`plan` is digests or bytes", remedy="see: lockgate --help")


@dataclass(frozen=True, slots=True)
class Planned:
    """An artifact that would be taken: the place of its source, the name that it gets, its digest; the bytes of its
    blobs and manifests that would be fetched and that are held, -1 where they were not asked for."""

    source: int
    reference: str
    digest: str
    fetch: int = -1
    held: int = -1
    why: str = ""
    """Why its tag was chosen, in words, where a selection did."""


class Weighed(Protocol):
    """A source of which something is weighed, and the platforms that are taken of an index."""

    @property
    def source(self) -> ArtifactSource: ...

    @property
    def platforms(self) -> tuple[str, ...]: ...


async def weighed(
    station: Station, actor: str, given: Weighed, root: Root, planned: Planned, counted: set[Digest]
) -> Planned:
    """What is planned of an artifact with what it weighs, without what refers to it. Its manifests are fetched. What is
    in `counted` was weighed with another one, and is not again; what is weighed joins it. Raises a LockgateError."""
    fetch = held = 0
    entitled = Entitled(station, actor)
    wanted = Wanted(given.platforms)
    waiting, seen = [(root.descriptor, 0)], {root.descriptor.digest}
    while waiting:
        descriptor, depth = waiting.pop()
        raw = await given.source.manifest(descriptor)
        manifest = parse_manifest(raw, descriptor.media_type)
        named = wanted.split(manifest).taken
        blobs = [blob for blob in shown_blobs(manifest) if blob.digest not in seen]
        seen.update(blob.digest for blob in blobs)
        waiting += [(child, depth + 1) for child in named if child.digest not in seen]
        seen.update(child.digest for child in named)
        if depth > limits.INDEX_DEPTH or len(seen) > limits.CLOSURE_NODES:
            raise RefusedError(
                "an artifact is nested too deep or reaches too much", thing=str(descriptor.digest),
                remedy=f"at most {limits.INDEX_DEPTH} levels and {limits.CLOSURE_NODES} blobs",
            )  # fmt: skip
        for blob in (*blobs, Descriptor(descriptor.media_type, descriptor.digest, len(raw))):
            if blob.digest in counted:
                continue
            counted.add(blob.digest)
            if await in_thread(_is_held, station, entitled, root.target.repository, blob.digest):
                held += blob.size
            else:
                fetch += blob.size
    wanted.lacking(str(root.target))
    return replace(planned, fetch=fetch, held=held)


def _is_held(station: Station, entitled: Entitled, repository: str, digest: Digest) -> bool:
    """Whether a blob or manifest would not be fetched, as far as that is known without reading it."""
    if station.metadata.blob(digest) is None or not station.blobs.has_blob(digest):
        return False
    return entitled.may_take(repository, digest) or entitled.shows_manifest(repository, digest)


class Pins:
    """The digests that one source must give, by reference; none of them: whatever it gives."""

    def __init__(self, text: str, pinned: Any) -> None:
        """`text` names the source, `pinned` is its list of `{reference, digest}`, or None. Raises UsageError."""
        self._text = text
        self._wanted = None if pinned is None else _wanted(pinned)
        self._left = set(self._wanted or ())

    def require(self, root: Root) -> None:
        """Raises RefusedError for an artifact that is not the locked one."""
        if self._wanted is None:
            return
        name = str(root.target)
        if self._wanted.get(name) != root.descriptor.digest:
            stands = self._wanted.get(name)
            raise RefusedError(
                "the source gives something else than the lock says",
                thing=f"{self._text}: {name} is {root.descriptor.digest}, and {stands or 'not there'} in the lock",
                remedy=_REMEDY,
            )
        self._left.discard(name)

    def require_all(self) -> None:
        """Raises RefusedError where an artifact of the lock did not come."""
        if self._left:
            raise RefusedError(
                "the source does not give what the lock says", thing=f"{self._text}: {min(self._left)}", remedy=_REMEDY
            )


def _wanted(pinned: Any) -> dict[str, Digest]:
    wanted = {}
    for one in pinned if isinstance(pinned, list) else [None]:
        fields = one if isinstance(one, dict) and set(one) == {"reference", "digest"} else {}
        if not isinstance(fields.get("reference"), str) or not isinstance(fields.get("digest"), str):
            raise UsageError(
                "malformed parameters", thing="`pinned` is a list of {reference, digest}", remedy="see: lockgate --help"
            )
        wanted[fields["reference"]] = Digest.parse(fields["digest"])
    return wanted
