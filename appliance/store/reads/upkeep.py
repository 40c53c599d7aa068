"""Reads of the passes over the store: how far the scrub and the rereading came, and which blobs are next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from appliance.store.ports import Reader


@dataclass(frozen=True, slots=True)
class ScrubPass:
    """The scrub that was last at work: the last blob read, and what was read so far. Times are UTC text; `finished` is
    None for one that did not come to its end."""

    position: str
    started: str
    finished: str | None
    blobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RereadPass:
    """The rereading that was last at work, as `ScrubPass`."""

    position: str
    started: str
    finished: str | None


def last_scrub(reader: Reader) -> ScrubPass | None:
    """The scrub that was last at work; None before the first."""
    row = reader.execute("SELECT position, started, finished, blobs, bytes FROM scrub").fetchone()
    return None if row is None else ScrubPass(*row)


def last_reread(reader: Reader) -> RereadPass | None:
    """The rereading that was last at work; None before the first."""
    row = reader.execute("SELECT position, started, finished FROM reread").fetchone()
    return None if row is None else RereadPass(*row)


def blobs_after(reader: Reader, position: str, limit: int) -> list[tuple[str, int]]:
    """Digest and size (bytes) of the next blobs by digest, as the rows say: a damaged row may name no digest. One that
    is no text, or stands behind a greater one, is left out."""
    after, found = position.encode(), list[tuple[str, int]]()
    while not found:
        begun = after
        rows = reader.execute(
            "SELECT CAST(digest AS BLOB), size FROM blobs WHERE digest > CAST(? AS TEXT) ORDER BY digest LIMIT ?",
            (after, limit),
        )
        for digest, size in rows:
            if digest > after:
                after = digest
                with suppress(UnicodeDecodeError):
                    found.append((digest.decode(), size))
        if after == begun:
            break
    return found
