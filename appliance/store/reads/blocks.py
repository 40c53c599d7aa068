"""Reads of what people have blocked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.store.ports import Reader
from appliance.store.rows import block_sum


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A digest that is denied everywhere, why, who said so and when (UTC text)."""

    digest: str
    why: str
    actor: str
    created: str


def blocks_after(reader: Reader, after: str) -> Iterator[StoredBlock]:
    """The blocks behind a digest, in order, read as the caller goes."""
    rows = reader.execute("SELECT digest, why, actor, created FROM blocks WHERE digest > ? ORDER BY digest", (after,))
    return (StoredBlock(*row) for row in rows)


def every_block(reader: Reader) -> Iterator[tuple[str, str, str, str]]:
    """Each block as (digest, why, actor, created), by digest, read as the caller goes. Bytes that are no UTF-8, which
    others may have written, are shown as escapes."""
    rows = reader.execute(
        "SELECT CAST(digest AS BLOB), CAST(why AS BLOB), CAST(actor AS BLOB), CAST(created AS BLOB)"
        " FROM blocks INDEXED BY sqlite_autoindex_blocks_1 ORDER BY digest"
    )
    for digest, why, actor, created in rows:
        yield _text(digest), _text(why), _text(actor), _text(created)


def why_blocked(reader: Reader) -> dict[str, str]:
    """Every digest that people have blocked, and why, by the table or its second copy."""
    rows = reader.execute(
        "SELECT digest, why FROM blocks INDEXED BY blocks_again"
        " UNION ALL SELECT digest, why FROM blocks INDEXED BY sqlite_autoindex_blocks_1"
    )
    return {str(digest): str(why) for digest, why in rows}


def blocked_of(reader: Reader, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that people have blocked."""
    rows = reader.execute(
        "SELECT j.value FROM json_each(?) j JOIN blocks b ON b.digest = j.value", (json.dumps(sorted(digests)),)
    )
    return {str(digest) for (digest,) in rows}


def keep_right_blocks(db: Reader) -> None:
    """Write the blocks anew that the table or its second copy (the index blocks_again) still has right, before that is
    made from the table. Rows that neither has right go: the audit log names them. `db` is a writer's connection."""
    rows = db.execute(
        "SELECT b.digest, b.why, b.actor, b.created, s.checksum, count(*) FROM"
        " (SELECT digest, why, actor, created FROM blocks INDEXED BY blocks_again"
        " UNION ALL SELECT digest, why, actor, created FROM blocks INDEXED BY sqlite_autoindex_blocks_1) b"
        " LEFT JOIN block_sums s ON s.digest = b.digest GROUP BY 1, 2, 3, 4, 5"
    ).fetchall()
    right = [row for row in rows if (row[5] == 2 if row[4] is None else block_sum(*row[:4]) == row[4])]
    db.execute("DELETE FROM blocks")
    db.execute("DELETE FROM block_sums")
    for *block, checksum, _ in right:
        db.execute("INSERT INTO blocks (digest, why, actor, created) VALUES (?, ?, ?, ?)", block)
        if checksum is not None:
            db.execute("INSERT INTO block_sums (digest, checksum) VALUES (?, ?)", (block[0], checksum))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
