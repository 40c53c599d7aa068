"""Ceilings of content rules."""

from __future__ import annotations

from typing import Final

from bundles.limits import KIB, MIB

RULE_SECONDS: Final = 900.0
"""What one rule may take for a blob; the walk itself has MALWARE_TIME for all of them."""

RULE_LARGE: Final = 500
RULE_WHITEOUTS: Final = 2_000
"""Largest files of a layer, and names that it takes away, which are kept for the rules about whole images."""

FOREIGN_ANSWER: Final = 30.0
"""Seconds in which a third party's rule must answer to an entry, or to a piece of a file."""

FOREIGN_PIECE: Final = 256 * KIB
FOREIGN_SAID: Final = MIB
"""Bytes of a file that it is handed at once, and of its answer."""

FOREIGN_ADDRESSES: Final = 4 * 1024 * MIB
FOREIGN_MEMORY: Final = 256 * MIB
"""Its address space, of which interpreters reserve far more than they use, and its writable memory."""

FOREIGN_NICE: Final = 10
"""How much it gives way to what serves."""
