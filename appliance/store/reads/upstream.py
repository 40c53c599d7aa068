"""What registries said, so that a collect need not ask again."""

from __future__ import annotations

from appliance.store.ports import Reader


def asked(reader: Reader, source: str, digest: str) -> tuple[str, str] | None:
    """What `source` (host and repository) said refers to a digest, as JSON, and when. Point read."""
    row = reader.execute(
        "SELECT answer, at FROM upstream_asked WHERE source = ? AND digest = ?", (source, digest)
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))
