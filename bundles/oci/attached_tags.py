"""The tags by which things are attached to a manifest: cosign's, and the fallback where there is no referrers API."""

from __future__ import annotations

import re
from typing import Final

from bundles.oci.digest import Digest

_ATTACHED: Final = re.compile(r"(?:sha256-[0-9a-f]{64}(?:\.(?:sig|att|sbom))?|sha512-[0-9a-f]{64})\Z")

COSIGN: Final = {"sig": "signature", "att": "attestation", "sbom": "sbom"}
"""Suffixes of the tags by which cosign attaches things where there is no referrers API (SIGNATURE_SPEC)."""


def cosign_tags(digest: Digest) -> dict[str, str]:
    """The tags by which cosign attaches things to a manifest, each with the kind of what it names. It knows sha256."""
    if digest.algorithm != "sha256":
        return {}
    return {f"{digest.algorithm}-{digest.hex}.{suffix}": kind for suffix, kind in COSIGN.items()}


def fallback_tag(digest: Digest) -> str:
    """The tag at which a registry without the referrers API keeps an index of what refers to a manifest
    (distribution specification, Referrers Tag Schema: 64 characters of the encoded part at most)."""
    return f"{digest.algorithm}-{digest.hex[:64]}"


def is_attached(tag: str) -> bool:
    """Whether a tag has the form of those by which things are attached to a manifest."""
    return _ATTACHED.match(tag) is not None
