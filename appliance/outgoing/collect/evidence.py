"""What speaks about a manifest at a registry, and for how long its answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance import clock
from appliance.limits import collecting as limits
from appliance.station import Station
from appliance.store.reads.upstream import asked
from appliance.store.writes.upstream import NoteAsked
from bundles.errors import LockgateError
from bundles.io import strict_json
from bundles.limits import OCI_MANIFEST_NODES
from bundles.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True)
class Evidence:
    """Manifests that are said to refer to another one, and what cosign's tags name, by tag. `unasked` says why the
    registry's own answer is not among it, "" where it is: then there may be more."""

    referrers: tuple[Descriptor, ...] = ()
    tags: Mapping[str, Descriptor] = field(default_factory=dict)
    unasked: str = ""


class EvidenceMemory(Protocol):
    """What was answered before. `source` is the registry's host and repository."""

    def recall(self, source: str, digest: str) -> Evidence | None:
        """What was said of `digest` not long ago, None where it is to be asked."""
        ...

    def note(self, source: str, digest: str, found: Evidence) -> None:
        """Keep an answer. Blocking."""
        ...


class NoMemory:
    """Asks each time."""

    def recall(self, source: str, digest: str) -> Evidence | None:
        """As EvidenceMemory.recall."""
        return None

    def note(self, source: str, digest: str, found: Evidence) -> None:
        """As EvidenceMemory.note."""


class StationMemory:
    """Answers kept in a station's metadata for `limits.REMOTE_EVIDENCE_TTL`."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def recall(self, source: str, digest: str) -> Evidence | None:
        """As EvidenceMemory.recall. A row that cannot be read is as none."""
        row = asked(self._station.reader, source, digest)
        if row is None:
            return None
        answer, at = row
        try:
            age = clock.seconds(clock.now()) - clock.seconds(at)
            return _read(answer) if 0 <= age < limits.REMOTE_EVIDENCE_TTL else None
        except (LockgateError, ValueError, TypeError, KeyError):
            return None

    def note(self, source: str, digest: str, found: Evidence) -> None:
        """As EvidenceMemory.note."""
        answer = _written(found)
        if len(answer) <= limits.REMOTE_EVIDENCE_KEPT:
            self._station.writer.submit(NoteAsked(source=source, digest=digest, answer=answer.decode(), at=clock.now()))


def _written(found: Evidence) -> bytes:
    return strict_json.canonical(
        {
            "referrers": [_fields(one) for one in found.referrers],
            "tags": {tag: _fields(one) for tag, one in found.tags.items()},
        }
    )


def _fields(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}


def _read(answer: str) -> Evidence:
    document = strict_json.loads(
        answer.encode(), ceiling=limits.REMOTE_EVIDENCE_KEPT, nodes=OCI_MANIFEST_NODES, what="kept answer"
    )
    return Evidence(
        tuple(Descriptor.from_json(one) for one in document["referrers"]),
        {tag: Descriptor.from_json(one) for tag, one in document["tags"].items()},
    )
