"""What a manifest's bytes say, beside what its row in the database says.

Type, artifact type, subject, annotations and size stand in a row, for the lists of the registry. They follow from the
bytes, whose digest names them: where both differ, the row was changed by hand or is damaged.
"""

from __future__ import annotations

import json
from typing import Final

from appliance.store.reads.content import ManifestFacts
from bundles.errors import MalformedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_FIELDS: Final = ("media_type", "artifact_type", "subject", "size", "annotations")


def facts_of(digest: Digest, raw: bytes) -> ManifestFacts | None:
    """What the bytes say; None for bytes that this version does not take for a manifest."""
    try:
        manifest = parse_manifest(raw)
    except MalformedError:  # taken in under other rules, by an earlier version
        return None
    return ManifestFacts(
        digest=digest,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=manifest.subject.digest if manifest.subject else None,
        size=len(raw),
        annotations_json=json.dumps(dict(manifest.annotations), ensure_ascii=False),
    )


def as_the_bytes_say(facts: ManifestFacts, raw: bytes) -> ManifestFacts:
    """A row's facts, as the bytes say them; unchanged where they are right, or where nothing can be said of the
    bytes."""
    derived = facts_of(facts.digest, raw)
    return facts if derived is None or not differences(facts, derived) else derived


def differences(one: ManifestFacts, other: ManifestFacts) -> list[str]:
    """The names of the fields in which two differ."""
    return [name for name in _FIELDS if _value(one, name) != _value(other, name)]


def _value(facts: ManifestFacts, name: str) -> object:
    try:
        return getattr(facts, name)
    except ValueError:  # annotations that are no JSON
        return None
