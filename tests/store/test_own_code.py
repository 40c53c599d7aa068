"""Triggers, views and unique indexes in the metadata are this program's alone, whatever somebody laid in there."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from appliance import clock
from appliance.store import own_code
from appliance.store.database import open_writer
from appliance.store.epoch import SharedEpoch
from appliance.store.reads.registry import Metadata
from appliance.store.sqlite_file import in_memory
from appliance.store.writer import LocalWriter, WriterService
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.registry import BumpEpoch

LAID = {
    "a block has no effect": "CREATE TRIGGER a BEFORE INSERT ON blocks BEGIN SELECT RAISE(IGNORE); END",
    "a block is taken away": "CREATE TRIGGER b AFTER INSERT ON blocks BEGIN DELETE FROM blocks; END",
    "the epoch stands still": "CREATE TRIGGER c BEFORE UPDATE ON epoch BEGIN SELECT RAISE(IGNORE); END",
    "the epoch goes back": "CREATE TRIGGER d AFTER UPDATE ON epoch BEGIN UPDATE epoch SET value = old.value; END",
    "one block at most": "CREATE UNIQUE INDEX e ON blocks ((1))",
    "a view": "CREATE VIEW f AS SELECT 1",
    "one that bears a strange name": 'CREATE TRIGGER "g"" ;x" BEFORE INSERT ON blocks BEGIN SELECT RAISE(IGNORE); END',
}
DIGESTS = [f"sha256:{number * 64}" for number in "12"]


def statements(path: Path, *said: str) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as intruder:
        for statement in said:
            intruder.execute(statement)
        intruder.commit()
        return intruder.execute(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view') OR sql LIKE 'CREATE UNIQUE%'"
            " ORDER BY name"
        ).fetchall()


def block(digest: str) -> Block:
    return Block(digest=digest, why="", actor="boris", at=clock.now())


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
@pytest.mark.parametrize("laid", LAID)
def test_what_somebody_laid_into_the_database_changes_no_act(
    tmp_path: Path, laid: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metadata.sqlite"
    open_writer(path).close()
    own = statements(path)
    if when == "before the start":
        statements(path, LAID[laid])
    with WriterService(path) as writer, contextlib.closing(Metadata(path).connection) as reader:
        writer.submit(BumpEpoch())
        if when == "while it runs":
            statements(path, LAID[laid])
        seen = SharedEpoch(path)
        before = seen.seen()
        writer.submit(BumpEpoch())
        assert seen.seen() != before
        for digest in DIGESTS:
            writer.submit(block(digest))
        assert [row[0] for row in reader.execute("SELECT digest FROM blocks ORDER BY digest")] == DIGESTS
    assert statements(path) == own
    assert "not of this version" in caplog.text


@pytest.mark.parametrize("how", ["DROP", "DROP and another in its place"])
def test_a_trigger_of_the_program_that_was_dropped_comes_back(tmp_path: Path, how: str) -> None:
    path = tmp_path / "metadata.sqlite"
    with WriterService(path) as writer:
        writer.submit(BumpEpoch())
        own = statements(path)
        name = "ledger_is_not_deleted"
        other = f"CREATE TRIGGER {name} AFTER INSERT ON tags BEGIN DELETE FROM tags; END"
        statements(path, f"DROP TRIGGER {name}", *([] if how == "DROP" else [other]))
        writer.submit(BumpEpoch())
        assert statements(path) == own


def test_a_command_that_writes_without_the_station_puts_it_right_too(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite"
    open_writer(path).close()
    statements(path, LAID["a block has no effect"])
    with contextlib.closing(open_writer(path)) as database:
        LocalWriter(database).submit(block(DIGESTS[0]))
        assert database.execute("SELECT count(*) FROM blocks").fetchone() == (1,)


def test_the_seal_of_this_versions_own_is_the_one_that_is_written_down() -> None:
    """Where it is not, each start works out what is the program's own: write down the one that is named here."""
    with contextlib.closing(in_memory()) as fresh:
        code = frozenset(
            fresh.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"
                " OR (type = 'index' AND sql LIKE 'CREATE UNIQUE%')"
            )
        )
    assert own_code.seal(code) == own_code.USUAL
