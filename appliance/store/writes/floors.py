"""What guards the ledger inside a transaction: the clock's floor, and streams that a restore shut."""

from __future__ import annotations

from appliance.store.ports import Connection, Reader
from bundles.errors import RefusedError


def set_clock_floor(db: Connection, floor: str, why: str, actor: str, at: str, stream: str = "") -> None:
    """People set the clock's floor, backwards too: the station's own, and that of the `stream` that they name."""
    for name in {"", stream}:
        _set(db, name, floor, why, actor, at)


def raise_clock_floor(db: Connection, stream: str, made: str, bundle: str, actor: str, at: str) -> None:
    """A bundle made at `made` came in at `at` by this station's clock: its stream believes no time before the one, and
    the station none before the other."""
    for name, floor in ((stream, made), ("", at)):
        last = db.execute(
            "SELECT floor FROM clock_floors WHERE stream = ? ORDER BY entry DESC LIMIT 1", (name,)
        ).fetchone()
        if last is None or last[0] < floor:
            _set(db, name, floor, bundle, actor, at)


def _set(db: Connection, stream: str, floor: str, why: str, actor: str, at: str) -> None:
    db.execute(
        "INSERT INTO clock_floors (stream, floor, why, created, actor) VALUES (?, ?, ?, ?, ?)",
        (stream, floor, why, at, actor),
    )


def require_open(db: Reader, stream: str) -> None:
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
