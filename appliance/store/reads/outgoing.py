"""Reads of the outside half: the bundles that were built here, and what is known to be inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.store.ports import Reader


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A bundle that this station built. `digest` is empty before it is signed; `state` may be what the inside told."""

    id: str
    digest: str
    state: str
    job: str


@dataclass(frozen=True, slots=True)
class KnownInside:
    """What is recorded of a destination: its last receipt (0 for none), whether that listed its inventory, how far it
    was on a stream, what it holds, and of each blob the first and last bundle of the stream that carried it."""

    receipt: int
    inventory: bool
    head: int
    held: frozenset[str]
    carried: dict[str, tuple[int, int]]


def built_bundle(reader: Reader, bundle: str) -> BuiltBundle | None:
    """A bundle that was built here, by its id."""
    row = reader.execute("SELECT id, coalesce(digest, ''), state, job_id FROM bundles_out WHERE id = ?", (bundle,))
    found = row.fetchone()
    return None if found is None else BuiltBundle(*found)


def built_bundles(reader: Reader) -> list[BuiltBundle]:
    """Each bundle that was built here, by id, with what the inside told of its state."""
    rows = reader.execute(
        "SELECT b.id, coalesce(b.digest, ''), coalesce((SELECT c.site || ' says '"
        " || json_extract(c.document, '$.state') FROM custody_taken c WHERE c.bundle = b.id), b.state), b.job_id"
        " FROM bundles_out b ORDER BY b.id"
    )
    return [BuiltBundle(*row) for row in rows]


def signed_bundles(reader: Reader) -> Iterator[BuiltBundle]:
    """Each bundle that was built and signed here and not voided, the newest first."""
    rows = reader.execute(
        "SELECT id, coalesce(digest, ''), state, job_id FROM bundles_out WHERE state IN ('signed', 'written')"
        " ORDER BY created DESC"
    )
    return (BuiltBundle(*row) for row in rows)


def carrying(reader: Reader, digest: str) -> set[str]:
    """The ids of the bundles built here that carried a blob."""
    rows = reader.execute(
        "SELECT b.id FROM carried_out c JOIN bundles_out b ON b.stream = c.stream AND b.sequence = c.sequence"
        " WHERE c.digest = ?",
        (digest,),
    )
    return {str(bundle) for (bundle,) in rows}


def known_inside(reader: Reader, stream: str) -> KnownInside:
    """What is recorded of a stream's destination."""
    site = stream.partition(".")[2]
    row = reader.execute("SELECT number, inventory FROM receipts_taken WHERE site = ?", (site,)).fetchone()
    head = reader.execute("SELECT sequence FROM receipt_heads WHERE site = ? AND stream = ?", (site, stream)).fetchone()
    held = reader.execute("SELECT digest FROM known_inside WHERE site = ?", (site,))
    carried = reader.execute(
        "SELECT digest, min(sequence), max(sequence) FROM carried_out WHERE stream = ? GROUP BY digest", (stream,)
    )
    return KnownInside(
        receipt=row[0] if row else 0,
        inventory=bool(row and row[1]),
        head=head[0] if head else 0,
        held=frozenset(digest for (digest,) in held),
        carried={digest: (first, last) for digest, first, last in carried},
    )


def receipt_taken(reader: Reader, site: str, number: int, digest: str) -> bool:
    """Whether exactly this receipt is the last one that was taken of a site."""
    question = "SELECT 1 FROM receipts_taken WHERE site = ? AND number = ? AND digest = ?"
    return reader.execute(question, (site, number, digest)).fetchone() is not None


def voided_by(reader: Reader, stream: str, sequence: int) -> list[str]:
    """The bundles of a stream, from a sequence on, that a want-list voids, by id."""
    rows = reader.execute(
        "SELECT id FROM bundles_out WHERE stream = ? AND sequence >= ? AND state IN ('signed', 'written') ORDER BY id",
        (stream, sequence),
    )
    return [str(bundle) for (bundle,) in rows]


def signed_after(reader: Reader, stream: str, sequence: int) -> list[str]:
    """The bundles of a stream behind a sequence that are signed and not void, by number."""
    rows = reader.execute(
        "SELECT id FROM bundles_out WHERE stream = ? AND sequence > ? AND state IN ('signed', 'written')"
        " ORDER BY sequence",
        (stream, sequence),
    )
    return [str(bundle) for (bundle,) in rows]


def void_and_inside(reader: Reader, told: Iterable[tuple[str, str]]) -> list[str]:
    """Which bundles are void here, of those that a receipt names as (id, digest): they came in after all."""
    question = "SELECT 1 FROM bundles_out WHERE id = ? AND digest = ? AND state = 'voided'"
    return sorted({bundle for bundle, digest in told if reader.execute(question, (bundle, digest)).fetchone()})


def inside_by_receipt(reader: Reader, stream: str, sequence: int) -> list[str]:
    """The bundles of a stream from a number on that the destination has, by its latest receipts, by number."""
    rows = reader.execute(
        "SELECT b.id FROM bundles_out b WHERE b.stream = ?1 AND b.sequence >= ?2 AND b.state IN ('signed', 'written')"
        " AND (EXISTS (SELECT 1 FROM custody_taken c WHERE c.bundle = b.id AND c.digest = b.digest)"
        " OR EXISTS (SELECT 1 FROM receipt_heads h WHERE h.stream = ?1 AND h.sequence = b.sequence"
        " AND h.digest = b.digest)) ORDER BY b.sequence",
        (stream, sequence),
    )
    return [str(bundle) for (bundle,) in rows]


def wants_taken(reader: Reader, digest: str) -> bool:
    """Whether a want-list was taken."""
    return reader.execute("SELECT 1 FROM wants_taken WHERE digest = ?", (digest,)).fetchone() is not None


def unsigned_of(reader: Reader, job_id: str) -> list[str]:
    """The bundles whose numbers a job took and that were not signed, by id."""
    rows = reader.execute("SELECT id FROM bundles_out WHERE job_id = ? AND state = 'to-sign' ORDER BY id", (job_id,))
    return [str(bundle) for (bundle,) in rows]
