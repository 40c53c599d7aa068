"""Which programs made an SBOM, as it says itself (CycloneDX 1.4 to 1.6, metadata.tools; SPDX 2.3, creationInfo)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from appliance.limits import sbom as limits
from bundles.io.display import safe

_TOOLS_MOST: Final = 16
_LISTING: Final = 64 * 1024
"""Bytes of the part that lists them: real ones take a few hundred."""


class _Metadata(msgspec.Struct):
    tools: msgspec.Raw = msgspec.Raw(b"[]")


class _Creation(msgspec.Struct):
    creators: msgspec.Raw = msgspec.Raw(b"[]")


class _Document(msgspec.Struct):
    metadata: _Metadata | None = None
    creationInfo: _Creation | None = None  # noqa: N815  the field's name in SPDX


def tools_in(raw: bytes) -> list[str]:
    """`name version` of each program, sixteen at most; nothing where the document says none, or cannot be read.
    Nothing of the document but the part that lists them is built; what is found is fit to be shown."""
    try:
        document = msgspec.json.decode(raw, type=_Document)
        if document.metadata is not None and len(document.metadata.tools) <= _LISTING:
            return tools_of(msgspec.json.decode(document.metadata.tools))
        if document.creationInfo is not None and len(document.creationInfo.creators) <= _LISTING:
            creators = msgspec.json.decode(document.creationInfo.creators)
            named = creators if isinstance(creators, list) else []
            found = [one.removeprefix("Tool:").strip() for one in named if str(one).startswith("Tool:")]
            return [safe(one[: limits.SBOM_TOOL]) for one in found[:_TOOLS_MOST]]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    return []


def tools_of(said: Any) -> list[str]:
    """The same of a decoded `metadata.tools`: a list (to 1.4), or an object with `components` (from 1.5)."""
    listed = said.get("components") if isinstance(said, dict) else said
    found = []
    for one in listed[:_TOOLS_MOST] if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            version = one.get("version")
            name = f"{one['name']} {version if isinstance(version, str) else ''}".strip()
            found.append(safe(name[: limits.SBOM_TOOL]))
    return found
