"""Brings a database to the schema of this program, step by step, each step one transaction."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from typing import Final

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


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply what is missing; returns the names of the steps applied now.

    Each step module has `apply(db: sqlite_utils.Database) -> None`, which runs in a transaction of its own. A step that
    was applied under another number counts as applied: databases of unreleased versions hold `m0012_seen`.
    Raises FailedError when the database was written by a newer program: going on could lose what it keeps.
    """
    db = Database(connection, execute_plugins=False)
    recorded = {identity(step.name): step.name for step in Migrations(_SET).applied(db)}
    known = {identity(name) for name in step_names()}
    newer = sorted(name for step, name in recorded.items() if step not in known)
    if newer:
        raise FailedError(
            "the metadata was written by a newer version of Lockgate",
            thing=newer[0],
            remedy="run that version, or restore a backup made by this one",
        )
    steps = Migrations(_SET)
    for name in step_names():
        apply = importlib.import_module(f"{migrations.__name__}.{name}").apply
        steps(name=recorded.get(identity(name), name))(apply)
    pending = [step.name for step in steps.pending(db)]
    steps.apply(db)
    return pending
