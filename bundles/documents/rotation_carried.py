"""Key rotations within a bundle's manifest: `[{"document": text, "signatures": {"<keyid>.<kind>": base64}} ...]`.

The manifest's own signatures say who carried them. Whether a document counts is bundles.documents.rotation_verdict's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bundles import limits
from bundles.documents.rotation_verdict import Files
from bundles.errors import MalformedError
from bundles.format.manifest import ROTATIONS_EXTENSION, BundleManifest
from bundles.io import strict_json

_NAME: Final = re.compile(r"([0-9a-f]{16})\.(sig|sshsig|mldsa)\Z")


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    document: str
    signatures: dict[str, str]


@dataclass(frozen=True, slots=True)
class CarriedRotation:
    """A document's bytes with its signatures, not judged."""

    raw: bytes
    files: Files


def to_extension(carried: Sequence[CarriedRotation]) -> dict[str, Any]:
    """The manifest's extension for these documents, oldest first: the newest that there is room for (`limits`); empty
    where there is none."""
    entries: list[dict[str, Any]] = []
    room = limits.KEY_ROTATIONS_SIZE
    for one in reversed(carried[-limits.KEY_ROTATIONS :]):
        entry = {
            "document": one.raw.decode(),
            "signatures": {
                f"{keyid}.{kind}": base64.b64encode(data).decode()
                for keyid, kinds in one.files.items()
                for kind, data in kinds.items()
            },
        }
        room -= len(strict_json.canonical(entry))
        if room < 0:
            break
        entries.append(entry)
    return {ROTATIONS_EXTENSION: entries[::-1]} if entries else {}


def of_manifest(manifest: BundleManifest) -> tuple[CarriedRotation, ...]:
    """The documents that a bundle carries. Raises MalformedError where its extension is not of its form."""
    said = manifest.extensions.get(ROTATIONS_EXTENSION)
    if said is None:
        return ()
    try:
        entries = msgspec.convert(said, list[_Entry], strict=True)
    except msgspec.ValidationError as error:
        raise MalformedError("the bundle's key rotations are malformed", thing=str(error)[:160]) from None
    if len(entries) > limits.KEY_ROTATIONS:
        raise MalformedError("the bundle carries too many key rotations", thing=str(len(entries)))
    return tuple(map(_of_entry, entries))


def _of_entry(entry: _Entry) -> CarriedRotation:
    raw = entry.document.encode("utf-8", "surrogatepass")
    if len(raw) > limits.KEY_ROTATION or len(entry.signatures) > 2 * limits.SIGNATURES:
        raise MalformedError("a key rotation in the bundle is too large", thing=str(len(raw)))
    files: dict[str, dict[str, bytes]] = {}
    for name, text in entry.signatures.items():
        match = _NAME.match(name)
        if match is None:
            raise MalformedError("a key rotation's signature is not well named", thing=repr(name)[:80])
        files.setdefault(match[1], {})[match[2]] = _decoded(name, text)
    return CarriedRotation(raw, files)


def _decoded(name: str, text: str) -> bytes:
    """Base64 in its one form."""
    try:
        data = base64.b64decode(text, validate=True) if len(text) <= 2 * limits.SIGNATURE_FILE else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data or len(data) > limits.SIGNATURE_FILE or base64.b64encode(data).decode() != text:
        raise MalformedError("a key rotation's signature is not base64 in its one form", thing=name)
    return data
