"""Whether something is really not there. A key whose entry is damaged, or that stands beside a damaged one, is not
found where it was written; it must not be answered with "not there".

Each key of a repository, tag or link stands in two trees of the database, its table and an index. What neither has is
not there. Asked only where a first read found nothing, so what is found costs nothing more. `INDEXED BY` names the
tree: SQLite reads another one where that is as good, also under `NOT INDEXED`.
"""

from __future__ import annotations

from typing import Literal

from appliance.store.ports import Reader
from appliance.store.rows import WrongRowError, require_tag

_REPOSITORY = (
    "SELECT first.id, second.id, (SELECT name FROM repositories NOT INDEXED WHERE id = coalesce(first.id, second.id))"
    " FROM (SELECT 1) one"
    " LEFT JOIN (SELECT id FROM repositories INDEXED BY sqlite_autoindex_repositories_1 WHERE name = ?1) first ON true"
    " LEFT JOIN (SELECT id FROM repositories INDEXED BY repositories_again WHERE name = ?1) second ON true"
)
_LINK = (
    "SELECT (SELECT count(*) FROM links INDEXED BY sqlite_autoindex_links_1"
    " WHERE repository_id = ?1 AND digest = ?2 AND kind = ?3)"
    " + (SELECT count(*) FROM links INDEXED BY links_by_digest WHERE digest = ?2 AND kind = ?3 AND repository_id = ?1)"
)
_TAG = (
    "SELECT (SELECT count(*) FROM tags INDEXED BY sqlite_autoindex_tags_1 WHERE repository_id = ?1 AND tag = ?2)"
    " + (SELECT count(*) FROM tags INDEXED BY tags_again WHERE tag = ?2 AND repository_id = ?1)"
)
_ROW = (
    "SELECT digest, updated, checksum FROM tags INDEXED BY sqlite_autoindex_tags_1 WHERE repository_id = ? AND tag = ?"
)


def repository(reader: Reader, name: str) -> int | None:
    """A repository's number, None where there is none. About 10 µs. Raises WrongRowError where its trees differ."""
    first, second, named = reader.execute(_REPOSITORY, (name,)).fetchone()
    if first != second or (first is not None and named != name):
        raise WrongRowError("database", "", f"the repository {name} is not found in all of its indexes")
    return None if first is None else int(first)


def is_link_absent(reader: Reader, name: str, digest: str, kind: Literal["blob", "manifest"]) -> bool:
    """Whether a repository does not show a digest, in either tree. About 15 µs. False where both have it: a row that it
    stands on is missing, or it was written a moment ago. Raises WrongRowError where one has it."""
    number = repository(reader, name)
    if number is None:
        return True
    trees = reader.execute(_LINK, (number, digest, kind)).fetchone()[0]
    if trees == 1:
        raise WrongRowError("link", name, digest)
    return bool(trees == 0)


def is_tag_absent(reader: Reader, name: str, tag: str) -> bool:
    """The same for a tag. One that is there and points at what the repository does not show is absent, too."""
    number = repository(reader, name)
    if number is None:
        return True
    trees = reader.execute(_TAG, (number, tag)).fetchone()[0]
    if trees == 0:
        return True
    row = reader.execute(_ROW, (number, tag)).fetchone() if trees == 2 else None
    if row is None:
        raise WrongRowError("tag", name, tag)
    require_tag(name, tag, *row)
    return is_link_absent(reader, name, row[0], "manifest")
