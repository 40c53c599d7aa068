"""Brings a database to the schema of this program, step by step, each step one transaction."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final

from appliance.store import migrations
from bundles.errors import FailedError

_STEP: Final = re.compile(r"m[0-9]{4}_[a-z_]+\Z")
_SET: Final = "lockgate"
_TABLE: Final = "_sqlite_migrations"


def step_names() -> list[str]:
    """The steps this program knows, in order: the modules `m<four digits>_<domain>` of this package."""
    return list(_steps())


@functools.cache
def _steps() -> tuple[str, ...]:
    return tuple(sorted(found.name for found in pkgutil.iter_modules(migrations.__path__) if _STEP.match(found.name)))


def identity(name: str) -> str:
    """What identifies a step for good: its name without the number, which only orders the steps."""
    return name.partition("_")[2]


def step_of(name: str) -> Callable[[Any], None]:
    """What a step does, by its name."""
    found: Callable[[Any], None] = importlib.import_module(f"{migrations.__name__}.{name}").apply
    return found


def find_newer(recorded: Iterable[str]) -> FailedError | None:
    """The refusal of a database that has steps which this program does not know: going on could lose what it keeps."""
    known = {identity(name) for name in step_names()}
    newer = sorted(name for name in recorded if identity(name) not in known)
    if not newer:
        return None
    return FailedError(
        "the metadata was written by a newer version of Lockgate",
        thing=newer[0],
        remedy="run that version, or restore a backup made by this one",
    )


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply what is missing to a database of SQLite; returns the names of the steps applied now.

    Each step module has `apply(db: sqlite_utils.Database) -> None`, which runs in a transaction of its own. A step that
    was applied under another number counts as applied: databases of unreleased versions hold `m0012_seen`.
    Raises FailedError when the database was written by a newer program.
    """
    recorded = {identity(name): name for name in _recorded(connection)}
    newer = find_newer(recorded.values())
    if newer is not None:
        raise newer
    if all(identity(name) in recorded for name in step_names()):
        return []
    # Loaded here: it takes a tenth of a second, and a station's database has all steps but once a version.
    from sqlite_utils import Database, Migrations

    db = Database(connection, execute_plugins=False)
    steps = Migrations(_SET)
    for name in step_names():
        steps(name=recorded.get(identity(name), name))(step_of(name))
    pending = [step.name for step in steps.pending(db)]
    steps.apply(db)
    return pending


def _recorded(connection: sqlite3.Connection) -> list[str]:
    """The names of the steps that were applied, from the table that sqlite-utils keeps."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (_TABLE,)).fetchall():
        return []
    applied = connection.execute(f"SELECT name FROM {_TABLE} WHERE migration_set = ? ORDER BY rowid", (_SET,))  # noqa: S608
    return [str(name) for (name,) in applied.fetchall()]
