"""Reads of what releases stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader
from bundles.format.manifest import bundle_id

_SUPERSEDED: Final = (
    "SELECT i.id, l.at FROM released l JOIN intake i ON i.digest = l.digest WHERE l.entry = ("
    "SELECT CASE WHEN count(*) = count(n) THEN max(n) END FROM ("
    "SELECT (SELECT min(n.entry) FROM released n WHERE n.repository = r.repository AND n.kind = 'tag'"
    " AND n.item = r.item AND n.entry > r.entry AND n.digest != r.digest) AS n"
    " FROM released r WHERE r.digest = ?1 AND r.kind = 'tag') later)"
)
_LATER: Final = "SELECT 1 FROM intake WHERE stream = ? AND sequence > ? AND state = 'released' LIMIT 1"
_PASSED: Final = (
    "SELECT CASE WHEN count(*) = count(n) THEN max(n) END FROM (SELECT (SELECT min(i.sequence) FROM released r"
    " JOIN intake i ON i.digest = r.digest WHERE r.kind = 'tag' AND i.stream = ?2 AND i.sequence > ?3"
    " AND i.state = 'released' AND r.item = t.value AND r.repository = json_extract(a.value, '$.repository')) AS n"
    " FROM intake_documents d, json_each(d.manifest, '$.artifacts') a, json_each(a.value, '$.tags') t"
    " WHERE d.digest = ?1) later"
)


Claim = tuple[str, str, str, str]
"""A bundle's digest, `manifest` or `tag`, the manifest's digest or the tag, and the digest that it stands at."""


@dataclass(frozen=True, slots=True)
class LaterRelease:
    """The release that took the last tag of an earlier one: its bundle's id, and when (UTC text)."""

    bundle: str
    at: str


def superseded_by(reader: Reader, digest: str) -> LaterRelease | None:
    """The release by which each tag of a bundle had been released anew by another one; None where one stands yet."""
    row = reader.execute(_SUPERSEDED, (digest,)).fetchone()
    return None if row is None else LaterRelease(*row)


def passed_by(reader: Reader, digest: str, stream: str, sequence: int) -> str | None:
    """The id of the bundle that took the last tag of one that waits for its decision, where each of its tags was shown
    by a later bundle of its stream that is released; else None."""
    if reader.execute(_LATER, (stream, sequence)).fetchone() is None:
        return None  # the manifest is large, and most of what waits is the newest
    (number,) = reader.execute(_PASSED, (digest, stream, sequence)).fetchone()
    return None if number is None else bundle_id(stream, number)


def released_repositories(reader: Reader) -> list[str]:
    """Each repository that a release stands for something in, by name."""
    rows = reader.execute("SELECT DISTINCT repository FROM released ORDER BY repository")
    return [repository for (repository,) in rows]


def claims_in(reader: Reader, repository: str) -> set[Claim]:
    """What releases stand for in a repository, blobs left out."""
    rows = reader.execute(
        "SELECT digest, kind, item, target FROM released WHERE repository = ? AND kind <> 'blob'", (repository,)
    )
    return {(str(digest), str(kind), str(item), str(target)) for digest, kind, item, target in rows}
