"""Reads of the bundles that were made here: where each stands, since when, and what is signed and not on its media."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from appliance.api.bundles import OutgoingBundle
from appliance.api.states import FINAL_STATES
from appliance.store.ports import Reader

_UNFINISHED: Final = (
    "SELECT b.id, b.stream, b.job_id, j.state, coalesce((SELECT max(s.at) FROM bundle_steps s WHERE s.bundle = b.id"
    " AND s.state = 'signed'), b.created) FROM bundles_out b LEFT JOIN jobs j ON j.id = b.job_id"
    " WHERE b.state = 'signed' AND (?1 = '' OR b.stream = ?1) ORDER BY b.stream, b.sequence"
)
_LISTED: Final = (
    "SELECT b.id, b.stream, b.sequence, b.digest, b.state, b.job_id, b.created, j.state,"
    " (SELECT c.document FROM custody_taken c WHERE c.bundle = b.id AND c.digest = b.digest"
    " AND c.site = substr(b.stream, instr(b.stream, '.') + 1))"
    " FROM bundles_out b LEFT JOIN jobs j ON j.id = b.job_id WHERE b.id > ? ORDER BY b.id LIMIT ?"
)
_STEPS: Final = "SELECT state, at, why, places FROM bundle_steps WHERE bundle = ? ORDER BY entry"
_BY_LATER: Final = (
    "SELECT CASE WHEN count(*) = count(n) THEN max(n) END FROM (SELECT (SELECT min(l.sequence) FROM tags_out l"
    " JOIN bundles_out o ON o.stream = l.stream"
    " AND o.sequence = l.sequence WHERE l.stream = t.stream AND l.repository = t.repository AND l.tag = t.tag"
    " AND l.sequence > t.sequence AND {counts}) AS n"
    " FROM tags_out t WHERE t.stream = ?1 AND t.sequence = ?2) later"
)
_SUPERSEDED: Final = _BY_LATER.format(counts="o.state = 'written'")
"""The first bundle by which all tags of one were carried again."""
_SUPERSEDED_INSIDE: Final = _BY_LATER.format(
    counts="EXISTS (SELECT 1 FROM custody_taken c WHERE c.bundle = o.id AND c.digest = o.digest"
    " AND json_extract(c.document, '$.state') = 'released')"
)
"""As `_SUPERSEDED`, for one that is released inside: by what receipts say is released there, too."""
RECUT: Final = "recut"
"""The step of media that were cut again: the bundle stands as before, in more places."""

_PLACED: Final = ("written", RECUT)
"""The steps that say where media are."""

_AFTER: Final = (
    "SELECT id FROM bundles_out WHERE stream = ? AND sequence > ? AND state IN ('signed', 'written')"
    " ORDER BY sequence LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A bundle that was signed at `signed` and is not on its media. `job_state` is None where its job is not known."""

    id: str
    stream: str
    job: str
    job_state: str | None
    signed: str

    @property
    def is_left(self) -> bool:
        """Whether no job is at it any more."""
        return self.job_state in (None, *FINAL_STATES)

    def text(self) -> str:
        """What is said of it: where it stands, and what to do."""
        if not self.is_left:
            todo = f"lockgate job resume {self.job}" if self.job_state == "waiting" else "let it end"
            return f"{self.id} is signed and not on its media yet (job {self.job} is {self.job_state}): {todo}"
        return (
            f"{self.id} was signed {self.signed} and is not on its media: its build's own command finishes it, or give"
            f" it up: lockgate bundle void {self.id} --why TEXT"
        )


def unfinished(db: Reader, stream: str = "") -> list[Unfinished]:
    """The bundles of a stream, or of all, that are signed and not on their media, oldest first."""
    return [Unfinished(*row) for row in db.execute(_UNFINISHED, (stream,))]


def newly_void(db: Reader, stream: str, sequence: int) -> list[int]:
    """The void numbers between a bundle and the one before it that counts: those that it is the first to name."""
    rows = db.execute(
        "SELECT sequence FROM bundles_out WHERE stream = ?1 AND sequence < ?2 AND state = 'voided' AND sequence >"
        " (SELECT coalesce(max(sequence), 0) FROM bundles_out WHERE stream = ?1 AND sequence < ?2"
        " AND state IN ('signed', 'written')) ORDER BY sequence",
        (stream, sequence),
    )
    return [int(number) for (number,) in rows]


def numbers_of(db: Reader, job_id: str) -> list[tuple[str, str]]:
    """The numbers that a job took, as (bundle, state)."""
    rows = db.execute("SELECT id, state FROM bundles_out WHERE job_id = ? ORDER BY id", (job_id,))
    return [(str(bundle), str(state)) for bundle, state in rows]


@dataclass(frozen=True, slots=True)
class BundleState:
    """Where a bundle stands, in one word with its time: `to-sign`, `signed` (its job is at it), `unfinished` (signed,
    not on its media), `written`, `superseded` (written, and later bundles carry all its tags), `voided`, or what the
    inside says by its receipt, which wins: `superseded` is then one that is released there, as the later ones are.
    `why`: the reason, or the bundle by which it was superseded. `places`: where media of it were written to. `by`: the
    bundle that follows a void one, or supersedes it."""

    standing: str
    since: str
    why: str
    places: tuple[str, ...]
    signed: str | None
    written: str | None
    voided: str | None
    by: str | None
    inside: dict[str, str] | None


def listed(db: Reader, limit: int, after: str = "") -> list[OutgoingBundle]:
    """The bundles by id, behind `after`, as the control API lists them."""
    names = ("id", "stream", "sequence", "digest", "state", "job_id", "created", "job_state")
    found = []
    for *row, custody in db.execute(_LISTED, (after, limit)).fetchall():
        entry: dict[str, Any] = dict(zip(names, row, strict=True))
        if entry["state"] == "to-sign" and entry["job_state"] in FINAL_STATES:
            entry["state"] = "voided"  # nobody will sign it; the stream's next build records that
        found.append(OutgoingBundle(**entry, **asdict(_standing(db, entry, custody))))
    return found


def _standing(db: Reader, entry: dict[str, Any], custody: str | None) -> BundleState:
    steps = [(step, at, why, json.loads(places)) for step, at, why, places in db.execute(_STEPS, (entry["id"],))]
    last = {step: (at, why) for step, at, why, _ in steps}
    dates = {state: last[state][0] or None if state in last else None for state in ("signed", "written", "voided")}
    state, inside = entry["state"], _inside(custody)
    at, why = last.get(state, (entry["created"], ""))
    by = None
    if inside is not None and state in ("voided", "written"):  # it came in, whatever was thought of it here
        state, at, why = inside["state"], inside["at"], inside["why"]
        if state == "released" and (found := _superseded(db, entry, _SUPERSEDED_INSIDE)) is not None:
            state, at, by = "superseded", *found
            why = f"by {by}"
    elif state == "signed" and entry["job_state"] in (None, *FINAL_STATES):
        state = "unfinished"
    elif state == "voided":
        by = _one(db, _AFTER, entry["stream"], entry["sequence"])
        why = why or ("nobody signed it" if entry["digest"] is None else "")
        dates["written"] = None if dates["signed"] is None else dates["written"]
    elif state == "written" and (found := _superseded(db, entry, _SUPERSEDED)) is not None:
        state, at, by = "superseded", *found
        why = f"by {by}"
    places = tuple(dict.fromkeys(place for step, _, _, places in steps if step in _PLACED for place in places))
    return BundleState(state, at or entry["created"], why, places, by=by, inside=inside, **dates)


def _superseded(db: Reader, entry: dict[str, Any], question: str) -> tuple[str, str] | None:
    """Since when later bundles stand for all tags of one, and which of them took the last."""
    number = _one(db, question, entry["stream"], entry["sequence"])
    if number is None:
        return None
    by, created = db.execute(
        "SELECT id, created FROM bundles_out WHERE stream = ? AND sequence = ?", (entry["stream"], number)
    ).fetchone()
    steps = {step[0]: step[1] for step in db.execute(_STEPS, (by,))}
    return steps.get("written") or created, by


def _inside(custody: str | None) -> dict[str, str] | None:
    """What the inside's latest receipt says of a bundle: {state, at, why} of its last step."""
    if custody is None:
        return None
    part = json.loads(custody)
    last = part["steps"][-1] if part["steps"] else {"at": "", "note": ""}
    why = last["note"] if part["state"] in ("rejected", "withdrawn") else ""
    return {"state": part["state"], "at": last["at"], "why": why}


def _one(db: Reader, question: str, *values: object) -> Any:
    row = db.execute(question, values).fetchone()
    return None if row is None else row[0]
