"""What guards the ledger inside a transaction: the clock's floor, and streams that a restore shut."""

from __future__ import annotations

import sqlite3

from bundles.errors import RefusedError


def set_clock_floor(db: sqlite3.Connection, floor: str, why: str, actor: str, at: str) -> None:
    """People set the clock's floor, backwards too."""
    db.execute("INSERT INTO clock_floors (floor, why, created, actor) VALUES (?, ?, ?, ?)", (floor, why, at, actor))


def raise_clock_floor(db: sqlite3.Connection, made: str, bundle: str, actor: str, at: str) -> None:
    """A bundle made at `made` came in: no time before it is believed from now on."""
    last = db.execute("SELECT floor FROM clock_floors ORDER BY entry DESC LIMIT 1").fetchone()
    if last is None or last[0] < made:
        set_clock_floor(db, made, bundle, actor, at)


def require_open(db: sqlite3.Connection, stream: str) -> None:
    """Raises RefusedError where a restore shut the stream and nobody set its floor since."""
    restore = db.execute("SELECT ledger_entry, created FROM restores ORDER BY entry DESC LIMIT 1").fetchone()
    if restore is None:
        return
    opened = db.execute(
        "SELECT 1 FROM ledger WHERE stream = ? AND state = 'reset' AND entry > ? LIMIT 1", (stream, restore[0])
    ).fetchone()
    if opened is None:
        raise RefusedError(
            f"imports are shut since the restore of {restore[1]}: the ledger may be behind",
            thing=stream,
            remedy="two people enter the stream's floor from its last receipt or a printed head: lockgate intake stream"
            f" reset {stream} --receipt FILE",
        )
