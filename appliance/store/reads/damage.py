"""Reads of blobs that were withdrawn as damaged, or could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Reader

_REFERENCES: Final = 100
"""References of a blob that are told: more of them help nobody who reads the message."""


@dataclass(frozen=True, slots=True)
class DamagedBlob:
    """A blob that is withdrawn and not healed; `found` is UTC text."""

    digest: str
    why: str
    found: str


@dataclass(frozen=True, slots=True)
class UnreadBlob:
    """A blob that could not be read `times` times, first when it was `found`; times are UTC text."""

    digest: str
    why: str
    found: str
    last: str
    times: int


def damaged_blobs(reader: Reader, limit: int) -> list[DamagedBlob]:
    """The blobs that are withdrawn and not healed, by digest."""
    rows = reader.execute(
        "SELECT digest, why, found FROM damage WHERE healed IS NULL ORDER BY digest LIMIT ?", (limit,)
    )
    return [DamagedBlob(*row) for row in rows]


def unread_blobs(reader: Reader, limit: int) -> list[UnreadBlob]:
    """The blobs that could not be read when they were last looked at, by digest."""
    rows = reader.execute("SELECT digest, why, found, last, times FROM unread ORDER BY digest LIMIT ?", (limit,))
    return [UnreadBlob(*row) for row in rows]


def references(reader: Reader, digest: str) -> list[str]:
    """Where a blob or manifest is shown: by tag where one leads there, else by digest; a hundred at most."""
    rows = reader.execute(
        "SELECT r.name, t.tag FROM links l JOIN repositories r ON r.id = l.repository_id"
        " LEFT JOIN tags t ON t.repository_id = r.id AND t.digest = l.digest WHERE l.digest = ?"
        " ORDER BY r.name, t.tag NULLS FIRST LIMIT ?",
        (digest, _REFERENCES),
    )
    return [f"{name}:{tag}" if tag else f"{name}@{digest}" for name, tag in rows]


def is_held(reader: Reader, digest: str) -> tuple[bool, bool]:
    """Whether the metadata names a blob as held, and whether it is withdrawn and not healed, as of one moment."""
    held, withdrawn = reader.execute(
        "SELECT (SELECT count(*) FROM blobs WHERE digest = ?1),"
        " (SELECT count(*) FROM damage WHERE digest = ?1 AND healed IS NULL)",
        (digest,),
    ).fetchone()
    return bool(held), bool(withdrawn)


def every_unread(reader: Reader) -> list[str]:
    """The digest of each blob that could not be read, in order."""
    return [str(digest) for (digest,) in reader.execute("SELECT digest FROM unread ORDER BY digest")]


def damaged_sizes(reader: Reader) -> list[tuple[str, int]]:
    """Digest and size (bytes) of each blob that is withdrawn and not healed."""
    return reader.execute(
        "SELECT d.digest, b.size FROM damage d JOIN blobs b ON b.digest = d.digest WHERE d.healed IS NULL"
    ).fetchall()


def unread_sizes(reader: Reader) -> list[tuple[str, int]]:
    """Digest and size (bytes) of each blob that could not be read, by digest."""
    return reader.execute(
        "SELECT u.digest, b.size FROM unread u JOIN blobs b ON b.digest = u.digest ORDER BY u.digest"
    ).fetchall()


def wrong_blob_rows(reader: Reader) -> list[str]:
    """The blobs whose rows readers found damaged, by digest, which may be no digest."""
    return [str(item) for (item,) in reader.execute("SELECT item FROM wrong_rows WHERE rows = 'blob' ORDER BY item")]
