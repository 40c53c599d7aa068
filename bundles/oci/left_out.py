"""The record of platforms that were left out of an index: whoever collected it wanted others alone.

The index keeps its bytes and its digest, and names manifests that are not there. So that nobody takes that for damage,
and nobody for a whole index, a manifest refers to it (`subject`) and names them. It is carried with the index, under
the bundle's signatures, as all is that refers to something. It permits an absence and makes none: what is there counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bundles.errors import LockgateError
from bundles.io import strict_json
from bundles.oci.descriptor import Descriptor, is_platform
from bundles.oci.digest import Digest
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST

PLATFORMS_TYPE: Final = "application/vnd.lockgate.platforms.v1"
"""The artifactType of such a record."""

_LEFT_OUT: Final = "vnd.lockgate.platforms.left-out"
"""Its annotation: a JSON object, by the digest of each manifest that was left out its platform, "" for none."""

_MOST: Final = 256 * 1024


def record_of(index: Descriptor, left: Sequence[Descriptor]) -> bytes:
    """The record's bytes: the same for the same index and manifests."""
    empty = {"mediaType": OCI_EMPTY, "digest": str(Digest.of(EMPTY_JSON)), "size": len(EMPTY_JSON)}
    said = {str(child.digest): str(child.platform or "") for child in left}
    return strict_json.canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": PLATFORMS_TYPE,
            "config": empty,
            "layers": [empty],
            "subject": {"mediaType": index.media_type, "digest": str(index.digest), "size": index.size},
            "annotations": {_LEFT_OUT: strict_json.canonical(said).decode()},
        }
    )


def left_out_by(artifact_type: str, annotations: Mapping[str, str]) -> dict[Digest, str]:
    """What a manifest of this type says was left out of its subject, by digest its platform; nothing where it is no
    record, or none that can be read: then nothing is permitted."""
    said = annotations.get(_LEFT_OUT, "")
    if artifact_type != PLATFORMS_TYPE or not said:
        return {}
    try:
        listed = strict_json.loads(said.encode(), ceiling=_MOST, nodes=20_000, what="platforms")
        platforms = listed.values() if isinstance(listed, dict) else [None]
        if not all(isinstance(one, str) and is_platform(one) for one in platforms):
            return {}
        return {Digest.parse(digest): platform for digest, platform in listed.items()}
    except (LockgateError, UnicodeEncodeError):
        return {}
