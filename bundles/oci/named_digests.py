"""Which digests a manifest names, for who reads very many of them: nothing else of it is kept.

Bytes in the commonest form are decoded to types and nothing more, at a tenth of the cost of `parse_manifest`. What has
any other form, and with it all that `parse_manifest` refuses, is left to that one: the digests are the same, and so is
the refusal. A collection of garbage stands on it.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from bundles import limits
from bundles.oci.manifest import IMAGE_TYPES, INDEX_TYPES, parse_manifest

_SIZE_DIGITS: Final = len(str(limits.INTEGER)) - 1
_QUOTES: Final = 10
"""In a descriptor of three fields, two of them texts."""

_MEDIA_TYPE: Final = r"[A-Za-z0-9][A-Za-z0-9.+-]{0,100}/[A-Za-z0-9][A-Za-z0-9.+-]{0,100}"
_MEDIA_TYPES: Final = re.compile(rf"(?:{_MEDIA_TYPE}\n)*\Z").match
_DIGESTS: Final = re.compile(r"(?:sha256:[0-9a-f]{64}\n|sha512:[0-9a-f]{128}\n)*\Z").match


class _Descriptor(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    media_type: str
    digest: str
    size: msgspec.Raw


_Descriptors = Annotated[list[_Descriptor], msgspec.Meta(max_length=limits.MANIFEST_DESCRIPTORS)]


class _Image(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    schema_version: Literal[2]
    media_type: str
    config: _Descriptor
    layers: _Descriptors


class _Index(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    schema_version: Literal[2]
    media_type: str
    manifests: _Descriptors


_IMAGE: Final = msgspec.json.Decoder(_Image).decode
_INDEX: Final = msgspec.json.Decoder(_Index).decode


def named_digests(raw: bytes) -> set[str]:
    """The digests of a manifest's configuration, layers and children, as text. Raises MalformedError, as
    `parse_manifest` does for the same bytes."""
    found = _of_common_form(raw)
    if found is None:
        manifest = parse_manifest(raw)
        named = [*manifest.layers, *manifest.manifests, *([manifest.config] if manifest.config else [])]
        return {str(descriptor.digest) for descriptor in named}
    return {descriptor.digest for descriptor in found}


def _of_common_form(raw: bytes) -> list[_Descriptor] | None:
    """The descriptors of bytes in the commonest form; None for any other bytes.

    Each key stands once there: without an escape a quote stands at the ends of texts alone, and there are as many as
    the fields need.
    """
    if len(raw) > limits.OCI_MANIFEST or b"\\" in raw:
        return None
    try:
        if b'"manifests"' in raw:
            index = _INDEX(raw)
            named, kinds, kind, around = index.manifests, INDEX_TYPES, index.media_type, 8
        else:
            image = _IMAGE(raw)
            named, kinds, kind, around = [image.config, *image.layers], IMAGE_TYPES, image.media_type, 10
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if kind not in kinds or raw.count(b'"') != around + _QUOTES * len(named):
        return None
    sizes = [bytes(descriptor.size) for descriptor in named]
    if not b"".join(sizes).isdigit() or max(map(len, sizes)) > _SIZE_DIGITS:
        return None
    if not _MEDIA_TYPES("".join([descriptor.media_type + "\n" for descriptor in named])):
        return None
    return named if _DIGESTS("".join([descriptor.digest + "\n" for descriptor in named])) else None
