"""Reads of what each destination was sent last: bundles that are void, or that the inside rejected, carried nothing."""

from __future__ import annotations

from typing import Final

from appliance.store.ports import Reader

_COUNTS: Final = (
    " b.state IN ('signed', 'written') AND NOT EXISTS (SELECT 1 FROM custody_taken c WHERE c.bundle = b.id"
    " AND c.digest = b.digest AND json_extract(c.document, '$.state') = 'rejected')"
)
_TAGS: Final = (
    "SELECT t.repository, t.tag, t.digest FROM bundles_out b JOIN tags_out t ON t.stream = b.stream"  # noqa: S608
    f" AND t.sequence = b.sequence WHERE b.stream = ? AND{_COUNTS} ORDER BY b.sequence"
)
_UNTOLD: Final = (
    "SELECT b.job_id, b.id FROM bundles_out b WHERE b.stream = ?"  # noqa: S608
    f" AND{_COUNTS} AND NOT EXISTS (SELECT 1 FROM tags_out t WHERE t.stream = b.stream AND t.sequence = b.sequence)"
    " ORDER BY b.sequence"
)
_LAST: Final = f"SELECT max(b.id) FROM bundles_out b WHERE b.stream = ? AND{_COUNTS}"  # noqa: S608


def sent_tags(reader: Reader, stream: str) -> dict[tuple[str, str], str]:
    """By repository and tag, the digest in the last bundle of a stream whose tags are recorded."""
    return {(repository, tag): digest for repository, tag, digest in reader.execute(_TAGS, (stream,))}


def untagged_bundles(reader: Reader, stream: str) -> list[tuple[str, str]]:
    """Job and id of each bundle of a stream of before the tags were recorded, in order."""
    return reader.execute(_UNTOLD, (stream,)).fetchall()


def last_bundle(reader: Reader, stream: str) -> str | None:
    """The id of the last bundle of a stream, or None."""
    row = reader.execute(_LAST, (stream,)).fetchone()
    return None if row[0] is None else str(row[0])
