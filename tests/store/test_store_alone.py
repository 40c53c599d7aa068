"""Statements and SQLite stand in appliance/store alone (docs/adr/0037-store-ports.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORE = ROOT / "appliance" / "store"
ENGINE = {
    "sqlite_file.py", "database_file.py", "errors.py", "rows.py", "reads/explained.py", "migrations/runner.py",
    "moving/file_side.py",
}  # fmt: skip
"""The modules that know SQLite: who opens files, names errors, adds functions and keeps a private file."""

BEGINS = "SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|ALTER|DROP|PRAGMA|BEGIN|VACUUM|ATTACH"
STATEMENT = re.compile(rf"\s*({BEGINS})\s+([^\s/]|$)")
"""A method and a path (`DELETE /v1/…`) are none."""
MENTION = re.compile(rf"execute|\b({BEGINS})\b")
RUNS = {"execute", "executemany", "executescript"}
DRIVERS = {"sqlite3", "sqlite_utils", "psycopg", "obstore"}
POSTGRES = STORE / "postgres" / "connection.py"
"""The module that knows psycopg: an appliance on one machine has none."""
BUCKET = STORE / "s3" / "bucket.py"
"""The module that knows obstore, which such an appliance has not either."""


def modules() -> Iterator[Path]:
    for package in ("appliance", "bundles", "tui"):
        yield from (ROOT / package).rglob("*.py")


def statements(source: str) -> list[tuple[int, str]]:
    """The line and text of whatever runs a statement, or is one."""
    if not MENTION.search(source):  # most modules: parsing them all takes seconds
        return []
    found = list[tuple[int, str]]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in RUNS:
            found.append((node.lineno, node.attr))
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if text in RUNS or STATEMENT.match(text):
            found.append((node.lineno, text[:60]))
    return found


def drivers(source: str) -> list[tuple[int, str]]:
    """The line and name of each import of an engine's driver, by name or by text."""
    if not any(name in source for name in ("sqlite", "psycopg", "obstore")):
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        if isinstance(node, ast.Constant) and node.value in DRIVERS:
            names = [str(node.value)]
        found += [(node.lineno, name) for name in names if name.partition(".")[0] in DRIVERS]
    return found


def test_no_module_outside_the_store_holds_or_runs_a_statement() -> None:
    outside = [path for path in modules() if not path.is_relative_to(STORE)]
    assert len(outside) > 400
    found = {str(path.relative_to(ROOT)): lines for path in outside if (lines := statements(path.read_text()))}
    assert found == {}


def test_drivers_are_imported_by_the_modules_of_the_store_that_know_them_and_by_no_other() -> None:
    known = {STORE / name for name in ENGINE} | {POSTGRES, BUCKET}
    found = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if path not in known and (lines := drivers(path.read_text()))
    }
    steps = {name for name in found if re.fullmatch(r"appliance/store/migrations/m\d{4}_\w+\.py", name)}
    assert set(found) - steps == set()
    assert {name for step in steps for _, name in found[step]} == {"sqlite_utils"}
    assert all(drivers(path.read_text()) for path in known)
    for only, driver in ((POSTGRES, "psycopg"), (BUCKET, "obstore")):
        assert {name.partition(".")[0] for _, name in drivers(only.read_text())} == {driver}
        assert not any(name.startswith(driver) for path in known - {only} for _, name in drivers(path.read_text()))


@pytest.mark.parametrize(
    "source",
    [
        "db.execute(x)", "run = db.execute", "db.executemany(x, y)", "getattr(db, 'executescript')",
        "x = 'SELECT 1'", "x = '''\n  WITH a AS (SELECT 1) SELECT * FROM a'''", "x = f'DELETE FROM {table}'",
        "x = f'SELECT {columns} FROM tags'",
        "x = ('PRAGMA ' 'foreign_keys')",
    ],
)  # fmt: skip
def test_a_statement_is_found_however_it_is_written(source: str) -> None:
    assert statements(source)


@pytest.mark.parametrize(
    "source", ["'DELETE'", "'DELETE /v1/blocks'", "'DELETE: 202, and 404 then'", "'With care'", "'SELECTED one'"]
)
def test_prose_and_methods_are_no_statements(source: str) -> None:
    assert not statements(source)


@pytest.mark.parametrize(
    "source",
    [
        "import sqlite3", "import os, sqlite3", "from sqlite3 import Connection", "import sqlite3.dbapi2 as db",
        "from sqlite_utils import Database", "importlib.import_module('sqlite3')", "from psycopg.rows import dict_row",
        "import obstore",
    ],
)  # fmt: skip
def test_a_driver_is_found_however_it_is_imported(source: str) -> None:
    assert drivers(source)
