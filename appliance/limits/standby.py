"""Ceilings of a pair: a primary inside and its stand-by."""

from __future__ import annotations

from typing import Final

from bundles.limits import MIB

STANDBY_PIECE: Final = MIB
"""Bytes of a piece of a file in a state: what changed of a database goes in such pieces."""

STANDBY_STATE: Final = 64 * MIB
"""A state's document: 64 bytes for each piece, a terabyte of database and log."""

STANDBY_NODES: Final = 4_000_000
"""Values in a state's document."""

STANDBY_PATH: Final = 300
"""Characters of a file's path in a state."""

STANDBY_DEPTH: Final = 6
"""Folders and name of a file in a state."""

STANDBY_LACKS: Final = 100_000
"""Blobs that a state says its primary names and has not."""

STANDBY_EVERY: Final = (2, 86_400)
"""Seconds between two states, at least and at most."""

STANDBY_SILENT: Final = 60
"""Seconds that a primary was not heard of before its stand-by is promoted, unless it ended itself."""

STANDBY_LATE: Final = 600
"""Seconds without a state that the stand-by took after which a primary's health is not well."""

STANDBY_TERMS: Final = 1000
"""Documents of terms in an exchange that are read."""
