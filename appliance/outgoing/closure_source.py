"""What this station's repositories show, for the closure."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.limits import collecting as collecting_limits
from appliance.store.ports import Blobs
from appliance.store.reads.blocks import why_blocked
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from bundles import limits
from bundles.errors import FailedError, RefusedError
from bundles.io.display import safe
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference


class StationContent:
    """`appliance.outgoing.closure.RepositoryContent` over the store."""

    def __init__(self, blobs: Blobs, metadata: Metadata) -> None:
        self._blobs, self._metadata = blobs, metadata
        self._blocked: dict[str, str] | None = None
        metadata.keep_pages(collecting_limits.PLAN_PAGES)

    def resolve(self, reference: Reference) -> Descriptor | None:
        """As RepositoryContent.resolve."""
        if reference.digest is not None:
            facts = self._metadata.linked_manifest(reference.repository, reference.digest)
        else:
            facts = self._metadata.tagged_manifest(reference.repository, reference.tag or "")
        return None if facts is None else _descriptor(facts)

    def sizes(self, repository: str, digests: Sequence[Digest]) -> list[int | None]:
        """As RepositoryContent.sizes. Raises RefusedError for one that people have blocked."""
        for digest in digests:
            self._require_unblocked(digest)
        return self._metadata.linked_sizes(repository, digests)

    def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        """As RepositoryContent.referrers."""
        return [_descriptor(facts) for facts in self._metadata.referrers(repository, digest, limits.CLOSURE_NODES)]

    def read(self, digest: Digest, most: int) -> bytes:
        """As RepositoryContent.read. Raises FailedError where the stored bytes are not the digest's, RefusedError for
        one that people have blocked."""
        self._require_unblocked(digest)
        with self._blobs.open_blob(digest) as file:
            raw = file.read(most + 1)
        if Digest.of(raw, digest.algorithm) != digest:
            raise FailedError("a stored blob has rotted or is too large", thing=str(digest), remedy="collect it again")
        return raw

    def _require_unblocked(self, digest: Digest) -> None:
        """A block shows a digest to nobody, and so it is not carried to another site either."""
        if self._blocked is None:
            self._blocked = why_blocked(self._metadata.connection)
        if (why := self._blocked.get(str(digest))) is not None:
            raise RefusedError(
                f"blocked content is not carried ({safe(why)[:120]})",
                thing=str(digest),
                remedy="leave the artifact out, or see: lockgate block list",
            )


def _descriptor(facts: ManifestFacts) -> Descriptor:
    return Descriptor(facts.media_type, facts.digest, facts.size, artifact_type=facts.artifact_type)
