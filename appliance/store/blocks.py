"""Reads of what people have blocked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def every_block(reader: sqlite3.Connection) -> Iterator[tuple[str, str, str, str]]:
    """Each block as (digest, why, actor, created), by digest, read as the caller goes. Bytes that are no UTF-8, which
    others may have written, are shown as escapes."""
    rows = reader.execute(
        "SELECT CAST(digest AS BLOB), CAST(why AS BLOB), CAST(actor AS BLOB), CAST(created AS BLOB) FROM blocks"
        " ORDER BY digest"
    )
    for digest, why, actor, created in rows:
        yield _text(digest), _text(why), _text(actor), _text(created)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
