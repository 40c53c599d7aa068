"""Which bundles stand on a key: what is listed for recall when it is revoked."""

from __future__ import annotations

import sqlite3


def signed_by(reader: sqlite3.Connection, keyid: str) -> list[dict[str, str]]:
    """Each bundle that came in and names the key as a signer, or that its owner decided about with it: id, digest,
    state, and `as` (`signed`, `decided`), by id. What was released before a revocation stays released."""
    rows = reader.execute(
        "SELECT id, digest, state, 'signed' FROM intake WHERE EXISTS"
        " (SELECT 1 FROM json_each(intake.manifest, '$.signers') WHERE value = ?1)"
        " UNION ALL SELECT id, intake.digest, state, 'decided' FROM intake JOIN approvals"
        " ON approvals.digest = intake.digest WHERE approvals.keyid = ?1 ORDER BY 1, 2, 4",
        (keyid,),
    )
    return [{"id": name, "digest": digest, "state": state, "as": way} for name, digest, state, way in rows]
