"""Artifacts: what came, by kind, as this station reads it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from appliance import limits
from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Listing, Subject
from bundles import strict_json
from bundles.documents import Section
from bundles.errors import MalformedError
from bundles.oci.descriptor import Platform
from bundles.oci.manifest import DOCKER_CONFIG, OCI_CONFIG
from bundles.ports import BlobReader

_PLATFORM: Final = re.compile(r"[A-Za-z0-9._/-]{1,100}\Z")


def inspect(subject: Subject) -> Section:
    """Each artifact with its kind, platform and size, by its own manifest. `fail` where the bundle announced another
    kind, `note` where it announced another platform."""
    kinds: Counter[str] = Counter()
    found, odd, other = Listing[Any]("artifacts"), Listing[str]("platforms_differ"), Listing[str]("kinds_differ")
    for entry in subject.checked:
        fields = _describe(entry, subject.blobs)
        kinds[entry.kind] += 1
        found.add(fields)
        if "kind_announced" in fields:
            other.add(f"{entry.name}: {entry.kind}, announced as {entry.artifact.kind}")
        if "platform_announced" in fields:
            odd.add(f"{entry.name}: {fields['platform']}, announced as {fields['platform_announced']}")
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
    return Section(
        inspector="artifacts",
        outcome="fail" if other else "note" if odd else "ok",
        summary=counted
        + (f"; {len(other)} of another kind than announced" if other else "")
        + (f"; {len(odd)} of another platform than announced" if odd else ""),
        details={"kinds": dict(kinds), **other.details(), **found.details(), **odd.details()},
    )


def _describe(entry: Checked, blobs: BlobReader) -> dict[str, Any]:
    artifact, manifest = entry.artifact, entry.manifest
    platform = _platform(entry, blobs)
    fields = {
        "repository": artifact.repository,
        "tags": list(artifact.tags),
        "digest": artifact.digest,
        "media_type": manifest.media_type,
        "kind": entry.kind,
        "platform": platform or artifact.platform,
        "bytes": artifact.size + sum(blob.size for blob in manifest.blobs),
    }
    if entry.kind != artifact.kind:
        fields["kind_announced"] = artifact.kind
    if platform and artifact.platform and not _agree(platform, artifact.platform):
        fields["platform_announced"] = artifact.platform
    return fields


def _platform(entry: Checked, blobs: BlobReader) -> str:
    """The platform in an image's own configuration (image specification, config.md), or nothing."""
    config = entry.manifest.config
    if config is None or config.media_type not in (OCI_CONFIG, DOCKER_CONFIG) or config.size > limits.CONFIG_READ:
        return ""
    with blobs.open_blob(config.digest) as file:
        raw = file.read(limits.CONFIG_READ)
    try:
        said = Platform.from_json(
            strict_json.loads(
                raw, ceiling=limits.CONFIG_READ, nodes=limits.CONFIG_NODES, what="configuration", floats=True
            )
        )
    except MalformedError:
        return ""
    return str(said) if _PLATFORM.match(str(said)) else ""


def _agree(one: str, two: str) -> bool:
    """Whether two platforms are one; a variant that only one of them names is no difference."""
    return all(first == second for first, second in zip(one.split("/"), two.split("/"), strict=False))
