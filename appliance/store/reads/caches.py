"""What pull-through caches brought, and when."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.store.errors import UnavailableEngineError
from appliance.store.ports import Reader

_BEHIND = "\x7f"
"""Behind every character of a repository's name."""


def is_cached(reader: Reader, repository: str) -> bool:
    """Whether a cache brought what a repository shows, be it configured still or not. Point read."""
    row = reader.execute("SELECT 1 FROM cached_repositories WHERE repository = ?", (repository,)).fetchone()
    return row is not None


def count_cached(reader: Reader) -> int:
    """How many repositories show what caches brought."""
    (count,) = reader.execute(
        "SELECT count(*) FROM cached_repositories c JOIN repositories r ON r.name = c.repository"
    ).fetchone()
    return int(count)


def tag_asked(reader: Reader, repository: str, tag: str) -> int | None:
    """When the upstream last said where a tag stands, in seconds since 1970; None where it never did. Point read."""
    row = reader.execute("SELECT asked FROM cached_tags WHERE repository = ? AND tag = ?", (repository, tag)).fetchone()
    return None if row is None else int(row[0])


def in_the_way(reader: Reader, prefixes: Sequence[str]) -> tuple[str, str] | None:
    """The first repository at or below the prefixes (`cache/hub/`) whose content no cache brought, and why: `released`,
    or `held`. None where there is none."""
    try:
        for prefix in prefixes:
            bounds = (prefix.rstrip("/"), prefix, prefix + _BEHIND)
            for why, sql in (
                ("released", "SELECT repository FROM released WHERE repository = ?1 OR (repository >= ?2 AND"
                 " repository < ?3) LIMIT 1"),
                ("held", "SELECT r.name FROM repositories r LEFT JOIN cached_repositories c ON c.repository = r.name"
                 " WHERE (r.name = ?1 OR (r.name >= ?2 AND r.name < ?3)) AND c.repository IS NULL LIMIT 1"),
            ):  # fmt: skip
                row = reader.execute(sql, bounds).fetchone()
                if row is not None:
                    return str(row[0]), why
    except UnavailableEngineError as error:
        if "no such table" not in str(error):  # of an earlier version: what it holds, no cache brought
            raise
        for prefix in prefixes:
            bounds = (prefix.rstrip("/"), prefix, prefix + _BEHIND)
            row = reader.execute(
                "SELECT name FROM repositories WHERE name = ?1 OR (name >= ?2 AND name < ?3) LIMIT 1", bounds
            ).fetchone()
            if row is not None:
                return str(row[0]), "held"
    return None
