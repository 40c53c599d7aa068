"""The bundle manifest's bytes: encoding and strict decoding.

A manifest that decodes is canonical (its bytes are the only ones for its content), closed (no unknown field outside
`extensions`), and consistent (bundles.manifest_check).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bundles import limits, strict_json
from bundles.errors import FailedError, MalformedError, RefusedError
from bundles.manifest import FORMAT_MAJOR, KNOWN_CRIT, TYPE, BundleManifest
from bundles.manifest_check import check

_NAME: Final = "manifest.json"


def encode(manifest: BundleManifest) -> bytes:
    """Canonical bytes. Raises MalformedError where the manifest is not consistent, FailedError where it is too large
    for any reader."""
    check(manifest)
    raw = strict_json.canonical(msgspec.to_builtins(manifest))
    if len(raw) > limits.BUNDLE_MANIFEST:
        raise FailedError(
            "the bundle names too much for one manifest",
            thing=f"{len(raw)} bytes, at most {limits.BUNDLE_MANIFEST}",
            remedy="build several bundles of fewer artifacts",
        )
    return raw


def decode(raw: bytes) -> BundleManifest:
    """The manifest in `raw`.

    Raises RefusedError for a newer major format or an unknown `crit`; MalformedError for everything else that is not
    the one canonical form of a consistent manifest.
    """
    document = strict_json.loads(raw, ceiling=limits.BUNDLE_MANIFEST, what=_NAME)
    _check_readable(document)
    try:
        manifest = msgspec.convert(document, BundleManifest, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError(f"{_NAME} is not a bundle manifest", thing=str(error)[:160]) from None
    if strict_json.canonical(msgspec.to_builtins(manifest)) != raw:
        raise MalformedError(
            f"{_NAME} is not canonical", remedy="RFC 8785; a default is written, an absent field is absent"
        )
    check(manifest)
    return manifest


def _check_readable(document: Any) -> None:
    """What decides whether this reader may read on at all, looked at before anything else."""
    fields = document if isinstance(document, dict) else {}
    if fields.get("type") != TYPE:
        raise MalformedError(f"{_NAME} is another kind of document", thing=repr(fields.get("type"))[:100])
    form = fields.get("format")
    major = form.get("major") if isinstance(form, dict) else None
    if major != FORMAT_MAJOR:
        raise RefusedError(
            "a bundle of another major format",
            thing=repr(major)[:40],
            remedy=f"this Lockgate reads {FORMAT_MAJOR}: update it",
        )
    crit = fields.get("crit")
    unknown = sorted({str(name) for name in crit} - KNOWN_CRIT) if isinstance(crit, list) else []
    if unknown:
        raise RefusedError(
            "a bundle that needs features this Lockgate lacks", thing=", ".join(unknown)[:160], remedy="update it"
        )
