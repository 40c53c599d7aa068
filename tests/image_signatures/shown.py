"""A repository in memory, as a search asks about it, which counts what is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from appliance.image_signatures.search import Search
from appliance.image_signatures.states import Found
from appliance.intake.content import Checked
from appliance.store.reads.content import ManifestFacts
from bundles.format.manifest import Artifact
from bundles.image_signatures.pins import Pins
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, parse_manifest
from tests.bundles.small import MemoryStore
from tests.image_signatures.signer import Image

CONFIG = b'{"os":"linux","architecture":"amd64","config":{}}'


@dataclass
class Shown:
    """What one repository shows. `reads` counts how often each blob was opened."""

    store: MemoryStore = field(default_factory=MemoryStore)
    manifests: dict[Digest, ManifestFacts] = field(default_factory=dict)
    tagged: dict[str, Digest] = field(default_factory=dict)
    reads: Counter[Digest] = field(default_factory=Counter)

    def open_blob(self, digest: Digest) -> BinaryIO:
        self.reads[digest] += 1
        return self.store.open_blob(digest)

    def linked_manifest(self, repository: str, digest: Digest) -> ManifestFacts | None:
        return self.manifests.get(digest)

    def tagged_manifest(self, repository: str, tag: str) -> ManifestFacts | None:
        return self.manifests[self.tagged[tag]] if tag in self.tagged else None

    def tags_of(self, repository: str, digest: Digest) -> list[str]:
        return [tag for tag, named in self.tagged.items() if named == digest]

    def referrers(self, repository: str, digest: Digest, limit: int) -> list[ManifestFacts]:
        return [one for one in self.manifests.values() if one.subject == digest][:limit]

    def show(self, digest: Digest, *tags: str, media_type: str = OCI_MANIFEST) -> Digest:
        """Show a manifest that the store has."""
        raw = self.store.blobs[digest]
        read = parse_manifest(raw, media_type)
        subject = None if read.subject is None else read.subject.digest
        self.manifests[digest] = ManifestFacts(digest, media_type, read.artifact_type, subject, len(raw), "{}")
        self.tagged |= dict.fromkeys(tags, digest)
        return digest

    def described(self, digest: Digest, media_type: str, **more: Any) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": str(digest), "size": len(self.store.blobs[digest]), **more}

    def add(self, fields: dict[str, Any], *tags: str, media_type: str = OCI_MANIFEST) -> Digest:
        raw = canonical({"schemaVersion": 2, "mediaType": media_type, **fields})
        return self.show(self.store.add(raw), *tags, media_type=media_type)

    def manifest(
        self, *layers: tuple[str, bytes], config: str = OCI_CONFIG, tags: tuple[str, ...] = (), **fields: Any
    ) -> Digest:
        """A manifest of these layers."""
        named = [self.described(self.store.add(content), media_type) for media_type, content in layers]
        return self.add({"config": self.described(self.store.add(CONFIG), config), "layers": named, **fields}, *tags)

    def index(self, *children: Digest, tags: tuple[str, ...] = ()) -> Digest:
        named = [self.described(one, self.manifests[one].media_type) for one in children]
        return self.add({"manifests": named}, *tags, media_type=OCI_INDEX)

    def sign(self, image: Image) -> None:
        """Show an image of this store and what is attached to it."""
        self.show(image.subject.digest, media_type=image.subject.media_type)
        for one in image.carriers:
            self.show(one.digest, *([one.tag] if one.tag else ()))

    def find(self, digest: Digest, pins: Pins) -> list[Found]:
        """What a search finds of it."""
        searching = Search(cast("Any", self), cast("Any", self), "team/app", pins)
        return searching.all_of(self.manifests[digest])

    def checked(self) -> list[Checked]:
        """All of it as a bundle that brings it."""
        found = []
        for digest, facts in self.manifests.items():
            read = parse_manifest(self.store.blobs[digest], facts.media_type)
            artifact = Artifact(
                repository="team/app", digest=str(digest), mediaType=facts.media_type, kind="artifact",
                size=facts.size, tags=self.tags_of("team/app", digest),
            )  # fmt: skip
            found.append(Checked(artifact, read))
        return found
