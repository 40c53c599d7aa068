"""Every statement of the store is one that both engines take (docs/adr/0060-two-engines.md)."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from appliance.store.database import open_writer
from appliance.store.errors import EngineError
from appliance.store.postgres.dialect import translate
from tests.postgres_server import PostgresServer
from tests.store.test_store_alone import ROOT, STATEMENT, STORE

SQLITES_OWN = {
    "sqlite_file.py",
    "database_file.py",
    "sqlite_engine.py",
    "repair.py",
    "own_code.py",
    "reads/explained.py",
    "moving/file_side.py",
    "moving/tables.py",
}
"""Modules that know SQLite's file, or a private one."""

LOCAL: dict[str, dict[str, str]] = {
    "reads/components.py": {"order": "p.number", "marks": "?, ?"},
    "reads/custody.py": {"names": "('at', 'giver')"},
    "reads/documents.py": {"column": "manifest"},
    "reads/jobs.py": {"before": "number < ?", "marks": "?, ?"},
    "reads/links.py": {"order": "DESC"},
    "reads/record_rows.py": {"words": "'released'"},
    "writes/advisories.py": {"ended": "'done'"},
    "writes/intake.py": {"table": "intake_sums"},
    "writes/ledger_repair.py": {"table": "intake_sums"},
    "writes/news.py": {"table": "advisory_hits", "key": "generation, image"},
    "writes/pending_changes.py": {"where": "state = ?"},
    "writes/row_repair.py": {"name": "tags_again"},
}
"""What stands for the names in statements that are put together in a function."""


def statements() -> Iterator[tuple[str, str]]:
    """Where each statement of reads and writes stands, and its text. NameError: a name that `LOCAL` must have."""
    for path in sorted(STORE.rglob("*.py")):
        name = str(path.relative_to(STORE))
        if name in SQLITES_OWN or name.startswith(("migrations/", "postgres/")):
            continue
        tree = ast.parse(path.read_text())
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in parts or not isinstance(node, ast.Constant | ast.JoinedStr):
                continue
            text = told(node, module, LOCAL.get(name, {}))
            if STATEMENT.match(text) and "{counts}" not in text:  # a template: what is made of it is looked at
                yield f"{name}:{node.lineno}", text


def told(node: ast.Constant | ast.JoinedStr, module: ModuleType, local: dict[str, str]) -> str:
    """A text as the module has it. One that only becomes a text in a function and is no statement is ""."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    begin = node.values[0]
    if isinstance(begin, ast.Constant) and not STATEMENT.match(str(begin.value)):
        return ""
    names: dict[str, Any] = {**vars(module), **local}
    if "names" in local:
        names["names"] = ast.literal_eval(local["names"])
    try:
        return str(eval(compile(ast.Expression(node), module.__name__, "eval"), names))
    except NameError:
        if isinstance(begin, ast.Constant):
            raise
        return ""


EVERY = dict(statements())


def test_there_are_statements_to_look_at() -> None:
    assert len(EVERY) > 600


def test_sqlite_takes_every_statement(tmp_path: Path) -> None:
    refused = {}
    with closing(open_writer(tmp_path / "metadata.sqlite")) as db:
        for where, text in EVERY.items():
            if text.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE", "BEGIN")):
                continue
            try:
                db.execute(f"EXPLAIN {text}", [None] * 20)
            except EngineError as error:
                if "number of bindings" not in str(error):  # that of its parameters: the statement itself was taken
                    refused[where] = str(error)
    assert refused == {}


@pytest.mark.postgres
def test_postgresql_takes_every_statement(postgres: PostgresServer) -> None:
    from appliance.store.postgres.engine import PostgresEngine

    refused = {}
    with closing(PostgresEngine(postgres.new_database()).open_writer()) as db:
        for where, text in EVERY.items():
            if text.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE", "BEGIN", "REINDEX")):
                continue
            try:
                db.run(f"PREPARE one AS {translate(text)}")
            except EngineError as error:
                refused[where] = str(error)
            else:
                db.run("DEALLOCATE one")
    assert refused == {}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT 1 WHERE a = ? AND b = ?", "SELECT 1 WHERE a = $1 AND b = $2"),
        ("SELECT ?2, ?1", "SELECT $2, $1"),
        ("SELECT '?' || ? || 'a LIKE ''?'''", "SELECT '?' || $1 || 'a LIKE ''?'''"),
        ("SELECT a FROM t INDEXED BY t_again WHERE b LIKE ? ESCAPE '\\'",
         "SELECT a FROM t WHERE b ILIKE $1 ESCAPE '\\'"),
        ("DELETE FROM t WHERE a IS ? AND (b, c) IS NOT (d, e)",
         "DELETE FROM t WHERE a IS NOT DISTINCT FROM $1 AND (b, c) IS DISTINCT FROM (d, e)"),
        ("SELECT a IS NOT NULL FROM t LIMIT ?", "SELECT a IS NOT NULL FROM t LIMIT nullif($1, -1)"),
        ("SELECT CAST(t.a AS BLOB) FROM t WHERE a > CAST(? AS TEXT)",
         "SELECT convert_to(t.a, 'UTF8') FROM t WHERE a > as_text($1)"),
        ("SELECT tag_sum_raw((SELECT b FROM r), CAST(a AS BLOB))", "SELECT tag_sum((SELECT b FROM r), a)"),
        ("SELECT 1 WHERE p.label = ?1 COLLATE NOCASE", "SELECT 1 WHERE lower(p.label) = lower($1)"),
        ("SELECT 1 FROM a CROSS JOIN b x ON x.c = a.c CROSS JOIN d",
         "SELECT 1 FROM a JOIN b x ON x.c = a.c CROSS JOIN d"),
        ("SELECT a FROM t LIMIT -1 OFFSET ?", "SELECT a FROM t LIMIT ALL OFFSET $1"),
        ("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL SERIALIZABLE"),
    ],
)  # fmt: skip
def test_a_statement_is_translated_outside_of_its_texts(ours: str, theirs: str) -> None:
    assert translate(ours) == theirs
