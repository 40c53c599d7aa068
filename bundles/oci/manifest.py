"""Manifests and indexes, parsed once and checked for confusion of types.

Formats: OCI image specification 1.1 (manifest.md, image-index.md); Docker Image Manifest V2, Schema 2 and Manifest
List. A document that could be read as both an image and an index is refused (CVE-2021-41190), as is one whose
embedded `mediaType` is not the one it was announced with. Unknown fields are kept byte for byte: the raw bytes are
the manifest, this is a reading of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundles import limits
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.oci.descriptor import (
    Descriptor,
    check_annotations,
    check_media_type,
    exact_keys,
    expect_object,
    optional_string,
)

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

IMAGE_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFEST_TYPES: Final = IMAGE_TYPES | INDEX_TYPES

_FIELDS: Final = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"}
    | {"fsLayers", "history", "signatures"}
)
"""What a manifest or index of any kind is known by, Docker's schema 1 included."""

EMPTY_JSON: Final = b"{}"
"""The empty descriptor's content (image specification, manifest.md, Guidance for an empty descriptor)."""


_DOCKER_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign."
"""Docker's foreign layers, however they are compressed (containerd, images: IsNonDistributable)."""


def is_foreign(media_type: str) -> bool:
    """Whether a layer is not to be distributed, so that a registry and a bundle need not hold it."""
    return "nondistributable" in media_type or media_type.startswith(_DOCKER_FOREIGN)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A reading of one manifest.

    `manifests` are an index's children; `config` and `layers` an image's; `subject` what it refers to.
    `artifact_type` is the referrers API's: `artifactType`, else an image's `config.mediaType`.
    """

    media_type: str
    manifests: tuple[Descriptor, ...]
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str
    annotations: Mapping[str, str]

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that must be held for it: the config and every distributable layer, each digest once."""
        wanted = ([self.config] if self.config else []) + [la for la in self.layers if not is_foreign(la.media_type)]
        return tuple({descriptor.digest: descriptor for descriptor in wanted}.values())

    @property
    def foreign(self) -> tuple[Descriptor, ...]:
        """The layers that need not be held and go along where they are: each digest once, and none of `blobs`."""
        others = {layer.digest: layer for layer in self.layers if is_foreign(layer.media_type)}
        needed = {blob.digest for blob in self.blobs} if others else set()
        return tuple(layer for digest, layer in others.items() if digest not in needed)


def parse_manifest(raw: bytes, media_type: str | None = None) -> Manifest:
    """Read a manifest's bytes, announced as `media_type` (a Content-Type or a descriptor's; None where nothing said).

    Raises MalformedError: too large, not JSON, duplicate keys, an unsupported or contradicting media type,
    a confusion of image and index, or a malformed descriptor.
    """
    document = strict_json.loads(
        raw, ceiling=limits.OCI_MANIFEST, nodes=limits.OCI_MANIFEST_NODES, what="manifest", floats=True
    )
    fields = exact_keys(expect_object(document, "manifest"), _FIELDS, "manifest")
    kind = _media_type(fields, media_type)
    if fields.get("schemaVersion") != 2:
        raise MalformedError("unsupported schemaVersion", thing=repr(fields.get("schemaVersion"))[:40], remedy="use 2")
    _check_confusion(fields, kind)
    manifests = _descriptors(fields, "manifests") if kind in INDEX_TYPES else ()
    layers = _descriptors(fields, "layers") if kind in IMAGE_TYPES else ()
    config = Descriptor.from_json(fields.get("config"), "config") if kind in IMAGE_TYPES else None
    subject = fields.get("subject")
    artifact_type = optional_string(fields.get("artifactType"), "artifactType")
    return Manifest(
        media_type=kind,
        manifests=manifests,
        config=config,
        layers=layers,
        subject=None if subject is None else Descriptor.from_json(subject, "subject"),
        artifact_type=artifact_type or (config.media_type if config else ""),
        annotations=check_annotations(fields.get("annotations"), "annotations"),
    )


def _check_confusion(fields: Mapping[str, Any], kind: str) -> None:
    """Whether what makes the other kind stands in it. Raises MalformedError."""
    forbidden = ("layers", "config", "fsLayers") if kind in INDEX_TYPES else ("manifests", "fsLayers")
    for key in forbidden:
        if key in fields:
            raise MalformedError(
                "confusion of manifest and index", thing=f"{key} in a {kind}", remedy="use one or the other"
            )


def _media_type(fields: dict[str, Any], announced: str | None) -> str:
    embedded = fields.get("mediaType")
    if embedded is not None:
        check_media_type(embedded, "mediaType")
        if announced is not None and embedded != announced:
            raise MalformedError(
                "confusion of media types",
                thing=f"{embedded} inside, announced as {announced}"[:240],
                remedy="both must be the same",
            )
    guess = OCI_INDEX if "manifests" in fields else OCI_MANIFEST
    kind = announced or embedded or guess
    if embedded is None and kind != guess and kind in MANIFEST_TYPES:
        # The type of bytes that name none follows from the bytes: one digest has one type, whoever announces it.
        raise MalformedError(
            "confusion of media types",
            thing=f"announced as {kind}, without mediaType it is {guess}",
            remedy="name the type in mediaType",
        )
    if kind not in MANIFEST_TYPES:
        raise MalformedError(
            "unsupported manifest media type", thing=repr(kind)[:160], remedy="use an OCI or Docker schema 2 type"
        )
    return str(kind)


def _descriptors(fields: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    # Go writes an empty list as null; an image's layers may be left out (image specification: artifacts without
    # content), while an index is known by its list.
    listed = fields.get(key, [] if key == "layers" else None)
    if listed is None and key in fields:
        listed = []
    if not isinstance(listed, list):
        raise MalformedError(f"{key} is not a list", thing=repr(listed)[:80])
    if len(listed) > limits.MANIFEST_DESCRIPTORS:
        raise MalformedError(
            f"{key} has too many entries",
            thing=str(len(listed)),
            remedy=f"the ceiling is {limits.MANIFEST_DESCRIPTORS}",
        )
    return tuple(Descriptor.from_json(entry, f"{key}[{number}]") for number, entry in enumerate(listed))
