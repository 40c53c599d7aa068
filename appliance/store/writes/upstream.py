"""What registries said, kept for a while."""

from __future__ import annotations

from typing import ClassVar

from appliance.limits import collecting as limits
from appliance.store.ports import Connection
from appliance.store.writes.write import Write


class NoteAsked(Write, frozen=True):
    """What `source` (host and repository) said refers to `digest`, as JSON. The oldest answers go where there are more
    than `limits.REMOTE_EVIDENCE_ROWS`."""

    unrecorded: ClassVar[str] = "an answer of a registry that spares it a question, and decides nothing"
    source: str
    digest: str
    answer: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO upstream_asked (source, digest, answer, at) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (source, digest) DO UPDATE SET answer = ?3, at = ?4",
            (self.source, self.digest, self.answer, self.at),
        )
        (rows,) = db.execute("SELECT count(*) FROM upstream_asked").fetchone()
        if rows > limits.REMOTE_EVIDENCE_ROWS:
            db.execute(
                "DELETE FROM upstream_asked WHERE (source, digest) IN"
                " (SELECT source, digest FROM upstream_asked ORDER BY at LIMIT ?)",
                (rows - limits.REMOTE_EVIDENCE_ROWS // 2,),
            )
