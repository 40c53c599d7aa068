"""Brings a database to the schema of this program, step by step, each step one transaction."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlite_utils import Database, Migrations

from appliance.store import migrations
from bundles.errors import FailedError

_STEP: Final = re.compile(r"m[0-9]{4}_[a-z_]+\Z")
_SET: Final = "lockgate"


def step_names() -> list[str]:
    """The steps this program knows, in order: the modules `m<four digits>_<domain>` of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(migrations.__path__) if _STEP.match(module.name))


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
    db = Database(connection, execute_plugins=False)
    recorded = {identity(step.name): step.name for step in Migrations(_SET).applied(db)}
    newer = find_newer(recorded.values())
    if newer is not None:
        raise newer
    steps = Migrations(_SET)
    for name in step_names():
        steps(name=recorded.get(identity(name), name))(step_of(name))
    pending = [step.name for step in steps.pending(db)]
    steps.apply(db)
    return pending
