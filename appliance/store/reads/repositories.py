"""Repositories by name, a page at a time, with their counts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from appliance.store.ports import Reader

_BEHIND = "\x7f"
"""Behind every character of a repository's name."""


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """A repository with its counts; `bytes` is the sum of the sizes of everything it links, each digest once."""

    name: str
    tags: int
    manifests: int
    bytes: int


def like(text: str) -> str:
    """A LIKE pattern (escape character backslash) for texts that contain `text`."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _apart(prefixes: Sequence[str]) -> list[str]:
    """The prefixes in bytewise order, without those that another one covers."""
    found: list[str] = []
    for prefix in sorted(prefixes):
        if not (found and prefix.startswith(found[-1])):
            found.append(prefix)
    return found


def find_repositories(
    connection: Reader,
    limit: int,
    after: str = "",
    text: str = "",
    shown: Callable[[str], bool] = lambda _: True,
    prefixes: Sequence[str] = ("",),
) -> list[RepositoryFacts]:
    """Repositories whose name contains `text` and is to be shown, after `after`, with their counts.

    `prefixes`: what the names that may be shown begin with; only these parts of the index are read. Grows with the
    links of the repositories on the page, and with the names of those parts where few are wanted.
    """
    names = itertools.chain.from_iterable(_names(connection, prefix, after, text) for prefix in _apart(prefixes))
    wanted = dict(itertools.islice((row for row in names if shown(row[1])), limit))
    counts = connection.execute(
        "SELECT w.id, (SELECT count(*) FROM tags t WHERE t.repository_id = w.id),"
        " (SELECT count(*) FROM links l WHERE l.repository_id = w.id AND l.kind = 'manifest'),"
        " (SELECT coalesce(sum(b.size), 0) FROM (SELECT DISTINCT l.digest FROM links l"
        " WHERE l.repository_id = w.id) AS held CROSS JOIN blobs b ON b.digest = held.digest)"
        " FROM (SELECT CAST(value AS BIGINT) AS id, key FROM json_each(?)) AS w ORDER BY w.key",
        (json.dumps(list(wanted)),),
    )
    return [RepositoryFacts(wanted[row_id], *found) for row_id, *found in counts]


def _names(connection: Reader, prefix: str, after: str, text: str) -> Iterator[tuple[int, str]]:
    """Ids and names that begin with `prefix`, in bytewise order, read as they are asked for."""
    return connection.execute(
        "SELECT id, name FROM repositories WHERE name > ? AND name >= ? AND name < ? AND name LIKE ? ESCAPE '\\'"
        " ORDER BY name",
        (after, prefix, f"{prefix}{_BEHIND}", like(text)),
    )
