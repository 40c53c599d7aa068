"""When an image at a registry was made, by its configuration (image specification, config.md, `created`).

Its builder says so, and many say 1970 or nothing: it chooses among tags, and decides nothing else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from appliance.limits import archives as archives_limits
from appliance.outgoing.collect.registry_client import RegistryClient
from bundles.errors import MalformedError, NotFoundError, RefusedError
from bundles.io import strict_json
from bundles.io.times import FORMAT
from bundles.oci.digest import Digest
from bundles.oci.kinds import is_runnable
from bundles.oci.manifest import Manifest, parse_manifest

_CREATED: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
"""RFC 3339, section 5.6."""

_UNKNOWN: Final = "unknown"
"""The platform that BuildKit gives to attestations in an index."""


async def made_at(client: RegistryClient, tag: str) -> str | None:
    """When the image of a tag was made, of an index its first image; None where it does not say, or is no image, or is
    gone. Raises a LockgateError where the registry fails, or gives other bytes than were asked for."""
    try:
        found = await client.document(f"manifests/{tag}")
        manifest = parse_manifest(found.raw, found.media_type)
        if manifest.is_index:
            child = _first(manifest)
            if child is None:
                return None
            manifest = parse_manifest(await _at(client, "manifests", child))
        if manifest.config is None or not is_runnable(manifest):
            return None
        return created_of(await _at(client, "blobs", manifest.config.digest))
    except (MalformedError, NotFoundError):
        return None


def created_of(config: bytes) -> str | None:
    """`created` of a configuration, in UTC; None where it says none. Raises MalformedError for what is no JSON."""
    document: Any = strict_json.loads(
        config, ceiling=archives_limits.CONFIG_READ, nodes=archives_limits.CONFIG_NODES, what="config", floats=True
    )
    said = document.get("created") if isinstance(document, dict) else None
    match = _CREATED.match(said) if isinstance(said, str) else None
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1] + match[2]).astimezone(UTC).strftime(FORMAT).rjust(20, "0")
    except (ValueError, OverflowError):
        return None


def _first(index: Manifest) -> Digest | None:
    for child in index.manifests:
        if child.platform is None or child.platform.os != _UNKNOWN:
            return child.digest
    return None


async def _at(client: RegistryClient, kind: str, digest: Digest) -> bytes:
    raw = (await client.document(f"{kind}/{digest}")).raw
    if Digest.of(raw, digest.algorithm) != digest:
        raise RefusedError("the registry gives other bytes than it was asked for", thing=str(digest))
    return raw
