"""Which tag each destination was sent last: what `bundle build --changed` compares the station's tags with."""

from __future__ import annotations

import sqlite3
from typing import Final

from appliance.outgoing.build_params import Wanted
from appliance.outgoing.sealed_bundle import Fixed
from appliance.paths import StationPaths

_COUNTS: Final = (
    " b.state IN ('signed', 'written') AND NOT EXISTS (SELECT 1 FROM custody_taken c WHERE c.bundle = b.id"
    " AND c.digest = b.digest AND json_extract(c.document, '$.state') = 'rejected')"
)
"""A bundle that is void, or that the inside rejected, carried nothing."""

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


def carried_tags(db: sqlite3.Connection, paths: StationPaths, stream: str) -> dict[tuple[str, str], str]:
    """By repository and tag, the digest in the last bundle of the stream that carried the tag.

    Bundles of before the tags were recorded are read from their jobs' folders, and count as older than all others.
    """
    found: dict[tuple[str, str], str] = {}
    for job, bundle in db.execute(_UNTOLD, (stream,)).fetchall():
        fixed = Fixed.load(paths.job(job)) if paths.job(job).is_dir() else None
        if fixed is None or fixed.manifest.id != bundle:
            continue
        for artifact in fixed.manifest.artifacts:
            found |= {(artifact.repository, tag): artifact.digest for tag in artifact.tags}
    for repository, tag, digest in db.execute(_TAGS, (stream,)):
        found[repository, tag] = digest
    return found


def nothing_changed(db: sqlite3.Connection, wanted: Wanted) -> str:
    """What is said where `--changed` leaves nothing to carry."""
    last = db.execute(_LAST, (wanted.stream,)).fetchone()[0]
    return f"nothing has changed for {wanted.site} since {last or 'its first bundle'}; there is nothing to build"
