"""Ceilings of the audit log: lanes, floods of refusals, pulls."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

# Lanes and checkpoints.

AUDIT_LANES: Final = 99
"""Processes that write at once; each has a lane of its own and leaves it to the next when it ends."""

AUDIT_SEGMENT: Final = 16 * MIB
"""A lane's file, about 40,000 events: small enough to look through, few enough to list."""

AUDIT_FOREIGN: Final = 32 * MIB
"""Bytes in a lane that the station did not write, through which a checkpoint looks for its own events before them."""

AUDIT_CHECKPOINT: Final = 300.0
"""How often a station that does something signs where its log stands: what an intruder can cut off unseen."""

AUDIT_CLOCK_LOOK: Final = 2.0
AUDIT_CLOCK_BACK: Final = 1.0
"""Seconds between two looks at the clock, and by how many it must have gone back for a checkpoint to be signed at once:
events of several lanes within that time have no proven order."""

# Events, and floods of refusals.

AUDIT_FLOOD: Final = 60.0
AUDIT_FLOOD_FREE: Final = 5
"""Of the same refusal, so many in a minute are written one by one; the others are counted."""

AUDIT_FLOOD_WIDE: Final = 60
"""Different refusals of one act that are written in a minute: of one account, or of all callers without an account
together. With 500 bytes an event, an attacker with any number of addresses gets 43 MB a day and worker at most."""

AUDIT_THING: Final = 200
"""Characters of the thing that a refusal names: a client chooses them, up to the length of a request's line."""

AUDIT_THING_DONE: Final = 600
"""The same for an act that was done: a repository (255) with a digest (135) is never cut, nor is a usual path."""

AUDIT_REASON: Final = 1_000
"""Characters of a refusal's reason."""

AUDIT_FLOODS: Final = 4_096
"""Different refusals that are counted at once, a few hundred bytes each; beyond, the oldest is written out. Callers
without an account cannot make so many: AUDIT_FLOOD_WIDE."""

# Pulls that are counted.

AUDIT_PULLS: Final = 3_600.0
"""A client that pulls the same manifest again within an hour is counted, not written again."""

AUDIT_JOURNAL: Final = 1.0
"""Seconds between two notes of the pulls that were counted: a worker that is killed loses those since."""

PULL_JOURNAL: Final = 16 * MIB
"""Bytes of those notes, above which they begin anew with what still counts: at most 20,000 lines."""

AUDIT_COUNTED: Final = 60.0
"""Seconds between two looks for pulls that were counted, and whose hour is over."""

AUDIT_PULLED: Final = 20_000
"""Pairs of client and manifest that a worker counts, about 400 bytes each."""
