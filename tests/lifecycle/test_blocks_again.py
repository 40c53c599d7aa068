"""A block that the database has forgotten holds again: the audit log says what people blocked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from appliance import clock
from appliance.intake.changed_blocks import changed_blocks
from appliance.lifecycle.blocks_again import block_again
from appliance.observe.acts import Act
from appliance.observe.audit import AuditEvent
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.oci.digest import Digest
from tests.intake.inside import Inside

LOST, KEPT, LIFTED = (str(Digest.of(name)) for name in (b"lost", b"kept", b"lifted"))
OFFICER = "vera (uid 0)"


def block(inside: Inside, digest: str) -> None:
    at = clock.now()
    detail = {"thing": digest, "why": "CVE-2026-1", "at": at}
    inside.station.audit.record(AuditEvent(Act.BLOCK, OFFICER, digest, "done", detail))
    inside.writer.submit(Block(digest=digest, why="CVE-2026-1", actor=OFFICER, at=at))


def test_what_the_log_says_is_blocked_is_blocked_as_it_was_and_nothing_else(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        for digest in (LOST, KEPT, LIFTED):
            block(inside, digest)
        inside.station.audit.record(AuditEvent(Act.UNBLOCK, OFFICER, LIFTED))
        inside.writer.submit(Unblock(digest=LIFTED))
        before = inside.station.reader.execute("SELECT * FROM blocks ORDER BY digest").fetchall()
        with sqlite3.connect(inside.station.paths.database) as older:
            older.execute("DELETE FROM blocks WHERE digest = ?", (LOST,))
        older.close()
        assert block_again(inside.station.paths, "bravo") == [LOST]
        assert inside.station.reader.execute("SELECT * FROM blocks ORDER BY digest").fetchall() == before
        assert changed_blocks(inside.station) == []
        assert block_again(inside.station.paths, "bravo") == []
