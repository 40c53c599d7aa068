"""Ceilings of content rules."""

from __future__ import annotations

from typing import Final

RULE_SECONDS: Final = 900.0
"""What one rule may take for a blob; the walk itself has MALWARE_TIME for all of them."""

RULE_LARGE: Final = 500
RULE_WHITEOUTS: Final = 2_000
"""Largest files of a layer, and names that it takes away, which are kept for the rules about whole images."""
