"""Inspectors: what this station itself finds in a quarantined bundle, one module each, behind a port of one verb.

What lives here: readers of quarantined content that fill a section of the inspection report. What may not: changes of
any kind, or evidence that was carried in taken as one's own finding.
"""

from __future__ import annotations

from appliance import clock
from appliance.intake.content import Checked
from appliance.intake.inspectors import artifacts, changes, evidence, integrity
from appliance.intake.inspectors.port import Inspector, Subject
from appliance.station import Station
from bundles.documents import Report
from bundles.verdict import Opened

_INSPECTORS: tuple[Inspector, ...] = (integrity.inspect, artifacts.inspect, changes.inspect, evidence.inspect)


def inspect(station: Station, opened: Opened, checked: list[Checked]) -> Report:
    """Run every inspector, in order."""
    subject = Subject(station, opened, checked)
    return Report(
        site=station.config.site,
        bundle=opened.manifest.id,
        digest=str(opened.digest),
        created=clock.now(),
        sections=[inspector(subject) for inspector in _INSPECTORS],
    )
