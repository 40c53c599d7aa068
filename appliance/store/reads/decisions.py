"""Reads of what people decided beside approvals: overrides, floors of the clock, sealed keys, restores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.store.ports import Reader


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """A signed override that was handed in and not used yet. `document` is canonical JSON; `actor` handed it in."""

    keyid: str
    document: str
    signature: bytes
    owner: str
    actor: str


def open_overrides(reader: Reader, subject: str) -> list[StoredOverride]:
    """The overrides about a subject that wait for another signature."""
    rows = reader.execute(
        "SELECT keyid, document, signature, owner, actor FROM overrides WHERE subject = ? AND spent IS NULL", (subject,)
    )
    return [StoredOverride(*row) for row in rows]


def differing_overrides(reader: Reader, begins: str, subject: str) -> list[StoredOverride]:
    """The overrides that wait for another signature about other subjects whose text begins like this one's."""
    rows = reader.execute(
        "SELECT keyid, document, signature, owner, actor FROM overrides WHERE substr(subject, 1, ?) = ?"
        " AND subject <> ? AND spent IS NULL ORDER BY created",
        (len(begins), begins, subject),
    )
    return [StoredOverride(*row) for row in rows]


def clock_floor(reader: Reader, stream: str) -> tuple[str, str] | None:
    """The time before which the clock must not stand for a stream, and why; None where there is none."""
    found: tuple[str, str] | None = reader.execute(
        "SELECT floor, why FROM clock_floors WHERE stream = ? ORDER BY entry DESC LIMIT 1", (stream,)
    ).fetchone()
    return found


def sealed_key_use(reader: Reader, keyid: str) -> str | None:
    """The bundle that a sealed key was opened for, or None."""
    row = reader.execute("SELECT id FROM sealed_keys_used WHERE keyid = ?", (keyid,)).fetchone()
    return None if row is None else str(row[0])


def last_restore(reader: Reader) -> str:
    """When the station was last put back from a copy; empty for never."""
    return str(reader.execute("SELECT coalesce(max(created), '') FROM restores").fetchone()[0])


@dataclass(frozen=True, slots=True)
class SealedKeyUse:
    """A sealed key that was opened: for which bundle, when (UTC text) and by whom."""

    keyid: str
    bundle: str
    at: str
    actor: str


def sealed_key_uses(reader: Reader) -> list[SealedKeyUse]:
    """Every sealed key that was opened, the first one first."""
    return [
        SealedKeyUse(*row) for row in reader.execute("SELECT keyid, id, at, actor FROM sealed_keys_used ORDER BY at")
    ]


@dataclass(frozen=True, slots=True)
class ClockFloor:
    """A time before which the clock must not stand, why, since when and by whom; all "" where there is none."""

    floor: str = ""
    why: str = ""
    created: str = ""
    actor: str = ""


def own_clock_floor(reader: Reader) -> ClockFloor:
    """The floor of the station's own clock."""
    row = reader.execute(
        "SELECT floor, why, created, actor FROM clock_floors WHERE stream = '' ORDER BY entry DESC LIMIT 1"
    ).fetchone()
    return ClockFloor() if row is None else ClockFloor(*row)


def used_key_rows(reader: Reader) -> Iterator[tuple[str, str, str]]:
    """Key, bundle and time (UTC text) of each sealed key that was opened, by key, as its row says."""
    return reader.execute("SELECT keyid, id, at FROM sealed_keys_used ORDER BY keyid")
