"""What became of an entry of the intake, in one word with its time: the state, and whether later releases took its
place."""

from __future__ import annotations

from typing import Final

from appliance.api.intake import Became
from appliance.api.states import SUPERSEDED
from appliance.store.ports import Reader
from appliance.store.reads.intake import Entry, steps_of
from appliance.store.reads.released import passed_by, superseded_by

_STEP_OF: Final = {"receiving": ("received", "verified"), "quarantined": ("quarantined", "inspected")}
"""The steps that an entry of a state last took, where that is not the state's own name."""

_UNDECIDED: Final = ("quarantined", "approved")


def came_to(reader: Reader, entry: Entry) -> Became:
    """What became of an entry. Times are UTC text (ISO 8601)."""
    steps = {step["state"]: (step["at"], step["note"]) for step in steps_of(reader, entry.digest)}
    names = _STEP_OF.get(entry.state, (entry.state,))
    since, note = max((steps[name] for name in names if name in steps), default=(entry.decided or entry.received, ""))
    why = note if entry.state in ("rejected", "withdrawn") else ""
    dates = {state: at for state, (at, _) in steps.items()}
    if entry.state == "released":
        later = superseded_by(reader, entry.digest)
        if later is not None:
            return Became(
                standing=SUPERSEDED, since=later.at, why=f"by {later.bundle}", by=later.bundle, dates=dates
            )  # fmt: skip
    elif (
        entry.state in _UNDECIDED and (by := passed_by(reader, entry.digest, entry.stream, entry.sequence)) is not None
    ):
        why = f"superseded by {by}, which is released: reject it"
        return Became(standing=entry.state, since=since, why=why, by=by, dates=dates)
    return Became(standing=entry.state, since=since, why=why, dates=dates)
