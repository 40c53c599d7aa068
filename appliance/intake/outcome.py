"""What became of an entry of the intake, in one word with its time: the state, and whether later releases took its
place."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from appliance.store.reads.intake import Entry
from bundles.format.manifest import bundle_id

SUPERSEDED: Final = "superseded"
_STEPS: Final = "SELECT state, at, note FROM transitions WHERE digest = ? ORDER BY entry"
_STEP_OF: Final = {"receiving": ("received", "verified"), "quarantined": ("quarantined", "inspected")}
"""The steps that an entry of a state last took, where that is not the state's own name."""

_FOLLOWED: Final = (
    "SELECT i.id, l.at FROM released l JOIN intake i ON i.digest = l.digest WHERE l.entry = ("
    "SELECT CASE WHEN count(*) = count(n) THEN max(n) END FROM ("
    "SELECT (SELECT min(n.entry) FROM released n WHERE n.repository = r.repository AND n.kind = 'tag'"
    " AND n.item = r.item AND n.entry > r.entry AND n.digest != r.digest) AS n"
    " FROM released r WHERE r.digest = ?1 AND r.kind = 'tag'))"
)
"""The release by which each tag of a bundle had been released anew by another one."""


_UNDECIDED: Final = ("quarantined", "approved")
_LATER: Final = "SELECT 1 FROM intake WHERE stream = ? AND sequence > ? AND state = 'released' LIMIT 1"
_PASSED: Final = (
    "SELECT CASE WHEN count(*) = count(n) THEN max(n) END FROM (SELECT (SELECT min(i.sequence) FROM released r"
    " JOIN intake i ON i.digest = r.digest WHERE r.kind = 'tag' AND i.stream = ?2 AND i.sequence > ?3"
    " AND i.state = 'released' AND r.item = t.value AND r.repository = json_extract(a.value, '$.repository')) AS n"
    " FROM intake_documents d, json_each(d.manifest, '$.artifacts') a, json_each(a.value, '$.tags') t"
    " WHERE d.digest = ?1)"
)
"""The release of its stream by which a later bundle had shown each tag of one that waits."""


def _passed_by(reader: sqlite3.Connection, entry: Entry) -> str | None:
    """The bundle that took the last tag of one that still waits for its decision."""
    if reader.execute(_LATER, (entry.stream, entry.sequence)).fetchone() is None:
        return None  # the manifest is large, and most of what waits is the newest
    (number,) = reader.execute(_PASSED, (entry.digest, entry.stream, entry.sequence)).fetchone()
    return None if number is None else bundle_id(entry.stream, number)


def came_to(reader: sqlite3.Connection, entry: Entry) -> dict[str, Any]:
    """{standing, since, why, by, dates}: `standing` is the entry's state, or `superseded` where it is released and
    later releases stand for each of its tags, `by` the one that took the last of them. One that waits for its decision
    stands as it is, and `why` says that later releases took its tags. `dates` has the last time of
    each step. Times are UTC text (ISO 8601)."""
    steps = {state: (at, note) for state, at, note in reader.execute(_STEPS, (entry.digest,))}
    names = _STEP_OF.get(entry.state, (entry.state,))
    since, note = max((steps[name] for name in names if name in steps), default=(entry.decided or entry.received, ""))
    why = note if entry.state in ("rejected", "withdrawn") else ""
    found = {"standing": entry.state, "since": since, "why": why, "by": None}
    if entry.state == "released":
        row = reader.execute(_FOLLOWED, (entry.digest,)).fetchone()
        if row is not None:
            found = {"standing": SUPERSEDED, "since": row[1], "why": f"by {row[0]}", "by": row[0]}
    elif entry.state in _UNDECIDED and (by := _passed_by(reader, entry)) is not None:
        found |= {"why": f"superseded by {by}, which is released: reject it", "by": by}
    return {**found, "dates": {state: at for state, (at, _) in steps.items()}}
