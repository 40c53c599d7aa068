"""Artifacts: what came, by kind, as this station reads it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Listing, Subject
from appliance.limits import archives as limits
from bundles.documents.signed import Section
from bundles.errors import MalformedError
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.descriptor import Platform
from bundles.oci.left_out import left_out_by
from bundles.oci.manifest import DOCKER_CONFIG, OCI_CONFIG
from bundles.ports import BlobReader

_MALFORMED: Final = "?"
"""In the place of a platform: the configuration says one that is none."""


def inspect(subject: Subject) -> Section:
    """Each artifact with its kind, platform and size, by its own manifest. `fail` where the bundle announced another
    kind, or a configuration says a platform that is none; `note` where another platform was announced, a layer that is
    not to be distributed did not come, or platforms of an index were left out."""
    kinds: Counter[str] = Counter()
    found, odd, other = Listing[Any]("artifacts"), Listing[str]("platforms_differ"), Listing[str]("kinds_differ")
    wrong, lacking = Listing[str]("platforms_malformed"), Listing[str]("foreign_layers_not_carried")
    came = {(one.artifact.repository, one.artifact.digest) for one in subject.checked}
    left = Listing[str]("platforms_left_out")
    for entry in subject.checked:
        fields = _describe(entry, subject.blobs)
        kinds[entry.kind] += 1
        found.add(fields)
        if "kind_announced" in fields:
            other.add(f"{entry.name}: {entry.kind}, announced as {entry.artifact.kind}")
        if fields.get("platform_malformed"):
            wrong.add(entry.name)
        if "platform_announced" in fields:
            odd.add(f"{entry.name}: {fields['platform']}, announced as {fields['platform_announced']}")
        for layer in entry.manifest.foreign:
            if layer not in entry.foreign:
                lacking.add(f"{entry.name}: {layer.digest}")
        for digest, platform in left_out_by(entry.manifest.artifact_type, entry.manifest.annotations).items():
            if entry.manifest.subject is not None and (entry.artifact.repository, str(digest)) not in came:
                left.add(f"{entry.artifact.repository}@{entry.manifest.subject.digest}: {platform or digest}")
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
    return Section(
        inspector="artifacts",
        outcome="fail" if other or wrong else "note" if odd or lacking or left else "ok",
        summary=counted
        + (f"; {len(other)} of another kind than announced" if other else "")
        + (f"; {len(wrong)} that say a platform that is none" if wrong else "")
        + (f"; {len(odd)} of another platform than announced" if odd else "")
        + (f"; {some(len(lacking), 'foreign layer was', 'foreign layers were')} not carried" if lacking else "")
        + (f"; {some(len(left), 'manifest of an index was', 'manifests of indexes were')} left out" if left else ""),
        details={
            "kinds": dict(kinds),
            **other.details(),
            **found.details(),
            **odd.details(),
            **(wrong.details() if wrong else {}),
            **(lacking.details() if lacking else {}),
            **(left.details() if left else {}),
        },
    )


def _describe(entry: Checked, blobs: BlobReader) -> dict[str, Any]:
    artifact, manifest = entry.artifact, entry.manifest
    said = _platform(entry, blobs)
    platform = "" if said == _MALFORMED else said
    fields = {
        "repository": artifact.repository,
        "tags": list(artifact.tags),
        "digest": artifact.digest,
        "media_type": manifest.media_type,
        "kind": entry.kind,
        "platform": platform or artifact.platform,
        "bytes": artifact.size + sum(blob.size for blob in entry.blobs),
    }
    if entry.kind != artifact.kind:
        fields["kind_announced"] = artifact.kind
    if said == _MALFORMED:
        fields["platform_malformed"] = True
    if platform and artifact.platform and not _agree(platform, artifact.platform):
        fields["platform_announced"] = artifact.platform
    return fields


def _platform(entry: Checked, blobs: BlobReader) -> str:
    """The platform in an image's own configuration (image specification, config.md), nothing where there is none, or
    `_MALFORMED`."""
    config = entry.manifest.config
    if config is None or config.media_type not in (OCI_CONFIG, DOCKER_CONFIG) or config.size > limits.CONFIG_READ:
        return ""
    with blobs.open_blob(config.digest) as file:
        raw = file.read(limits.CONFIG_READ)
    try:
        document = strict_json.loads(
            raw, ceiling=limits.CONFIG_READ, nodes=limits.CONFIG_NODES, what="configuration", floats=True
        )
    except MalformedError:
        return ""
    try:
        return str(Platform.from_json(document))
    except MalformedError:
        return _MALFORMED


def _agree(one: str, two: str) -> bool:
    """Whether two platforms are one; a variant that only one of them names is no difference."""
    return all(first == second for first, second in zip(one.split("/"), two.split("/"), strict=False))
