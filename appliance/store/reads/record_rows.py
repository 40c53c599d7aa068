"""Rows that the check holds against the audit log: of the ledger, restores, clock floors, steps and decisions
(appliance.release_check)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from appliance.store.ports import Reader

FOLLOWS: Final = frozenset(
    {
        ("", "received"), ("received", "received"), ("verified", "received"), ("received", "verified"),
        ("verified", "verified"), ("verified", "quarantined"), ("quarantined", "inspected"),
        ("inspected", "inspected"), ("approved", "inspected"), ("withdrawn", "inspected"), ("inspected", "approved"),
        ("inspected", "rejected"), ("approved", "rejected"), ("approved", "released"), ("released", "released"),
        ("released", "withdrawn"), ("withdrawn", "approved"), ("withdrawn", "rejected"),
    }
)  # fmt: skip
"""Which step may follow which, as the trigger `transitions_skip_nothing` has it."""
_NEXT_TO: Final = ("approved", "released", "withdrawn", "rejected")
"""The steps that stand in the ledger too, one row each."""


class LedgerEntry(NamedTuple):
    """A row of the ledger."""

    entry: int
    stream: str
    sequence: int
    digest: str
    id: str
    state: str
    created: str


class RestoreRow(NamedTuple):
    """A row of `restores`: streams are shut whose floor has no later entry of the ledger than `ledger_entry`."""

    entry: int
    ledger_entry: int
    created: str


class ClockFloor(NamedTuple):
    """A row of `clock_floors`: `stream` is empty for the station's own, `why` a bundle's id or what people said."""

    stream: str
    floor: str
    why: str
    created: str


class DecisionRow(NamedTuple):
    """A row of `decisions`, in the order of entry."""

    digest: str
    keyid: str
    document: str
    signature: bytes
    actor: str
    created: str


def ledger_rows(reader: Reader, stream: str = "") -> list[LedgerEntry]:
    """The ledger, of a stream or of all, the oldest first."""
    rows = reader.execute(
        "SELECT entry, stream, sequence, digest, id, state, created FROM ledger WHERE ?1 = '' OR stream = ?1"
        " ORDER BY entry",
        (stream,),
    )
    return [LedgerEntry(*row) for row in rows]


def restore_rows(reader: Reader) -> list[RestoreRow]:
    """Every restore that shut imports, the oldest first."""
    return [RestoreRow(*row) for row in reader.execute("SELECT entry, ledger_entry, created FROM restores ORDER BY 1")]


def clock_floor_rows(reader: Reader) -> list[ClockFloor]:
    """Every floor of the clock, the oldest first."""
    rows = reader.execute("SELECT stream, floor, why, created FROM clock_floors ORDER BY entry")
    return [ClockFloor(*row) for row in rows]


def entry_states(reader: Reader) -> dict[str, tuple[str, str]]:
    """Id and state of each bundle that came in, by digest."""
    rows = reader.execute("SELECT digest, id, state FROM intake WHERE state <> 'receiving'")
    return {str(digest): (str(name), str(state)) for digest, name, state in rows}


def has_come(reader: Reader, digest: str) -> bool:
    """Whether the database says of a bundle that it came in, or what became of it."""
    row = reader.execute(
        "SELECT EXISTS (SELECT 1 FROM intake WHERE digest = ?1 AND state <> 'receiving')"
        " OR EXISTS (SELECT 1 FROM transitions WHERE digest = ?1 AND state NOT IN ('received', 'verified'))",
        (digest,),
    ).fetchone()
    return bool(row[0])


def step_rows(reader: Reader) -> Iterator[tuple[str, str, str, str, str]]:
    """Every step as (digest, id, state, actor, note), each bundle's in their order."""
    yield from reader.execute("SELECT digest, id, state, actor, note FROM transitions ORDER BY digest, entry")


def unpaired_steps(reader: Reader) -> list[tuple[str, str]]:
    """(digest, state) of decisions that the ledger has more or less often than the steps: one transaction makes
    both."""
    words = ", ".join(f"'{word}'" for word in _NEXT_TO)
    return reader.execute(
        "SELECT digest, state FROM (SELECT digest, state, 1 AS one FROM ledger UNION ALL"  # noqa: S608  constants
        f" SELECT digest, state, -1 FROM transitions) each WHERE state IN ({words})"
        " GROUP BY digest, state HAVING sum(one) <> 0 ORDER BY digest, state"
    ).fetchall()


def kept_reports(reader: Reader) -> Iterator[tuple[str, str, bytes]]:
    """Every report that is kept, as (bundle's digest, the report's, its bytes), read as the caller goes."""
    return iter(
        reader.execute("SELECT digest, report_digest, CAST(report AS BLOB) FROM reports ORDER BY digest, report_digest")
    )


def unnoted_reports(reader: Reader) -> set[str]:
    """The bundles of which a report was kept and no step tells of it."""
    rows = reader.execute(
        "SELECT r.digest FROM reports r WHERE NOT EXISTS (SELECT 1 FROM transitions t WHERE t.digest = r.digest"
        " AND t.state = 'inspected' AND t.note = r.report_digest)"
    )
    return {str(digest) for (digest,) in rows}


def decision_rows(reader: Reader) -> list[DecisionRow]:
    """Every decision that was handed in."""
    rows = reader.execute("SELECT digest, keyid, document, signature, actor, created FROM decisions ORDER BY entry")
    return [DecisionRow(*row) for row in rows]


def approval_rows(reader: Reader) -> list[tuple[str, str, str, bytes]]:
    """The decisions that count now, as (digest, keyid, document, signature)."""
    return reader.execute("SELECT digest, keyid, document, signature FROM approvals ORDER BY digest, keyid").fetchall()


def small_files(reader: Reader, digest: str) -> dict[str, bytes]:
    """What a bundle's signers signed, and with what, as its import kept it, by name; empty where it is gone."""
    found: dict[str, Any] = dict(
        reader.execute("SELECT name, signature FROM intake_signatures WHERE digest = ?", (digest,)).fetchall()
    )
    row = reader.execute("SELECT sums, readme FROM intake_sums WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        found |= {"SHA256SUMS": row[0], "README.txt": row[1]}
    return found
