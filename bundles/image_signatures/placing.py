"""Carriers for signed documents: the manifest below cosign's tag, or the one that refers to the image.

The media type of a document says where it belongs. Nothing here verifies: who places a document has had it verified
(`bundles.image_signatures.carriers`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bundles import limits
from bundles.errors import LockgateError, RefusedError
from bundles.image_signatures import cosign_legacy, dsse, notation, notation_jws, sigstore_bundle
from bundles.image_signatures.making import Made
from bundles.image_signatures.verdict import Refusal
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import EMPTY_JSON, OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST, parse_manifest

_SUFFIX: Final = {cosign_legacy.MEDIA_TYPE: "sig", dsse.MEDIA_TYPE: "att"}
REFERRING: Final = {
    sigstore_bundle.MEDIA_TYPE: sigstore_bundle.MEDIA_TYPE,
    notation_jws.MEDIA_TYPE: notation.ARTIFACT_TYPE,
}
"""Media types of documents that refer to their image, each with the `artifactType` of what brings it."""
TAKEN: Final = (*_SUFFIX, *REFERRING)
"""The media types of documents that have a place."""
_CREATED: Final = "org.opencontainers.image.created"
_CONTENT: Final = "dev.sigstore.bundle.content"
_THUMBPRINTS: Final = "io.cncf.notary.x509chain.thumbprint#S256"
_NEVER: Final = "0001-01-01T00:00:00Z"
"""The time that cosign gives, so that the same signatures make the same manifest."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A carrier: its manifest's bytes, its configuration's, and the tag where it belongs ("" for a referrer)."""

    manifest: bytes
    config: bytes
    tag: str


def tag_of(media_type: str, digest: Digest) -> str:
    """Cosign's tag at which a document of this type belongs, "" where it refers to the image instead."""
    suffix = _SUFFIX.get(media_type)
    return "" if suffix is None else f"{digest.algorithm}-{digest.hex}.{suffix}"


def layer_of(made: Made, predicate_type: str) -> Descriptor:
    """The layer that brings a document. `predicate_type` is what its statement says, "" where it has none."""
    notes = {
        cosign_legacy.MEDIA_TYPE: {cosign_legacy.SIGNATURE: made.signature},
        dsse.MEDIA_TYPE: {cosign_legacy.SIGNATURE: "", "predicateType": predicate_type},
    }
    return Descriptor(
        made.media_type, Digest.of(made.document), len(made.document), annotations=notes.get(made.media_type, {})
    )


def referrer(layer: Descriptor, subject: Descriptor, at: str, notes: Mapping[str, str]) -> Placed:
    """The manifest that refers to `subject`, as cosign 3 and notation write it. `notes` are the annotations that its
    document asks for (`notes_of`)."""
    artifact_type = REFERRING[layer.media_type]
    config = _told(Descriptor(OCI_EMPTY, Digest.of(EMPTY_JSON), len(EMPTY_JSON)))
    if layer.media_type == sigstore_bundle.MEDIA_TYPE:
        config["artifactType"] = artifact_type
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": config,
        "layers": [_told(layer)],
        "subject": _told(subject),
        "annotations": {_CREATED: at, **notes},
    }
    return Placed(strict_json.canonical(fields), EMPTY_JSON, "")


def notes_of(made: Made, predicate_type: str) -> dict[str, str]:
    """What the carrier of a verified document that refers to its image announces: the predicate type, or the sha256 of
    each certificate of the chain."""
    if made.media_type == sigstore_bundle.MEDIA_TYPE:
        return {_CONTENT: "dsse-envelope", sigstore_bundle.PREDICATE: predicate_type}
    chain = notation_jws.chain_of(made.document)
    return {_THUMBPRINTS: json.dumps([hashlib.sha256(der).hexdigest() for der in chain])}


def below_tag(layer: Descriptor, tag: str, before: bytes | None) -> Placed | None:
    """The manifest with one more layer than `before`, the one that stands at the tag; None where it has that layer.

    Raises RefusedError where what stands there is no list of such documents, or is full.
    """
    layers = [] if before is None else _layers(before, layer.media_type, tag)
    told = _told(layer)
    if any(one.get("digest") == told["digest"] and _signature(one) == _signature(told) for one in layers):
        return None
    if len(layers) >= limits.IMAGE_SIGNATURES:
        raise RefusedError(
            f"{some(len(layers), 'signature stands', 'signatures stand')} at the tag, and no more are looked at",
            thing=tag,
            remedy="sign with --format sigstore",
            code=Refusal.TOO_MANY.value,
        )
    layers.append(told)
    config = strict_json.canonical(
        {
            "architecture": "",
            "config": {},
            "created": _NEVER,
            "history": [{"created": _NEVER}] * len(layers),
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [one["digest"] for one in layers]},
        }
    )
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _told(Descriptor(OCI_CONFIG, Digest.of(config), len(config))),
        "layers": layers,
    }
    return Placed(strict_json.canonical(fields), config, tag)


def _layers(raw: bytes, media_type: str, tag: str) -> list[dict[str, Any]]:
    """The layers of what stands at a tag, as they are written there."""
    try:
        manifest = parse_manifest(raw)
    except LockgateError:
        manifest = None
    if manifest is None or manifest.is_index or any(layer.media_type != media_type for layer in manifest.layers):
        raise RefusedError(
            "what stands at the tag is no list of signatures",
            thing=tag,
            remedy="look at it: lockgate repo show; or sign with --format sigstore",
            code=Refusal.UNSUPPORTED.value,
        )
    document: dict[str, Any] = strict_json.loads(
        raw, ceiling=limits.OCI_MANIFEST, nodes=limits.OCI_MANIFEST_NODES, what="manifest", floats=True
    )
    layers: list[dict[str, Any]] = document["layers"]
    return layers


def _signature(layer: Mapping[str, Any]) -> str:
    return str((layer.get("annotations") or {}).get(cosign_legacy.SIGNATURE, ""))


def _told(one: Descriptor) -> dict[str, Any]:
    notes = {"annotations": dict(one.annotations)} if one.annotations else {}
    return {"mediaType": one.media_type, "digest": str(one.digest), "size": one.size, **notes}
