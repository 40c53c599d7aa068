"""The checksum that each row of tags, links, manifests and blobs carries, and what a row is that does not have it.

A bit that flips in a row may make it name another repository, tag or manifest that is held as well, and no structure of
the database is hurt by that. CRC-32 finds it; it is no protection against who can write to the database
(docs/adr/0021-collected-blobs.md). A row without a checksum was not written by this program, which has nothing to hold
it against.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final, Literal
from zlib import crc32

from bundles.errors import FailedError

Rows = Literal["tag", "link", "manifest", "blob", "block", "database"]

CRC_UNKNOWN: Final = -1
"""In the place of the CRC-32 of a blob that was never read whole, or whose row a rebuild found damaged."""

_AWAY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class WrongRowError(FailedError):
    """A row is not what was written. `rows` says of what; `repository` is "" for the facts of a manifest or blob, and
    for the database itself, of which `item` says what is wrong."""

    def __init__(self, rows: Rows, repository: str, item: str) -> None:
        self.rows, self.repository, self.item = rows, repository, item
        mark = {"tag": ":", "link": "@"}.get(rows, "")
        if rows == "database":
            super().__init__(
                "the metadata is damaged and cannot be read",
                thing=item,
                remedy="put its newest copy back: docs/howto/keep-the-store-healthy.md",
            )
            return
        super().__init__(
            f"the metadata of a {rows} is damaged, so it is not served",
            thing=f"{repository}{mark}{item}",
            remedy="push it again, or see docs/howto/keep-the-store-healthy.md; then run: lockgate scrub",
        )


def tag_sum(repository: str, tag: str, digest: str, updated: str) -> int:
    """The checksum of a tag's row; `repository` is the name."""
    return crc32(f"tag\n{repository}\n{tag}\n{digest}\n{updated}".encode())


def wrong_tag(repository: str, rows: Iterable[tuple[str, str, str, int | None]]) -> str | None:
    """The first tag of a repository whose row (tag, digest, updated, checksum) is damaged."""
    begun = crc32(f"tag\n{repository}\n".encode())
    for tag, digest, updated, checksum in rows:
        if checksum is not None and crc32(f"{tag}\n{digest}\n{updated}".encode(), begun) != checksum:
            return tag
    return None


def link_sum(repository: str, digest: str, kind: str, created: str) -> int:
    """The checksum of a link's row; `repository` is the name."""
    return crc32(f"link\n{repository}\n{digest}\n{kind}\n{created}".encode())


def is_link(repository: str, digest: str, kind: str, created: str, checksum: int | None) -> bool:
    """Whether a link's row is what was written."""
    return checksum is None or link_sum(repository, digest, kind, created) == checksum


def require_link(repository: str, digest: str, kind: str, created: str, checksum: int | None) -> None:
    """Raises WrongRowError."""
    if not is_link(repository, digest, kind, created, checksum):
        raise WrongRowError("link", repository, digest)


def require_tag(repository: str, tag: str, digest: str, updated: str, checksum: int | None) -> None:
    """Raises WrongRowError."""
    if checksum is not None and tag_sum(repository, tag, digest, updated) != checksum:
        raise WrongRowError("tag", repository, tag)


def manifest_sum(
    digest: str, media_type: str, artifact_type: str, subject: str | None, size: int, annotations: str
) -> int:
    """The checksum of a manifest's row; `annotations` is the JSON text as it is stored."""
    return crc32(f"{digest}\n{media_type}\n{artifact_type}\n{subject}\n{size}\n{annotations}".encode())


def blob_sum(digest: str, size: int, crc32_of_bytes: int) -> int:
    """The checksum of a blob's row. Without its time, which nothing is decided by."""
    return crc32(f"blob\n{digest}\n{size}\n{crc32_of_bytes}".encode())


def require_blob(digest: str, size: int, crc32_of_bytes: int, checksum: int | None) -> None:
    """Raises WrongRowError."""
    if checksum is not None and blob_sum(digest, size, crc32_of_bytes) != checksum:
        raise WrongRowError("blob", "", digest)


def block_sum(digest: str, why: str, actor: str, created: str) -> int:
    """The checksum of a block's row; it stands in the table block_sums."""
    return crc32(f"block\n{digest}\n{why}\n{actor}\n{created}".encode())


def damage_of(error: sqlite3.Error) -> WrongRowError | None:
    """What an error of reading says of the database: that it is damaged, or nothing."""
    code = getattr(error, "sqlite_errorcode", None)
    is_damage = getattr(error, "is_damage", False) or (code is not None and code & 0xFF in _DAMAGED)
    if is_damage or "Could not decode" in str(error):
        return WrongRowError("database", "", str(error)[:100])
    return None


def is_away(error: sqlite3.Error) -> bool:
    """Whether an error of reading is one of the disk or of who else holds the database: a 503, no fault inside."""
    code = getattr(error, "sqlite_errorcode", None)
    return getattr(error, "is_away", False) or (code is not None and code & 0xFF in _AWAY)


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the checksums as SQL functions, by their names here. Those with `_raw` behind take columns in
    which a flipped bit may have left no text, as bytes (CAST AS BLOB): SQLite hands a function no such text."""
    for count, function in ((4, tag_sum), (4, link_sum), (3, blob_sum), (4, block_sum), (6, manifest_sum)):
        connection.create_function(function.__name__, count, function, deterministic=True)
        connection.create_function(f"{function.__name__}_raw", count, _of_bytes(function), deterministic=True)


def _of_bytes(function: Callable[..., int]) -> Callable[..., int]:
    def called(*fields: object) -> int:
        return function(*(as_text(field) if isinstance(field, bytes) else field for field in fields))

    return called


def as_text(raw: bytes) -> str:
    """A text of a row; bytes that are no text are shown as escapes, so that the row has another checksum."""
    return raw.decode("utf-8", "backslashreplace")
