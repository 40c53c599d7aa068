"""Reads of custody: who handed a bundle to whom, what was signed about it, and what the other side told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from appliance.api.audit import CustodyBundle
from appliance.store.ports import Reader

_LISTED: Final = (
    "SELECT id, max(direction), max(state), max(at), (SELECT count(*) FROM handovers h WHERE h.bundle = each.id) FROM ("
    "SELECT id, 'in' AS direction, state, coalesce(decided, received) AS at FROM intake"
    " UNION ALL SELECT id, 'out', state, created FROM bundles_out"
    " UNION ALL SELECT bundle, '', '', max(at) FROM handovers GROUP BY bundle"
    ") each WHERE id > ? AND instr(id, ?) > 0 GROUP BY id ORDER BY id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """An approval or rejection as it was signed, kept whatever became of the bundle. `document` is canonical JSON."""

    keyid: str
    owner: str
    document: str
    signature: bytes
    created: str


@dataclass(frozen=True, slots=True)
class OtherPart:
    """What the other side's latest receipt tells of a bundle; `document` is its part of the custody record, as JSON."""

    site: str
    head: str
    number: int
    receipt: str
    created: str
    taken: str
    keyid: str
    owner: str
    document: str


def list_bundles(reader: Reader, limit: int, after: str = "", text: str = "") -> list[CustodyBundle]:
    """Every bundle that has a custody record here, by id.

    `direction` is `in`, `out`, or "" for one that only passed through people's hands; `at` its last step or hand-over.
    """
    names = ("id", "direction", "state", "at", "handovers")
    return [
        CustodyBundle(**dict(zip(names, row, strict=True))) for row in reader.execute(_LISTED, (after, text, limit))
    ]


def handovers(reader: Reader, bundle: str) -> list[dict[str, str]]:
    """Every hand-over of a bundle, in order."""
    names = ("at", "giver", "taker", "medium", "serial", "seal", "note", "actor")
    rows = reader.execute(f"SELECT {', '.join(names)} FROM handovers WHERE bundle = ? ORDER BY entry", (bundle,))  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]


def signed_decisions(reader: Reader, digest: str) -> list[SignedDecision]:
    """Every decision that was signed about a bundle, the oldest first."""
    rows = reader.execute(
        "SELECT keyid, owner, document, signature, created FROM decisions WHERE digest = ? ORDER BY entry", (digest,)
    )
    return [
        SignedDecision(keyid, owner, document, bytes(made), created) for keyid, owner, document, made, created in rows
    ]


def reports_of(reader: Reader, digest: str) -> Iterator[tuple[str, str]]:
    """Every report there ever was on a bundle: its digest and its canonical JSON."""
    yield from reader.execute("SELECT report_digest, report FROM reports WHERE digest = ?", (digest,))


def other_part(reader: Reader, bundle: str) -> OtherPart | None:
    """The other side's part of a bundle's custody record, by its latest receipt."""
    row = reader.execute(
        "SELECT site, head, number, receipt, created, taken, keyid, owner, document FROM custody_taken"
        " WHERE bundle = ?",
        (bundle,),
    ).fetchone()
    return None if row is None else OtherPart(*row)


def brought_in(reader: Reader) -> list[tuple[str, str]]:
    """Each bundle that came in whole: its id and digest."""
    return reader.execute("SELECT id, digest FROM intake WHERE state <> 'receiving'").fetchall()


def moved_since_known(reader: Reader, limit: int) -> list[tuple[str, str, str]]:
    """(id, digest, state) of each bundle that came in and moved since the receipt that the other side built on last;
    the `limit` latest of them, by id."""
    rows = reader.execute(
        "SELECT id, digest, state, moved FROM (SELECT i.id, i.digest, i.state, i.stream,"
        " max(coalesce((SELECT max(at) FROM transitions t WHERE t.digest = i.digest), ''),"
        " coalesce((SELECT max(at) FROM handovers h WHERE h.bundle = i.id), '')) AS moved FROM intake i"
        " WHERE i.state <> 'receiving') came WHERE moved >= coalesce((SELECT r.created FROM stream_bases b"
        " JOIN receipts r ON r.number = b.receipt WHERE b.stream = came.stream), '') ORDER BY moved DESC, id LIMIT ?",
        (limit,),
    )
    return sorted((bundle, digest, state) for bundle, digest, state, _ in rows)


HandoverRow = tuple[str, str, str, str, str, str, str, str, str]
"""Of a hand-over: bundle, giver, taker, medium, serial, seal, note, actor, and when (UTC text)."""


def handover_rows(reader: Reader) -> Iterator[HandoverRow]:
    """Every hand-over, in order, as its row says, read as the caller goes."""
    return reader.execute(
        "SELECT bundle, giver, taker, medium, serial, seal, note, actor, at FROM handovers ORDER BY entry"
    )
