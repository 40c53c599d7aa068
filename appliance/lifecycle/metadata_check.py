"""Checks the metadata: after each start, before each collection, and in each scrub."""

from __future__ import annotations

from collections.abc import Callable

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.lifecycle.row_healing import RowHealing
from appliance.station import Station
from appliance.store.integrity import IntegrityFindings, findings
from appliance.store.writes.checks import EndCheck


def check(
    station: Station, actor: str, attend: Callable[[], object] = lambda: None,
    log: Callable[[str], object] = lambda _: None,
) -> IntegrityFindings:  # fmt: skip
    """Read all of the metadata, put damaged rows right that something proves, and keep what is left for `lockgate
    status`; what is new is an event. `attend` is called often and may raise. Raises FailedError."""
    found = findings(station.reader, attend)
    healing = RowHealing(station, actor, attend, log)
    if found.structure and healing.remake_indexes(found):
        found = findings(station.reader, attend)
    if found.texts and not found.structure:
        before, put = found, healing.heal(found)
        if put:
            detail = {"found": before.texts[:20], "count": str(before.wrong_count), "put_right": str(put)}
            station.audit.record(AuditEvent(Act.METADATA_DAMAGED, actor, "metadata", "done", detail))
            found = findings(station.reader, attend)
            found.described = healing.described
    rows = tuple((row.rows, row.repository, row.item) for row in found.wrong)
    end = EndCheck(at=clock.now(), found=tuple(found.texts), rows=rows, structure=bool(found.structure))
    if station.writer.submit(end) and found.texts:
        detail = {"found": found.texts[:20], "count": str(len(found.texts))}
        station.audit.record(AuditEvent(Act.METADATA_DAMAGED, actor, "metadata", "done", detail))
    return found
