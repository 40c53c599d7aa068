"""What became of an entry of the intake, in one word with its time: the state, and whether later releases took its
place."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from appliance.store.reads.intake import Entry

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


def came_to(reader: sqlite3.Connection, entry: Entry) -> dict[str, Any]:
    """{standing, since, why, by, dates}: `standing` is the entry's state, or `superseded` where it is released and
    later releases stand for each of its tags, `by` the one that took the last of them. `dates` has the last time of
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
    return {**found, "dates": {state: at for state, (at, _) in steps.items()}}
