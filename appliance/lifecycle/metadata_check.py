"""Checks the metadata: after each start, before each collection, and in each scrub."""

from __future__ import annotations

from collections.abc import Callable

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.lifecycle.blob_reader import BlobExaminer
from appliance.lifecycle.damage import Findings
from appliance.station import Station
from appliance.store.integrity import IntegrityFindings, findings
from appliance.store.writes.checks import EndCheck


def check(
    station: Station, actor: str, attend: Callable[[], object] = lambda: None,
    log: Callable[[str], object] = lambda _: None,
) -> IntegrityFindings:  # fmt: skip
    """Read all of the metadata, and keep what was found for `lockgate status`; what is new is an event. Rows of blobs
    that are whole are made anew from the blobs. `attend` is called often and may raise. Raises FailedError."""
    found = findings(station.reader, attend)
    hurt = [row.item for row in found.wrong if row.rows == "blob"]
    if hurt:
        put = Findings(station, actor, log).put_rows_right(BlobExaminer(station.blobs), hurt, lambda _: attend())
        if put:
            detail = {"found": found.texts[:20], "count": str(len(found.texts)), "put_right": str(put)}
            station.audit.record(AuditEvent(Act.METADATA_DAMAGED, actor, "metadata", "done", detail))
            found = findings(station.reader, attend)
    rows = tuple((row.rows, row.repository, row.item) for row in found.wrong)
    end = EndCheck(at=clock.now(), found=tuple(found.texts), rows=rows)
    if station.writer.submit(end) and found.texts:
        detail = {"found": found.texts[:20], "count": str(len(found.texts))}
        station.audit.record(AuditEvent(Act.METADATA_DAMAGED, actor, "metadata", "done", detail))
    return found
