"""What the database says of each manifest, held against the manifest's own bytes.

Type, artifact type, subject, annotations and size stand in a row beside the bytes, for the lists of the registry (which
read no files). They follow from the bytes, whose digest names them; a row that says something else was changed by hand
or is damaged, and is made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.limits import lifecycle as limits
from appliance.station import Station
from appliance.store.reads.links import is_linked_as_manifest
from appliance.store.reads.manifest_facts import differences, facts_of
from appliance.store.rows import WrongRowError
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.lifecycle import DescribeManifest
from bundles import limits as format_limits
from bundles.errors import NotFoundError
from bundles.oci.digest import Digest


class Described:
    """Compares rows with bytes, and fixes them. `found` are the differences: {digest, fields}, the first
    `limits.DAMAGE_NAMED` of them; the field `row` is a manifest that is shown and has no row."""

    def __init__(self, station: Station, actor: str, log: Callable[[str], object]) -> None:
        self._station, self._actor, self._log = station, actor, log
        self.found: list[dict[str, Any]] = []

    def check(self, digest: Digest) -> None:
        """Compare the row of a blob that was just read whole, where it is a manifest. Raises FailedError."""
        try:
            facts = self._station.metadata.manifest(digest)
        except WrongRowError:
            return  # the check of the metadata names it, and it is not served
        if facts is None and not is_linked_as_manifest(self._station.reader, str(digest)):
            return
        try:
            with self._station.blobs.open_blob(digest) as file:
                raw = file.read(format_limits.OCI_MANIFEST + 1)
        except NotFoundError:  # collected meanwhile
            return
        if Digest.of(raw, digest.algorithm) != digest:
            return  # the next look at the blob says so
        derived = facts_of(digest, raw)
        if derived is None:  # taken in under other rules, by an earlier version: nothing can be said of it
            return
        fields = ["row"] if facts is None else differences(facts, derived)
        if not fields:
            return
        self._log(f"{digest}: the database says something else of its {', '.join(fields)} than its bytes")
        event = AuditEvent(Act.DESCRIBE_MANIFEST, self._actor, str(digest), "done", {"fields": fields})
        row = ManifestRow(
            blob=BlobRow(digest=str(digest), size=len(raw), crc32=crc32(raw)),
            media_type=derived.media_type, artifact_type=derived.artifact_type,
            subject=None if derived.subject is None else str(derived.subject), annotations=derived.annotations,
        )  # fmt: skip
        with recording(self._station.audit, event):
            self._station.writer.submit(DescribeManifest(manifest=row, at=clock.now()))
        if len(self.found) < limits.DAMAGE_NAMED:
            self.found.append({"digest": str(digest), "fields": fields})
