"""Ceilings of collection, scrub, rereading, the check of what is shown, and starts."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

# Garbage collection, and the graveyard.

GC_BATCH: Final = 256
"""Blobs taken away while pushes and imports wait; some tens of milliseconds."""

GC_SORTED: Final = 200_000
"""Names of blobs that a collection sorts at a time, of 120 bytes each."""

READ_ALL_PAGES: Final = 64 * MIB
"""Pages of the database that a collection and a scrub may keep in memory: rows are held against indexes, which lie in
another order."""

GC_PAGE: Final = 1_000
"""Rows that a collection reads, and files that it looks up, at a time: memory must not grow with the store."""

UNREFERENCED: Final = 24 * 60 * 60.0
"""A blob that no manifest of its repository names stays so long: its manifest may be on its way, as an upload may."""

GC_NAMED: Final = 1_000
"""Blobs a collection names in its result; all are counted."""

UNTAGGED_OLDER: Final = 30 * 24 * 60 * 60
UNTAGGED_OLDER_MOST: Final = 100 * 366 * 24 * 60 * 60
"""Seconds for which a manifest must have been without a tag, where a collection of these is told no other time, and at
most: a node that pulls by digest, or a way back to what a tag named before, is gone after that."""

DOUBTFUL_SUMS: Final = 2_000
"""Sums that a collection computes for a blob to know whether a damaged row may stand for it, some 0.3 microseconds
each; where it would take more the blob stays."""

TOMBSTONE_LIFE: Final = 90 * 24 * 60 * 60
TOMBSTONES: Final = 200_000
"""Seconds for which a link that went is remembered, and how many: a quarter, and 60 MB of the database."""

TOMBSTONES_PRUNED: Final = 20_000
"""Of those, how many are forgotten in one transaction, while other writes wait: half a second."""

TOMBSTONES_LOOK: Final = 60 * 60.0
"""Seconds between two looks for tombstones that are too old or too many: each reads all of them."""

GC_GRACE_HOURS: Final = (0, 366 * 24)
"""How long a collected blob may be told to wait; more than a year is a backup's business."""

GRAVEYARD_ROOM: Final = 1024 * MIB
GRAVEYARD_FILES: Final = 10_000
"""Bytes and inodes that are to be free: where fewer are, the graveyard is emptied, oldest first. Twice the bytes below
which health complains."""

GRAVEYARD_LOOK: Final = 60.0
"""Seconds between two looks whether a grave's time is over, or the disk needs its space."""

GRAVEYARD_NOTHING: Final = 2.0
"""Seconds for which nobody looks again whether the graveyard can give room back, where it had nothing."""

# Scrub and rereading.

SCRUB_BATCH: Final = 256
"""Blobs read between two looks into the metadata."""

SCRUB_SAVE: Final = 5.0
"""Seconds of reading that a power cut may cost a scrub."""

REVERIFY_HOURS: Final = (1, 31 * 24)
"""Between two readings of the same blob: more than once an hour wears a disk out, and rot that is found after more than
a month is in every backup."""

REREAD_RATE: Final = 8 * MIB
"""Bytes a second that the station's own rereading reads at least: a hundredth of a core, and little of any disk. A
store that would take longer than its interval is read faster."""

REREAD_SHARE: Final = 0.8
"""Of the interval, what a pass is planned to take; the rest is room for a busy disk."""

REREAD_AFTER: Final = 120.0
"""Seconds after a start before the rereading begins: starting is busy enough."""

REREAD_LOOK: Final = 60.0
"""Seconds between two looks whether a pass is due, and of rereading that a power cut may cost."""

UNREADABLE_WAITS: Final = (0.1, 0.4, 1.0, 2.0)
"""Seconds before each further attempt to read a blob: a disk that is reset, a path that moves over, a full table of
descriptors are over in a second or two."""

UNREADABLE_IN_A_ROW: Final = 8
"""After so many unreadable blobs in a row the disk is gone, and the next ones are tried once each: a pass over a
million of them must come to its end and say so."""

DAMAGE_NAMED: Final = 1_000
"""Damaged blobs named in a result; a disk that lost more than that is replaced as a whole."""

# The check of what is shown, and starts.

FORGOTTEN_LOOKED_AT: Final = 2_000
"""Of the audit log's newest events, so many are held against the database before a start, where nothing else says
whether it went back: a fraction of a second."""

NAMES_KNOWN: Final = 10_000
"""Manifests whose content's digests are remembered while lists are made, about 1 KiB each."""

FACTS_KNOWN: Final = 200_000
"""Rows of manifests that `intake check` remembers to be what their bytes say, about 60 bytes each."""

METADATA_FIRST: Final = 1.0
"""Seconds that a start waits for its check of the metadata: that of a small station is over by then, and nobody is
refused a deletion."""

RELEASES_LOOKED_AT: Final = 600.0
"""How often the station holds what it shows against its audit log: a second or so of reading for a million events."""

UNEXPLAINED_KEPT: Final = 10.0
"""Seconds for which an account that the audit log does not explain is refused without another look at the log."""
