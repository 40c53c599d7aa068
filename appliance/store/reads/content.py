"""What rows of the registry say, as values: of blobs, manifests and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bundles.oci.digest import Digest

Kind = Literal["blob", "manifest"]


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """A held blob. `size` is bytes."""

    digest: Digest
    size: int
    crc32: int


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A held manifest. `artifact_type` is "" where it has none.

    Annotations may be megabytes: they are kept as the JSON text they are stored as, and parsed when asked for.
    """

    digest: Digest
    media_type: str
    artifact_type: str
    subject: Digest | None
    size: int
    annotations_json: str

    @property
    def annotations(self) -> Mapping[str, str]:
        annotations: dict[str, str] = json.loads(self.annotations_json)
        return annotations


@dataclass(frozen=True, slots=True)
class TagFacts:
    """A tag and the manifest it points at. `size` is the manifest's own bytes."""

    tag: str
    digest: Digest
    media_type: str
    artifact_type: str
    size: int
    updated: str
