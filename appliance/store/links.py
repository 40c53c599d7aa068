"""Reads of what is visible: the links of every repository, and the tags of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def every_link(reader: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Each link as (repository, digest), read as the caller goes."""
    yield from reader.execute("SELECT r.name, l.digest FROM links l JOIN repositories r ON r.id = l.repository_id")


def tags_of(reader: sqlite3.Connection, repository: str) -> dict[str, str]:
    """Where each tag of a repository stands, by tag."""
    rows = reader.execute(
        "SELECT t.tag, t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ?",
        (repository,),
    )
    return {str(tag): str(digest) for tag, digest in rows}
