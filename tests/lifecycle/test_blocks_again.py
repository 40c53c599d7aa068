"""A block that the database has forgotten holds again: the audit log says what people blocked."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.lifecycle.forgotten_blocks import block_again, withdraw_again
from appliance.release_check.changed_blocks import changed_blocks
from appliance.release_check.changed_entries import changed_entries
from appliance.release_check.moved_tags import moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.oci.digest import Digest
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

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


def released(inside: Inside, folder: Path) -> list[str]:
    """Three bundles of one file each that people released; the files' manifests."""
    officer, previous, digests = inside.officer(), None, []
    for number in (1, 2, 3):
        store = MemoryStore()
        artifact = file_artifact(store, b"%d" % number, f"files/{number}")
        bundle = carry(folder / f"{number}", store, [artifact], sequence=number, previous=previous)
        inside.trust(bundle.key.public)
        inside.bring(bundle.folder)
        inside.decide(name_of(number), officer)
        inside.release(name_of(number))
        previous, digests = bundle.digest, [*digests, artifact.digest]
    return digests


def test_what_was_withdrawn_since_an_older_copy_of_the_database_is_withdrawn_again(tmp_path: Path) -> None:
    """What was released again since, or never withdrawn, stays."""
    older = tmp_path / "older.sqlite"
    with Inside(tmp_path / "bravo") as inside:
        paths, digests = inside.station.paths, released(inside, tmp_path)
        with contextlib.closing(sqlite3.connect(older)) as copy:
            inside.station.reader.backup(copy)
        inside.withdraw(name_of(1), "malicious")
        inside.withdraw(name_of(2), "by mistake")
        inside.decide(name_of(2), inside.officer("Second"))
        inside.release(name_of(2))
    for path in paths.root.glob("metadata.sqlite*"):
        path.unlink()
    shutil.copy(older, paths.database)

    again = withdraw_again(paths, "bravo")
    assert (again.bundles, again.failed) == ([name_of(1)], [])
    assert withdraw_again(paths, "bravo").bundles == []
    with Inside(tmp_path / "bravo") as inside:
        assert [inside.state(name_of(number)) for number in (1, 2, 3)] == ["withdrawn", "released", "released"]
        shown = [inside.station.metadata.shown_anywhere(Digest.parse(digest), "manifest") for digest in digests]
        assert shown == [[], ["files/2"], ["files/3"]]
        assert unexplained(inside.station) == []
        assert changed_entries(inside.station) == []
        assert moved_tags(inside.station) == []


def test_a_withdrawal_that_cannot_be_done_again_is_named_and_holds_no_other_up(tmp_path: Path) -> None:
    older = tmp_path / "older.sqlite"
    with Inside(tmp_path / "bravo") as inside:
        paths, digests = inside.station.paths, released(inside, tmp_path)
        with contextlib.closing(sqlite3.connect(older)) as copy:
            inside.station.reader.backup(copy)
        for number in (1, 2):
            inside.withdraw(name_of(number), "malicious")
    for path in paths.root.glob("metadata.sqlite*"):
        path.unlink()
    shutil.copy(older, paths.database)
    paths.blob(Digest.parse(digests[0])).unlink()
    again = withdraw_again(paths, "bravo")
    assert again.bundles == [name_of(2)]
    assert [line.partition(" ")[0] for line in again.failed] == [name_of(1)]
