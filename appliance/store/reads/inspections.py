"""Reads of what inspectors found in blobs before."""

from __future__ import annotations

from appliance.store.ports import Reader


def layer_findings(reader: Reader, digest: str, look: int) -> tuple[str, str] | None:
    """The findings of a blob as JSON with their authentication code, as a version of the looking kept them. Whoever
    reads them checks the code: the database is no proof."""
    found: tuple[str, str] | None = reader.execute(
        "SELECT found, mac FROM layers_inspected WHERE digest = ? AND media_type = '' AND look = ?", (digest, look)
    ).fetchone()
    return found
