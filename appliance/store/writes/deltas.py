"""The transactions of deltas: what the outside knows an inside to hold, and what a receipt keeps there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from appliance.limits import intake as limits
from appliance.store.ports import Connection
from appliance.store.reads.outgoing import void_and_inside
from appliance.store.reads.voiding import require_voidable
from appliance.store.writes.bundle_steps import TagRow, add_step, put_tags, written_before
from appliance.store.writes.write import Write
from bundles.errors import RefusedError, UsageError
from bundles.format.manifest import bundle_id


class HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """A blob and its bytes."""

    digest: str
    size: int


class HeadRow(msgspec.Struct, frozen=True, array_like=True):
    """Where one of our streams stands inside: the sequence, and that bundle's digest ("" where people set it)."""

    stream: str
    sequence: int
    digest: str


class CustodyRow(msgspec.Struct, frozen=True, array_like=True):
    """What a receipt says happened inside to one of our bundles: its part of the record, as JSON."""

    bundle: str
    digest: str
    document: str


class RecordCarried(Write, frozen=True):
    """What a signed bundle carries, so that the stream's next may be a delta, or carry what has changed alone. Harmless
    where it is recorded."""

    unrecorded: ClassVar[str] = "what the recorded job.sign handed in"
    stream: str
    sequence: int
    blobs: tuple[HeldRow, ...]
    tags: tuple[TagRow, ...] = ()

    def apply(self, db: Connection) -> None:
        put_tags(db, self.stream, self.sequence, self.tags)
        db.executemany(
            "INSERT INTO carried_out (stream, sequence, digest, size) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(self.stream, self.sequence, blob.digest, blob.size) for blob in self.blobs],
        )


class TakeReceipt(Write, frozen=True):
    """A receipt whose signature counts says what its site holds; it takes the place of the one before.

    `blobs` is None where it lists none. The result is whether it is a new one. Raises RefusedError for one that was
    superseded (a replay), another of the same number, or one that knows another bundle under a number of ours.

    A bundle that is void here and that the receipt says is inside counts again. Where it is a stream's last inside,
    later ones of the stream follow a history without it: they cannot come in, and are voided.
    """

    site: str
    number: int
    digest: str
    previous: str | None
    created: str
    heads: tuple[HeadRow, ...]
    blobs: tuple[HeldRow, ...] | None
    at: str
    custody: tuple[CustodyRow, ...] = ()
    head: str = ""
    keyid: str = ""
    owner: str = ""

    def apply(self, db: Connection) -> bool:
        if not self._is_new(db):
            return False
        for head in self.heads:
            _check_digest(db, bundle_id(head.stream, head.sequence), head.digest)
        for part in self.custody:
            _check_digest(db, part.bundle, part.digest)
        self._count_again(db)
        db.execute("DELETE FROM receipt_heads WHERE site = ?", (self.site,))
        db.execute("DELETE FROM known_inside WHERE site = ?", (self.site,))
        db.execute(
            "INSERT INTO receipts_taken (site, number, digest, inventory, created, taken) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (site) DO UPDATE SET number = excluded.number, digest = excluded.digest,"
            " inventory = excluded.inventory, created = excluded.created, taken = excluded.taken",
            (self.site, self.number, self.digest, self.blobs is not None, self.created, self.at),
        )
        db.executemany(
            "INSERT INTO receipt_heads (site, stream, sequence, digest) VALUES (?, ?, ?, ?)",
            [(self.site, head.stream, head.sequence, head.digest) for head in self.heads],
        )
        db.executemany(
            "INSERT INTO known_inside (site, digest, size) VALUES (?, ?, ?)",
            [(self.site, blob.digest, blob.size) for blob in self.blobs or ()],
        )
        db.executemany(
            "INSERT INTO custody_taken (site, bundle, digest, number, receipt, head, keyid, owner, document,"
            " created, taken) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (bundle, site) DO UPDATE SET"
            " digest = excluded.digest, number = excluded.number, receipt = excluded.receipt, head = excluded.head,"
            " keyid = excluded.keyid, owner = excluded.owner, document = excluded.document,"
            " created = excluded.created, taken = excluded.taken",
            [
                (self.site, part.bundle, part.digest, self.number, self.digest, self.head, self.keyid, self.owner,
                 part.document, self.created, self.at)
                for part in self.custody
            ],
        )  # fmt: skip
        return True

    def _count_again(self, db: Connection) -> None:
        """What is void here and came in after all counts again, and what it shuts out is void."""
        back = set(void_and_inside(db, told_of(self.heads, self.custody)))
        for bundle in sorted(back):
            db.execute("UPDATE bundles_out SET state = 'written' WHERE id = ?", (bundle,))
            add_step(db, bundle, "written", self.at, "the inside has it")
        for head in self.heads:
            if not head.digest:  # people set that floor: it tells of no bundle
                continue
            name = bundle_id(head.stream, head.sequence)
            if name in back:
                void_from(db, head.stream, head.sequence + 1, self.at, f"it does not follow {name}, which is inside")
            written_before(db, head.stream, head.sequence, self.at, "the inside has it")
        for stream in {bundle.rpartition("-")[0] for bundle in back}:
            _follow_last(db, stream)

    def _is_new(self, db: Connection) -> bool:
        row = db.execute("SELECT number, digest FROM receipts_taken WHERE site = ?", (self.site,)).fetchone()
        if row is None:
            return True
        number, digest = row
        name = f"receipt {self.number} of {self.site}"
        if self.number == number:
            if self.digest == digest:
                return False
            raise RefusedError("a fork: another receipt of this number was taken", thing=name, remedy="trust neither")
        if self.number < number:
            raise RefusedError(
                f"a replay: receipt {number} was taken already", thing=name, remedy="bring the latest receipt"
            )
        if self.number == number + 1 and self.previous != digest:
            raise RefusedError("a fork: the receipt follows another one", thing=name, remedy="trust neither")
        return True


def told_of(heads: Sequence[HeadRow], custody: Sequence[CustodyRow]) -> list[tuple[str, str]]:
    """The bundles of ours that a receipt says are inside, as (id, digest)."""
    last = [(bundle_id(head.stream, head.sequence), head.digest) for head in heads if head.digest]
    return [*last, *((part.bundle, part.digest) for part in custody)]


def _check_digest(db: Connection, bundle: str, digest: str) -> None:
    """What the inside tells of a bundle is about the one that was signed here under that id; "" tells of none. Raises
    RefusedError."""
    row = db.execute("SELECT digest FROM bundles_out WHERE id = ?", (bundle,)).fetchone()
    if digest and row is not None and row[0] and row[0] != digest:
        raise RefusedError("the inside has another bundle of this number", thing=bundle, remedy="find out who made it")


class TakeWants(Write, frozen=True):
    """A want-list whose signature counts: its site lacks `blobs`, and could not take `bundle` in.

    The bundle is voided, and so is every later one of the stream, which follow it; the next names them. Blobs that are
    wanted are no longer known inside. The result is the ids that were voided. Harmless where it was taken before.
    Raises UsageError for a bundle that this station did not make.
    """

    site: str
    bundle: str
    stream: str
    sequence: int
    bundle_digest: str
    digest: str
    blobs: tuple[str, ...]
    at: str

    def apply(self, db: Connection) -> list[str]:
        row = db.execute("SELECT digest FROM bundles_out WHERE id = ?", (self.bundle,)).fetchone()
        if row is None or row[0] != self.bundle_digest:
            raise UsageError(
                "a want-list for a bundle that was not made here", thing=self.bundle, remedy="see: lockgate bundle list"
            )
        if db.execute("SELECT 1 FROM wants_taken WHERE digest = ?", (self.digest,)).fetchone():
            return []
        db.execute(
            "INSERT INTO wants_taken (digest, bundle, taken) VALUES (?, ?, ?)", (self.digest, self.bundle, self.at)
        )
        for blob in self.blobs:
            db.execute("DELETE FROM known_inside WHERE site = ? AND digest = ?", (self.site, blob))
            db.execute("DELETE FROM carried_out WHERE stream = ? AND digest = ?", (self.stream, blob))
        return void_from(db, self.stream, self.sequence, self.at, "the inside lacks what it stands on")


class VoidBundle(Write, frozen=True):
    """A signed bundle will never come in (its media are lost): it and every later one of the stream are voided.

    The result is their ids. `with_later` False: refused where there are later ones. Raises NotFoundError for a bundle
    that is not signed, UsageError for later ones, RefusedError where a receipt says that one of them is inside.
    """

    id: str
    at: str = ""
    why: str = ""
    with_later: bool = True

    def apply(self, db: Connection) -> list[str]:
        stream, sequence = require_voidable(db, self.id, with_later=self.with_later)
        return void_from(db, stream, sequence, self.at, self.why)


def void_from(db: Connection, stream: str, sequence: int, at: str, why: str) -> list[str]:
    """Void the signed bundles of a stream from a number on: they cannot come in. Their numbers, by id."""
    rows = db.execute(
        "UPDATE bundles_out SET state = 'voided' WHERE stream = ? AND sequence >= ? AND state IN ('signed', 'written')"
        " RETURNING id",
        (stream, sequence),
    ).fetchall()
    for (bundle,) in rows:
        add_step(db, bundle, "voided", at, why)
    db.execute("DELETE FROM carried_out WHERE stream = ? AND sequence >= ?", (stream, sequence))
    _follow_last(db, stream)
    return sorted(bundle for (bundle,) in rows)


def _follow_last(db: Connection, stream: str) -> None:
    """The stream's next bundle follows the last one that counts."""
    db.execute(
        "UPDATE streams_out SET last_digest = (SELECT digest FROM bundles_out WHERE stream = ?1"
        " AND state IN ('signed', 'written') ORDER BY sequence DESC LIMIT 1) WHERE stream = ?1",
        (stream,),
    )


def pin_receipt(db: Connection, number: int, blobs: Sequence[str] | None) -> None:
    """Keep what a receipt says is held, until a bundle is built on a later one; `blobs` None is all that is shown."""
    holder = f"receipt:{number}"
    if blobs is None:
        db.execute(
            "INSERT INTO pins (bundle, digest) SELECT DISTINCT ?, digest FROM links WHERE true ON CONFLICT DO NOTHING",
            (holder,),
        )
    else:
        db.executemany(
            "INSERT INTO pins (bundle, digest) VALUES (?, ?) ON CONFLICT DO NOTHING", [(holder, pin) for pin in blobs]
        )
    _unpin_receipts(db, number - limits.RECEIPTS_PINNED + 1)


def base_used(db: Connection, stream: str, receipt: int) -> None:
    """A bundle of a stream was built on a receipt: those that every stream has left behind hold nothing any more."""
    db.execute(
        "INSERT INTO stream_bases (stream, receipt) VALUES (?, ?)"
        " ON CONFLICT (stream) DO UPDATE SET receipt = max(stream_bases.receipt, excluded.receipt)",
        (stream, receipt),
    )
    _unpin_receipts(db, db.execute("SELECT min(receipt) FROM stream_bases").fetchone()[0])


def _unpin_receipts(db: Connection, floor: int) -> None:
    """Let go of what receipts before number `floor` hold."""
    every = db.execute("SELECT DISTINCT bundle FROM pins WHERE bundle >= 'receipt:' AND bundle < 'receipt;'").fetchall()
    for (holder,) in every:
        if int(holder.partition(":")[2]) < floor:
            db.execute("DELETE FROM pins WHERE bundle = ?", (holder,))
