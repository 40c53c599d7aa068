"""Everything that is held against the audit log, part by part."""

from __future__ import annotations

from typing import Final

from appliance.release_check import (
    changed_blocks,
    changed_deeds,
    changed_entries,
    changed_facts,
    changed_promotions,
    changed_retirements,
    moved_tags,
    unexplained,
)
from appliance.station import Station

Findings = list[dict[str, str]]
Parts = tuple[Findings, ...]

ALARMS: Final = (
    unexplained.alarms, moved_tags.alarms, changed_blocks.alarms, changed_entries.alarms, changed_facts.alarms,
    changed_deeds.alarms, changed_promotions.alarms, changed_retirements.alarms,
)  # fmt: skip
"""What says each part, in the order of `check_parts`."""


def check_parts(station: Station, right: set[int]) -> Parts:
    """What each part finds. `right`: rows of manifests that were found to be right, which grows. Raises FailedError
    where the audit log cannot be read."""
    return (
        unexplained.unexplained(station), moved_tags.moved(station), changed_blocks.changed_blocks(station),
        changed_entries.changed_entries(station), changed_facts.changed_facts(station, right),
        changed_deeds.changed_deeds(station), changed_promotions.changed_promotions(station),
        changed_retirements.changed_retirements(station),
    )  # fmt: skip
