"""What a reference comes to, manifest by manifest, as facts for gates: an image, or everything that an index names.

Evidence that is attached needs no gate, by the function that signatures are asked by; what calls itself evidence and
is none is content like any other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.advisories.seals import index_key
from appliance.gates.evaluate import evaluate
from appliance.gates.facts import ContentFacts, Knowledge, Line
from appliance.gates.looking import Looking
from appliance.gates.wanted import Wanted
from appliance.image_signatures.evidence import is_evidence
from appliance.image_signatures.subjects import read_manifest
from appliance.limits import image_signatures as signature_limits
from appliance.paths import StationPaths
from appliance.settings.gates import Gate, PolicyException
from appliance.store.ports import Blobs, Reader
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.left_out import left_out_platform
from appliance.store.reads.registry import Metadata
from bundles import limits
from bundles.errors import RefusedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest


@dataclass(frozen=True, slots=True)
class Gated:
    """What is held against gates: every manifest that runs or might, and what is known at all. `indexes` are the
    digests of those that were walked, `evidence` of what was left out."""

    contents: Sequence[ContentFacts]
    knowledge: Knowledge
    indexes: frozenset[Digest] = frozenset()
    evidence: frozenset[Digest] = frozenset()

    def lines(
        self, gates: Iterable[tuple[int, Gate]], repository: str, exceptions: Sequence[PolicyException], now: str,
        wanted: Mapping[str, Wanted | None],
    ) -> list[Line]:  # fmt: skip
        """Every rule of these gates about every manifest, as content of a repository."""
        return [
            line
            for number, gate in gates
            for content in self.contents
            for line in evaluate(number, gate, repository, content, self.knowledge, exceptions, now, wanted)
        ]


def gated(blobs: Blobs, metadata: Metadata, reader: Reader, repository: str, facts: ManifestFacts) -> Gated:
    """The manifest with these facts, and what lies beneath it. Blocking.

    What an index names and the repository does not show is content of which nothing is known, unless the index says
    that it was left out. Raises RefusedError for what names too much or is nested too deep, and for a manifest whose
    bytes are not its digest's; NotFoundError for one that is not in the store.
    """
    looking = Looking(reader, index_key(StationPaths(metadata.path.parent)))
    contents, indexes, evidence = list[ContentFacts](), dict[Digest, frozenset[str]](), set[Digest]()
    seen: set[Digest] = {facts.digest}
    todo: deque[tuple[ManifestFacts, str, frozenset[str], int]] = deque([(facts, "", frozenset(), 0)])

    def tags(digest: Digest) -> list[str]:
        return metadata.tags_of(repository, digest)

    while todo:
        one, platform, above, depth = todo.popleft()
        if depth > limits.INDEX_DEPTH or len(seen) > signature_limits.SIGNED_IMAGES:
            raise RefusedError(
                "an index names too much to be held against gates",
                thing=f"{repository}@{facts.digest}",
                remedy=f"at most {signature_limits.SIGNED_IMAGES} manifests, {limits.INDEX_DEPTH} deep",
            )
        manifest: Manifest = parse_manifest(read_manifest(blobs, one), one.media_type)
        if is_evidence(blobs, manifest, lambda digest=one.digest: tags(digest)):  # type: ignore[misc]
            evidence.add(one.digest)
            continue
        if not manifest.is_index:
            contents.append(looking.content(one.digest, manifest, platform, above))
            continue
        below = above | {str(one.digest)}
        indexes[one.digest] = below
        for child in manifest.manifests:
            if child.digest in seen:
                continue
            seen.add(child.digest)
            shown = metadata.linked_manifest(repository, child.digest) if child.media_type in MANIFEST_TYPES else None
            if shown is not None:
                todo.append((shown, str(child.platform or ""), below, depth + 1))
            elif left_out_platform(reader, repository, child.digest) is None:
                contents.append(_unknown(child.digest, str(child.platform or ""), below))
    return Gated(contents, looking.knowledge, frozenset(indexes), frozenset(evidence))


def _unknown(digest: Digest, platform: str, above: frozenset[str]) -> ContentFacts:
    """What is named and not shown: it might run, and nothing is known of it."""
    why = "it is not shown here"
    return ContentFacts(str(digest), "image", True, "not-scanned", platform, why=why, also=above)
