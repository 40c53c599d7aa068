"""What was left out of a repository's indexes when these were collected, by the records that refer to them."""

from __future__ import annotations

import json
from typing import Final

from appliance.store.ports import Reader
from bundles.oci.digest import Digest
from bundles.oci.left_out import PLATFORMS_TYPE, left_out_by

_RECORDS: Final = (
    "SELECT m.annotations FROM manifests m INDEXED BY platform_records"
    " JOIN links l ON l.digest = m.digest AND l.kind = 'manifest'"
    " AND l.repository_id = (SELECT id FROM repositories WHERE name = ?)"
    " WHERE m.artifact_type = 'application/vnd.lockgate.platforms.v1' AND instr(m.annotations, ?) > 0 LIMIT 1"
)  # the type is written out: only so the index is used (SQLite, partial indexes)


def left_out_platform(reader: Reader, repository: str, digest: Digest) -> str | None:
    """The platform of a manifest that was left out of an index of the repository, "" where it has none; None where no
    record says so. Grows with the records of all repositories."""
    row = next(iter(reader.execute(_RECORDS, (repository, str(digest)))), None)
    return None if row is None else left_out_by(PLATFORMS_TYPE, json.loads(row[0])).get(digest)
