"""What every report says: who made it, when, and of what."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Final
from urllib.parse import quote

from appliance.api.scanning import Finding, Scan, ScannedImage
from bundles.oci.reference import Reference

VERSION: Final = version("lockgate")
TOOL: Final = f"pkg:generic/lockgate@{quote(VERSION)}"
"""What made the report, as a package URL."""
SCANNED: Final = "scanned"
SET_ASIDE: Final = ("not_affected", "fixed")
"""What VEX says of findings that count for nothing."""


def scanned(scan: Scan) -> list[ScannedImage]:
    """The images whose findings count: SBOMs from elsewhere are no verdict."""
    return [image for image in scan.images if image.state == SCANNED]


def oci_purl(reference: str, digest: str) -> str:
    """An image as a package URL of type `oci`: the last part of its repository's name, and its digest."""
    name = Reference.parse(reference).repository.rpartition("/")[2].lower()
    return f"pkg:oci/{quote(name)}@{quote(digest, safe='')}"


def is_set_aside(finding: Finding) -> bool:
    """Whether a VEX document makes it count for nothing."""
    return finding.vex is not None and finding.vex.status in SET_ASIDE


def fingerprint(*words: str) -> str:
    """A name for what these words are about, the same in every report."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
