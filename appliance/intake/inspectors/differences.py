"""Differences: of each tag that moves, what changes inside: size, configuration, and the components of its SBOM; and
which images have no signature beside them. Carried SBOMs and signatures are compared and counted, never believed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any, Final

from appliance.intake.content import Checked
from appliance.intake.image_signers import signable
from appliance.intake.inspectors import components
from appliance.intake.inspectors.port import Listing, Subject, listed
from appliance.limits import archives as archives_limits
from appliance.limits import intake as limits
from appliance.limits import sbom as sbom_limits
from bundles import limits as bundle_limits
from bundles.documents.signed import Section
from bundles.errors import FailedError, LockgateError, MalformedError
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import SBOM_TYPES
from bundles.oci.manifest import Manifest, parse_manifest

_FIELDS: Final = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
"""What of an image's configuration decides how it runs (image specification, config.md)."""


class _Moved:
    """What is listed of the tags that move, within `limits.DIFFERENCES_SIZE` in all; the others are counted."""

    def __init__(self) -> None:
        self.listing, self.unread = Listing[Any]("moved"), Listing[str]("unread")
        self.changed = 0
        self._room = limits.DIFFERENCES_SIZE

    def add(self, entry: dict[str, Any]) -> None:
        self.changed += any(entry.get(name) for name in ("configuration", "added", "removed"))
        self._room -= len(strict_json.canonical(entry))
        if self._room > 0:
            self.listing.add(entry)
        else:
            self.listing.count += 1


def inspect(subject: Subject) -> Section:
    """`note` where configuration or components change, or an image has no signature."""
    moved, until = _Moved(), time.monotonic() + limits.DIFFERENCES_TIME
    for entry in subject.checked:
        for tag in entry.artifact.tags:
            served = subject.metadata.tagged_manifest(entry.artifact.repository, tag)
            if served is None or str(served.digest) == entry.artifact.digest:
                continue
            reference = f"{entry.artifact.repository}:{tag}"
            try:
                before = _read(subject, str(served.digest), served.media_type)
                found = {"reference": reference, **_compare(subject, entry, before)}
            except LockgateError as error:
                moved.unread.add(f"{reference}: {error.diagnostics()}")
                continue
            try:
                found |= _compare_sboms(subject, entry, served.digest, until)
            except LockgateError as error:  # what else changes is listed all the same
                moved.unread.add(f"{reference}: {error.diagnostics()}")
            moved.add(found)
    signed = {entry.subject for entry in subject.opened.manifest.signatures}
    images = [entry for entry in signable(subject.blobs, subject.checked) if entry.kind in ("image", "index")]
    covered = signed | _beneath(images, signed)
    bare = [entry.name for entry in images if entry.artifact.digest not in covered]
    return Section(
        inspector="differences",
        outcome="note" if moved.changed or bare or moved.unread else "ok",
        summary=f"{_changes(moved.changed, len(moved.listing))}; "
        f"{len(images) - len(bare)} of {some(len(images), 'image')} came with a signature",
        details={**moved.listing.details(), **listed("images_without_signature", bare), **moved.unread.details()},
    )


def _changes(changed: int, moved: int) -> str:
    if not moved:
        return "no existing tags change"
    return f"{changed} of {some(moved, 'moved tag')} {'changes' if changed == 1 else 'change'} inside"


def _beneath(images: Iterable[Checked], signed: set[str]) -> set[str]:
    """The digests that a signed index among the images names."""
    parents = (one.manifest for one in images if one.artifact.digest in signed)
    return {str(child.digest) for manifest in parents for child in manifest.manifests}


def _read(subject: Subject, digest: str, media_type: str) -> Manifest:
    with subject.blobs.open_blob(Digest.parse(digest)) as file:
        return parse_manifest(file.read(bundle_limits.OCI_MANIFEST + 1), media_type)


def _compare(subject: Subject, entry: Checked, before: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = {"bytes_before": _bytes(before), "bytes": _bytes(entry.manifest)}
    old, new = _configuration(subject, before.config), _configuration(subject, entry.manifest.config)
    changed = [name for name in _FIELDS if old.get(name) != new.get(name)]
    if changed:
        found["configuration"] = [
            {"field": name, "before": _brief(old.get(name)), "now": _brief(new.get(name))} for name in changed
        ]
    return found


def _compare_sboms(subject: Subject, entry: Checked, served: Digest, until: float) -> dict[str, Any]:
    """The components that change, where both images have an SBOM. Raises LockgateError for one that cannot be read,
    and for both where it is past `until` (time.monotonic)."""
    was, coming = _served_sbom(subject, entry, served), _coming_sbom(subject, entry)
    if was is None or coming is None or was.digest == coming.digest:
        return {}
    if time.monotonic() > until:
        raise FailedError("its SBOM was not compared: the others took too long")
    blobs = subject.blobs
    return components.compare(lambda: blobs.open_blob(was.digest), lambda: blobs.open_blob(coming.digest))


def _bytes(manifest: Manifest) -> int:
    return sum(blob.size for blob in manifest.blobs)


def _brief(value: Any) -> str:
    try:
        return strict_json.canonical(value).decode()[:300]
    except MalformedError:  # a lone surrogate, or a number that RFC 8785 does not keep
        return json.dumps(value, sort_keys=True)[:300]


def _configuration(subject: Subject, config: Descriptor | None) -> dict[str, Any]:
    if config is None or config.size > archives_limits.CONFIG_READ:
        return {}
    with subject.blobs.open_blob(config.digest) as file:
        raw = file.read(archives_limits.CONFIG_READ)
    try:
        fields = strict_json.loads(
            raw,
            ceiling=archives_limits.CONFIG_READ,
            nodes=archives_limits.CONFIG_NODES,
            what="configuration",
            floats=True,
        )
    except LockgateError:
        return {}
    inner = fields.get("config") if isinstance(fields, dict) else None
    return inner if isinstance(inner, dict) else {}


def _coming_sbom(subject: Subject, entry: Checked) -> Descriptor | None:
    named = {one.digest for one in subject.opened.manifest.sboms if one.subject == entry.artifact.digest}
    return _document(one.manifest for one in subject.checked if one.artifact.digest in named)


def _served_sbom(subject: Subject, entry: Checked, served: Digest) -> Descriptor | None:
    for facts in subject.metadata.each_referrer(entry.artifact.repository, served):
        if facts.artifact_type in SBOM_TYPES:
            return _document([_read(subject, str(facts.digest), facts.media_type)])
    return None


def _document(manifests: Iterable[Manifest]) -> Descriptor | None:
    """The SBOM itself: the first layer. Raises FailedError for one that is too large to look into."""
    first = next((layer for manifest in manifests for layer in manifest.layers), None)
    if first is not None and first.size > sbom_limits.SBOM_DOCUMENT:
        raise FailedError("an SBOM is too large to be compared", thing=f"{first.digest}, {first.size} bytes")
    return first
