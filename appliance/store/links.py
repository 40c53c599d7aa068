"""Reads of what is visible: the links of every repository."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def every_link(reader: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Each link as (repository, digest), read as the caller goes."""
    yield from reader.execute("SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id")
