"""The bundle manifest's bytes: encoding and strict decoding.

A manifest that decodes is canonical (its bytes are the only ones for its content), closed (no unknown field outside
`extensions`), and consistent (bundles.format.manifest_check).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bundles import limits
from bundles.errors import FailedError, MalformedError, RefusedError
from bundles.format.manifest import FORMAT_MAJOR, KNOWN_CRIT, TYPE, BundleManifest
from bundles.format.manifest_check import check
from bundles.io import strict_json

_NAME: Final = "manifest.json"
_ASCII: Final = bytes(range(128))


def encode(manifest: BundleManifest) -> bytes:
    """Canonical bytes. Raises MalformedError where the manifest is not consistent, FailedError where it is too large
    for any reader."""
    check(manifest)
    raw = strict_json.canonical(msgspec.to_builtins(manifest))
    try:
        _check_size(raw)
        _check_extensions(strict_json.canonical(manifest.extensions))
    except MalformedError as error:
        raise FailedError(
            "the bundle names too much for one manifest",
            thing=f"{error.what}: {error.thing or len(raw)}",
            remedy="build several bundles of fewer artifacts",
        ) from None
    return raw


def decode(raw: bytes) -> BundleManifest:
    """The manifest in `raw`.

    Raises RefusedError for a newer major format or an unknown `crit`; MalformedError for everything else that is not
    the one canonical form of a consistent manifest.
    """
    _check_size(raw)
    _check_small(raw)
    try:
        head = msgspec.json.decode(raw, type=_Head)
        _check_readable(head)
        _check_extensions(bytes(head.extensions))
        manifest = msgspec.json.decode(raw, type=BundleManifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{_NAME} is not a bundle manifest", thing=str(error)[:160]) from None
    if strict_json.canonical(msgspec.to_builtins(manifest)) != raw:
        raise MalformedError(
            f"{_NAME} is not canonical", remedy="RFC 8785; a default is written, an absent field is absent"
        )
    check(manifest)
    return manifest


class _Head(msgspec.Struct):
    """What decides whether this reader may read on, each as its bytes: nothing of it is decoded with the rest. A value
    that stands twice is found by its bytes, which are then not the canonical ones."""

    type: msgspec.Raw = msgspec.Raw(b"null")
    format: msgspec.Raw = msgspec.Raw(b"null")
    crit: msgspec.Raw = msgspec.Raw(b"null")
    extensions: msgspec.Raw = msgspec.Raw(b"{}")


def _check_size(raw: bytes) -> None:
    """Bytes, values and depth, before anything is decoded. Raises MalformedError."""
    if len(raw) > limits.BUNDLE_MANIFEST:
        raise MalformedError(
            f"{_NAME} is too large", thing=f"{len(raw)} bytes", remedy=f"the ceiling is {limits.BUNDLE_MANIFEST}"
        )
    strict_json.check_structure(raw, nodes=limits.BUNDLE_MANIFEST_NODES, what=_NAME)
    wide = 0 if raw.isascii() else len(raw.translate(None, _ASCII))
    if wide + raw.count(b"\\") > limits.BUNDLE_MANIFEST_WIDE:
        raise MalformedError(
            f"{_NAME} holds too much text that is not ASCII",
            remedy=f"the ceiling is {limits.BUNDLE_MANIFEST_WIDE} bytes",
        )


def _check_small(raw: bytes) -> None:
    """Name a key that stands twice or a number that is none, where that costs little. In a large manifest, which is
    decoded into structs alone, the same makes it another kind of document or not canonical. Raises MalformedError."""
    if len(raw) <= limits.OCI_MANIFEST:
        strict_json.loads(raw, ceiling=limits.OCI_MANIFEST, nodes=limits.OCI_MANIFEST_NODES, what=_NAME)


def _check_extensions(raw: bytes) -> None:
    """The one place whose shape is anybody's, held to a ceiling of its own and to integers. Raises MalformedError."""
    strict_json.loads(raw, ceiling=limits.EXTENSIONS, nodes=limits.EXTENSIONS_NODES, what="extensions")


def _field(raw: msgspec.Raw, what: str) -> Any:
    return strict_json.loads(
        bytes(raw), ceiling=limits.MANIFEST_HEAD, nodes=limits.MANIFEST_HEAD_NODES, what=what, floats=True
    )


def _check_readable(head: _Head) -> None:
    """What decides whether this reader may read on at all, looked at before anything else."""
    kind, form, crit = _field(head.type, "type"), _field(head.format, "format"), _field(head.crit, "crit")
    if kind != TYPE:
        raise MalformedError(f"{_NAME} is another kind of document", thing=repr(kind)[:100])
    major = form.get("major") if isinstance(form, dict) else None
    if type(major) is not int or major != FORMAT_MAJOR:
        raise RefusedError(
            "a bundle of another major format",
            thing=repr(major)[:40],
            remedy=f"this Lockgate reads {FORMAT_MAJOR}: update it",
        )
    unknown = sorted({str(name) for name in crit} - KNOWN_CRIT) if isinstance(crit, list) else []
    if unknown:
        raise RefusedError(
            "a bundle that needs features this Lockgate lacks", thing=", ".join(unknown)[:160], remedy="update it"
        )
