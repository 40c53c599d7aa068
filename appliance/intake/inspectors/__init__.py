"""Inspectors: what this station itself finds in a quarantined bundle, one module each, behind a port of one verb.

What lives here: readers of quarantined content that fill a section of the inspection report. What may not: changes of
any kind, or evidence that was carried in taken as one's own finding. A further inspector is a further module, and its
line in `INSPECTORS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.intake.inspectors import artifacts, changes, differences, evidence, integrity, layers
from appliance.intake.inspectors.port import Inspector, Subject
from bundles.documents import Report

INSPECTORS: Final[tuple[Inspector, ...]] = (
    integrity.inspect,
    artifacts.inspect,
    changes.inspect,
    differences.inspect,
    evidence.inspect,
    layers.inspect,
)


def inspect(subject: Subject, site: str, at: str, inspectors: Sequence[Inspector] = INSPECTORS) -> Report:
    """The inspection report of `site` about a bundle: a section an inspector, in their order.

    Every inspector is required: one that is down raises its LockgateError here, and there is no report to approve.
    """
    return Report(
        site=site,
        bundle=subject.opened.manifest.id,
        digest=str(subject.opened.digest),
        created=at,
        sections=[inspector(subject) for inspector in inspectors],
    )
