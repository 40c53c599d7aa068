"""Differences: of each tag that moves, what changes inside: size, configuration, and the components of its SBOM; and
which images have no signature beside them. Carried SBOMs and signatures are compared and counted, never believed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from appliance import limits
from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Subject, listed
from bundles import limits as bundle_limits
from bundles import strict_json
from bundles.documents import Section
from bundles.errors import LockgateError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import SBOM_TYPES
from bundles.oci.manifest import Manifest, parse_manifest

_FIELDS: Final = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
"""What of an image's configuration decides how it runs (image specification, config.md)."""


def inspect(subject: Subject) -> Section:
    """`note` where configuration or components change, or an image has no signature."""
    moved, unread = [], []
    for entry in subject.checked:
        for tag in entry.artifact.tags:
            served = subject.metadata.tagged_manifest(entry.artifact.repository, tag)
            if served is None or str(served.digest) == entry.artifact.digest:
                continue
            reference = f"{entry.artifact.repository}:{tag}"
            try:
                before = _read(subject, str(served.digest), served.media_type)
                moved.append({"reference": reference, **_compare(subject, entry, before, served.digest)})
            except LockgateError as error:
                unread.append(f"{reference}: {error.diagnostics()}")
    signed = {entry.subject for entry in subject.opened.manifest.signatures}
    images = [entry for entry in subject.checked if entry.kind in ("image", "index")]
    covered = signed | _beneath(images, signed)
    bare = [entry.name for entry in images if entry.artifact.digest not in covered]
    changed = [one for one in moved if one.get("configuration") or one.get("added") or one.get("removed")]
    return Section(
        inspector="differences",
        outcome="note" if changed or bare or unread else "ok",
        summary=f"{len(changed)} of {len(moved)} moved tags change inside; "
        f"{len(images) - len(bare)} of {len(images)} images came with a signature",
        details={**listed("moved", moved), **listed("images_without_signature", bare), **listed("unread", unread)},
    )


def _beneath(images: Iterable[Checked], signed: set[str]) -> set[str]:
    """The digests that a signed index among the images names."""
    parents = (one.manifest for one in images if one.artifact.digest in signed)
    return {str(child.digest) for manifest in parents for child in manifest.manifests}


def _read(subject: Subject, digest: str, media_type: str) -> Manifest:
    with subject.blobs.open_blob(Digest.parse(digest)) as file:
        return parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1), media_type)


def _compare(subject: Subject, entry: Checked, before: Manifest, served: Digest) -> dict[str, Any]:
    found: dict[str, Any] = {"bytes_before": _bytes(before), "bytes": _bytes(entry.manifest)}
    old, new = _configuration(subject, before.config), _configuration(subject, entry.manifest.config)
    changed = [name for name in _FIELDS if old.get(name) != new.get(name)]
    if changed:
        found["configuration"] = [
            {"field": name, "before": _brief(old.get(name)), "now": _brief(new.get(name))} for name in changed
        ]
    was, is_ = _served_components(subject, entry, served), _coming_components(subject, entry)
    if was is not None and is_ is not None:
        found |= listed("added", sorted(is_ - was)) | listed("removed", sorted(was - is_))
    return found


def _bytes(manifest: Manifest) -> int:
    return sum(blob.size for blob in manifest.blobs)


def _brief(value: Any) -> str:
    return strict_json.canonical(value).decode()[:300]


def _configuration(subject: Subject, config: Descriptor | None) -> dict[str, Any]:
    if config is None or config.size > limits.CONFIG_READ:
        return {}
    with subject.blobs.open_blob(config.digest) as file:
        raw = file.read(limits.CONFIG_READ)
    try:
        fields = strict_json.loads(
            raw, ceiling=limits.CONFIG_READ, nodes=limits.CONFIG_NODES, what="configuration", floats=True
        )
    except LockgateError:
        return {}
    inner = fields.get("config") if isinstance(fields, dict) else None
    return inner if isinstance(inner, dict) else {}


def _coming_components(subject: Subject, entry: Checked) -> set[str] | None:
    named = {one.digest for one in subject.opened.manifest.sboms if one.subject == entry.artifact.digest}
    manifests = [one.manifest for one in subject.checked if one.artifact.digest in named]
    return _components(subject, manifests)


def _served_components(subject: Subject, entry: Checked, served: Digest) -> set[str] | None:
    rows = [
        facts for facts in subject.metadata.each_referrer(entry.artifact.repository, served)
        if facts.artifact_type in SBOM_TYPES
    ]  # fmt: skip
    return _components(subject, [_read(subject, str(facts.digest), facts.media_type) for facts in rows[:1]])


def _components(subject: Subject, manifests: list[Manifest]) -> set[str] | None:
    """`name version` of every component that an SBOM lists (CycloneDX 1.6, components; SPDX 2.3, packages)."""
    for manifest in manifests:
        for layer in manifest.layers:
            if layer.size > limits.SBOM_DOCUMENT:
                continue
            with subject.blobs.open_blob(layer.digest) as file:
                raw = file.read(limits.SBOM_DOCUMENT)
            fields = strict_json.loads(
                raw, ceiling=limits.SBOM_DOCUMENT, nodes=limits.SBOM_NODES, what="an SBOM", floats=True
            )
            if not isinstance(fields, dict):
                continue
            listing = fields.get("components", fields.get("packages", []))
            return {
                f"{one.get('name', '')} {one.get('version', one.get('versionInfo', ''))}".strip()
                for one in (listing if isinstance(listing, list) else [])
                if isinstance(one, dict)
            }
    return None
