"""The record of what became of bundles that were made here, beside the state that `bundles_out` holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec

from appliance.store.ports import Connection

UNSIGNED = "nobody signed it"
"""Why a number is void that its build, or the stream's next one, gave up."""


class TagRow(msgspec.Struct, frozen=True, array_like=True):
    """A tag that a bundle carries, and the manifest behind it."""

    repository: str
    tag: str
    digest: str


def add_step(db: Connection, bundle: str, state: str, at: str, why: str = "", places: Sequence[str] = ()) -> None:
    """A bundle came to a state at a time ("" where it is not known)."""
    db.execute(
        "INSERT INTO bundle_steps (bundle, state, at, why, places) VALUES (?, ?, ?, ?, ?)",
        (bundle, state, at, why, json.dumps(list(places))),
    )


def put_tags(db: Connection, stream: str, sequence: int, tags: Iterable[TagRow]) -> None:
    """Which tags a bundle carries. Harmless where it is recorded."""
    db.executemany(
        "INSERT INTO tags_out (stream, repository, tag, sequence, digest) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(stream, one.repository, one.tag, sequence, one.digest) for one in tags],
    )


def written_before(db: Connection, stream: str, sequence: int, at: str, why: str) -> None:
    """The signed bundles of a stream up to a number got onto their media, whatever their jobs said."""
    rows = db.execute(
        "UPDATE bundles_out SET state = 'written' WHERE stream = ? AND sequence <= ? AND state = 'signed' RETURNING id",
        (stream, sequence),
    ).fetchall()
    for (bundle,) in rows:
        add_step(db, bundle, "written", at, why)
