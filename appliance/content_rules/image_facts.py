"""A manifest and its configuration as rules about whole images see them, and what these say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.content_rules.registry import RuleSet
from appliance.content_rules.rule import ImageFacts, Outline
from appliance.content_rules.watching import BlobLook, BlobWatch
from bundles import limits
from bundles.errors import LockgateError
from bundles.io import strict_json
from bundles.oci.kinds import is_runnable
from bundles.oci.manifest import Manifest
from bundles.ports import BlobReader


def image_look(
    rules: RuleSet, salt: bytes, blobs: BlobReader, manifest: Manifest, layers: Sequence[Outline | None], at: str
) -> BlobLook:
    """What the rules about whole images say of a manifest that is no index. `layers` are outlines of its layers, the
    lowest first; a configuration that cannot be read is one that says nothing. Raises what the store raises."""
    config = _config(blobs, manifest)
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    types = [manifest.media_type, *([manifest.config.media_type] if manifest.config else [])]
    facts = ImageFacts(
        runs=is_runnable(manifest),
        media_types=[*types, *(layer.media_type for layer in manifest.layers)],
        annotations={**_texts(labels), **_texts(manifest.annotations)},
        config=config,
        layers=layers,
        at=at,
    )
    with BlobWatch(rules, salt) as watch:
        watch.image(facts)
        return watch.end()


def _config(blobs: BlobReader, manifest: Manifest) -> dict[str, Any]:
    if manifest.config is None or manifest.config.size > limits.OCI_MANIFEST or not is_runnable(manifest):
        return {}
    with blobs.open_blob(manifest.config.digest) as file:
        raw = file.read(limits.OCI_MANIFEST)
    try:
        found = strict_json.loads(
            raw, ceiling=limits.OCI_MANIFEST, nodes=limits.OCI_MANIFEST_NODES, what="configuration", floats=True
        )
    except LockgateError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(fields: Any) -> dict[str, str]:
    if not isinstance(fields, Mapping):
        return {}
    return {str(name): value for name, value in fields.items() if isinstance(value, str)}
