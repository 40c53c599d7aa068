"""A new database in PostgreSQL has the tables, columns, keys, indexes and rules of one in SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from appliance.store.database import open_writer
from appliance.store.errors import ConflictEngineError
from appliance.store.migrations import runner
from appliance.store.ports import Reader
from appliance.store.postgres import engine as postgres_engine
from appliance.store.postgres.connection import PostgresConnection
from appliance.store.postgres.engine import PostgresEngine
from appliance.store.postgres.schema import define
from bundles.errors import FailedError
from tests.postgres_server import PostgresServer

TYPES = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "REAL": "double precision"}
OWN = {"steps", "written", "station"}
AT = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def both(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reader, Reader]]:
    path = tmp_path_factory.mktemp("schema") / "metadata.sqlite"
    with closing(open_writer(path)) as sqlite, closing(PostgresEngine(postgres.new_database()).open_writer()) as other:
        yield sqlite, other


def tables(sqlite: Reader) -> list[str]:
    rows = sqlite.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'")
    return sorted(name for (name,) in rows)


def column_lists(db: Reader, sql: str) -> set[tuple[Any, ...]]:
    return {tuple(tuple(field) if isinstance(field, list) else field for field in row) for row in db.execute(sql)}


@pytest.mark.postgres
def test_tables_and_columns_are_the_same(both: tuple[Reader, Reader]) -> None:
    sqlite, other = both
    ours = {
        (table, place, name, TYPES[kind], bool(filled or key), None if default is None else default.strip("'"))
        for table in tables(sqlite)
        for place, name, kind, filled, default, key in sqlite.execute(f"PRAGMA table_info({table})")
    }
    rows = other.execute(
        "SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " pg_get_expr(d.adbin, d.adrelid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " AND n.nspname = 'lockgate' JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relkind = 'r'"
    ).fetchall()
    theirs = {
        (table, place - 1, name, kind, bool(filled),
         None if default is None else default.removesuffix("::text").removesuffix("::bigint").strip("'"))
        for table, place, name, kind, filled, default in rows
        if table not in OWN
    }  # fmt: skip
    assert len(ours) > 300
    assert theirs == ours


@pytest.mark.postgres
def test_keys_are_the_same(both: tuple[Reader, Reader]) -> None:
    sqlite, other = both
    ours = set()
    for table in tables(sqlite):
        keys = sorted((key, name) for _, name, _, _, _, key in sqlite.execute(f"PRAGMA table_info({table})") if key)
        ours.add((table, "p", tuple(name for _, name in keys)))
        for _, index, _, origin, _ in sqlite.execute(f"PRAGMA index_list({table})").fetchall():
            if origin == "u":
                fields = sqlite.execute(f"PRAGMA index_info('{index}')").fetchall()
                ours.add((table, "u", tuple(name for _, _, name in fields)))
        for row in sqlite.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            ours.add((table, "f", (row[3], row[2], row[4])))
    theirs = column_lists(
        other,
        "SELECT c.relname, k.contype::text, CASE WHEN k.contype = 'f' THEN array_agg(a.attname::text ORDER BY k.place)"
        " || ARRAY[r.relname::text, (SELECT b.attname::text FROM pg_attribute b WHERE b.attrelid = r.oid"
        " AND b.attnum = k.confkey[1])] ELSE array_agg(a.attname::text ORDER BY k.place) END"
        " FROM (SELECT x.*, p.key, p.place FROM pg_constraint x, unnest(x.conkey) WITH ORDINALITY AS p (key, place)"
        " WHERE x.contype IN ('p', 'u', 'f')) k JOIN pg_class c ON c.oid = k.conrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'lockgate'"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.key LEFT JOIN pg_class r ON r.oid = k.confrelid"
        " GROUP BY c.relname, k.oid, k.contype, r.relname, r.oid, k.confkey",
    )
    assert {row for row in theirs if row[0] not in OWN} == ours


@pytest.mark.postgres
def test_indexes_are_the_same(both: tuple[Reader, Reader]) -> None:
    """By name, table, whether it holds each row once, what it is ordered by and which rows it has."""
    sqlite, other = both
    ours = {
        name: normal(part)
        for name, sql in sqlite.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND name NOT LIKE '%sqlite%'"
        )
        for part in define(sql)
    }
    theirs = {
        name: normal(sql)
        for name, sql in other.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'lockgate' AND indexname NOT LIKE '%pkey'"
            " AND indexname NOT LIKE '%key' AND indexname NOT LIKE '%idx'"
        )
    }
    assert len(ours) > 40
    assert theirs == ours


def normal(sql: str) -> str:
    """An index's statement without what only one engine writes."""
    sql = re.sub(r"\blockgate\.| USING btree|::text|[()]", "", sql)
    return " ".join(sql.lower().split())


@pytest.mark.postgres
def test_rows_of_a_new_database_and_rules_are_the_same(both: tuple[Reader, Reader]) -> None:
    sqlite, other = both
    for table in tables(sqlite):
        sql = f"SELECT * FROM {table}"
        assert other.execute(sql).fetchall() == sqlite.execute(sql).fetchall(), table
    named = sqlite.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    rows = other.execute("SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal").fetchall()
    assert sorted(rows) == sorted(named)
    checks = sum(
        sql.count("CHECK (") for (sql,) in sqlite.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")
    )
    (found,) = other.execute(
        "SELECT count(*) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace"
        " AND n.nspname = 'lockgate' WHERE c.contype = 'c' AND c.conrelid <> CAST('lockgate.station' AS regclass)"
    ).fetchone()
    assert found == checks


@pytest.mark.postgres
@pytest.mark.parametrize("place", [0, 1])
def test_rules_refuse_what_they_refuse(both: tuple[Reader, Reader], place: int) -> None:
    db = both[place]
    insert = "INSERT INTO transitions (digest, id, state, at, actor, note) VALUES (?, 'a', ?, ?, 'root(0)', '')"
    db.execute(insert, ("sha256:0", "received", AT))
    for sql, values, said in (
        (insert, ("sha256:0", "released", AT), "a step was skipped"),
        ("UPDATE transitions SET note = 'b'", (), "the record of steps is append-only"),
        ("DELETE FROM transitions", (), "the record of steps is append-only"),
        ("INSERT INTO links (repository_id, digest, kind, created) VALUES (1, 'a', 'tag', ?)", (AT,), None),
        ("INSERT INTO tags (repository_id, tag, digest, updated) VALUES (9, 'a', 'b', ?)", (AT,), None),
        ("INSERT INTO epoch (id, value) VALUES (1, 1)", (), None),
    ):
        with pytest.raises(ConflictEngineError, match=said):
            db.execute(sql, values)


@pytest.mark.postgres
def test_a_later_step_runs_on_both_and_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a later version, with each kind of statement that steps are made of."""
    step = ModuleType("m9000_further")
    statements = (
        "CREATE TABLE further (number INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL REFERENCES blobs"
        " (digest), data BLOB, score REAL) STRICT",
        "CREATE INDEX further_by_digest ON further (digest) WHERE score IS NOT NULL",
        "ALTER TABLE further ADD COLUMN at TEXT NOT NULL DEFAULT ''",
        "CREATE TRIGGER further_is_not_deleted BEFORE DELETE ON further BEGIN SELECT RAISE(ABORT, 'it stays'); END",
        "DROP TRIGGER further_is_not_deleted",
        "UPDATE epoch SET value = value + 1",
    )
    step.__dict__["apply"] = lambda db: [db.execute(one) for one in statements]
    source = PostgresEngine(postgres.new_database())
    path = tmp_path / "metadata.sqlite"
    open_writer(path).close()
    names = [*runner.step_names(), "m9000_further"]
    known = runner.step_of
    for module in (runner, postgres_engine):
        monkeypatch.setattr(module, "step_names", lambda: names)
        monkeypatch.setattr(module, "step_of", lambda name: step.apply if name == "m9000_further" else known(name))
    for again in range(2):
        for made in (open_writer(path), source.open_writer()):
            with closing(made) as db:
                assert db.execute("SELECT value FROM epoch").fetchall() == [(2,)], again
                assert db.execute("SELECT number, digest, data, score, at FROM further").fetchall() == []
    monkeypatch.undo()
    with pytest.raises(FailedError, match="newer version"):
        source.open_writer()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("TEMPLATE template0 LOCALE 'C.UTF-8'", "orders texts"),
        ("TEMPLATE template0 ENCODING 'SQL_ASCII'", "orders texts"),
        ("TEMPLATE template0", ""),
    ],
)
def test_a_database_that_orders_texts_otherwise_is_refused(postgres: PostgresServer, options: str, said: str) -> None:
    source = PostgresEngine(postgres.new_database(options))
    if not said:
        source.open_writer().close()
        source.open_reader().close()
        return
    with pytest.raises(FailedError, match=said):
        source.open_writer()
    with pytest.raises(FailedError, match="cannot be read"):
        source.open_reader()


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    source = PostgresEngine(f"host={tmp_path} user=lockgate dbname=none password=hidden")
    for opened in (source.open_writer, source.open_reader):
        with pytest.raises(FailedError, match="cannot be reached") as refused:
            opened()
        assert "\n" not in str(refused.value)
        assert "hidden" not in str(refused.value)


@pytest.mark.postgres
def test_a_reader_cannot_write(postgres: PostgresServer) -> None:
    source = PostgresEngine(postgres.new_database())
    with closing(source.open_reader()) as reader, pytest.raises(Exception, match="read-only transaction"):
        reader.execute("UPDATE epoch SET value = value + 1")
    assert isinstance(reader, PostgresConnection)
