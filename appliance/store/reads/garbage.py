"""What garbage collection asks the metadata: a page at a time, so that memory does not grow with the store.

Every function takes a reader's connection.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Final

from appliance.limits import lifecycle as limits
from appliance.store.ports import Reader
from bundles.errors import MalformedError
from bundles.oci.digest import Digest

_UNKEPT: Final = (
    "SELECT j.value FROM json_each(?) j WHERE NOT EXISTS (SELECT 1 FROM links WHERE digest = j.value)"
    " AND NOT EXISTS (SELECT 1 FROM pins WHERE digest = j.value)"
    " AND NOT EXISTS (SELECT 1 FROM tags WHERE digest = j.value)"
)
_UNPINNED: Final = (
    "SELECT j.value, (SELECT count(*) FROM links WHERE digest = j.value) FROM json_each(?) j"
    " WHERE NOT EXISTS (SELECT 1 FROM pins WHERE digest = j.value)"
    " AND NOT EXISTS (SELECT 1 FROM tags WHERE digest = j.value)"
)


def unkept(reader: Reader, digests: Iterable[str]) -> list[str]:
    """Of `digests`, those that no link, no pin and no tag stands on, in their order. Quickest where they are sorted: a
    page of the database is then asked for once."""
    return [digest for (digest,) in reader.execute(_UNKEPT, (json.dumps(list(digests)),))]


def unpinned(reader: Reader, digests: Iterable[str]) -> list[tuple[str, int]]:
    """Of `digests`, those that no pin and no tag stands on, in their order, each with its number of links."""
    return [(digest, links) for digest, links in reader.execute(_UNPINNED, (json.dumps(list(digests)),))]


def with_rows(reader: Reader, digests: Iterable[str]) -> set[str]:
    """Those of `digests` that the metadata names as held."""
    statement = "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(?))"
    return {digest for (digest,) in reader.execute(statement, (json.dumps(list(digests)),))}


def any_rows(reader: Reader) -> bool:
    """Whether the metadata names any blob as held."""
    return reader.execute("SELECT 1 FROM blobs LIMIT 1").fetchone() is not None


def rows(reader: Reader) -> Iterator[str]:
    """Every digest that the metadata names as held, in bytewise order. Reads `limits.GC_PAGE` rows at a time."""
    return _pages(
        reader,
        "SELECT CAST(digest AS BLOB) FROM blobs WHERE digest > CAST(? AS TEXT) ORDER BY digest LIMIT ?",
    )


def _pages(reader: Reader, statement: str, *fixed: object) -> Iterator[str]:
    """The digests that a statement gives, whose parameters are `fixed`, where to go on, and how many. What is no text
    is left out, as the check of the metadata names it: a flipped bit did that. So is what stands behind a greater one,
    which a flipped bit put there: a look that went on from there would never end."""
    after = b""
    while True:
        begun, page = after, reader.execute(statement, (*fixed, after, limits.GC_PAGE)).fetchall()
        for (digest,) in page:
            if digest > after:
                after = digest
                with contextlib.suppress(UnicodeDecodeError):
                    yield digest.decode()
        if len(page) < limits.GC_PAGE or after == begun:
            return


def digests(reader: Reader) -> Iterator[Digest]:
    """As `rows`, without what is no digest: the check of the metadata names such a row."""
    for text in rows(reader):
        with contextlib.suppress(MalformedError):
            yield Digest.parse(text)


def unlinked_rows(reader: Reader) -> Iterator[Digest]:
    """Digests with a row and without a link, as `digests`. Reads `limits.GC_PAGE` rows at a time."""
    found = _pages(
        reader,
        "SELECT CAST(digest AS BLOB) FROM blobs b WHERE digest > CAST(? AS TEXT)"
        " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest) ORDER BY digest LIMIT ?",
    )
    for text in found:
        with contextlib.suppress(MalformedError):
            yield Digest.parse(text)


def repositories(reader: Reader) -> list[tuple[int, str]]:
    """Every repository's number and name, by name."""
    return reader.execute("SELECT id, name FROM repositories ORDER BY name").fetchall()


def linked(reader: Reader, repository: int, kind: str, before: str = "9") -> Iterator[str]:
    """Digests that the repository links as `kind` ("blob" or "manifest") since before the time `before`, in bytewise
    order. Reads `limits.GC_PAGE` rows at a time."""
    after = ""
    while True:
        page = reader.execute(
            "SELECT digest, created FROM links WHERE repository_id = ? AND digest > ? AND kind = ?"
            " ORDER BY digest LIMIT ?",
            (repository, after, kind, limits.GC_PAGE),
        ).fetchall()
        for after, created in page:
            if created < before:
                yield after
        if len(page) < limits.GC_PAGE:
            return


def linked_since(reader: Reader, repository: int, kind: str) -> Iterator[tuple[str, str]]:
    """Digests that the repository links as `kind`, and since when. Reads as `linked`, a link that goes or comes
    meanwhile among them or not."""
    after = ""
    while True:
        page = reader.execute(
            "SELECT digest, created FROM links WHERE repository_id = ? AND digest > ? AND kind = ?"
            " ORDER BY digest LIMIT ?",
            (repository, after, kind, limits.GC_PAGE),
        ).fetchall()
        yield from page
        if len(page) < limits.GC_PAGE:
            return
        after = page[-1][0]


def links_any(reader: Reader, repository: int, kind: str) -> bool:
    """Whether the repository links anything as `kind`."""
    return next(linked_since(reader, repository, kind), None) is not None


def running_builds(reader: Reader, final: Iterable[str]) -> list[str]:
    """Builds whose state is none of `final`."""
    rows = reader.execute(
        "SELECT id FROM jobs WHERE kind = 'build' AND state NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(list(final)),),
    )
    return [job_id for (job_id,) in rows]


def receiving(reader: Reader) -> set[str]:
    """Manifest digests of bundles whose volumes are coming in."""
    return {digest for (digest,) in reader.execute("SELECT digest FROM intake WHERE state = 'receiving'")}


def damaged(reader: Reader) -> set[str]:
    """Digests whose damage is not healed."""
    return {digest for (digest,) in reader.execute("SELECT digest FROM damage WHERE healed IS NULL")}


def is_pinned(reader: Reader, digest: str) -> bool:
    """Whether a bundle or a receipt holds a digest."""
    return reader.execute("SELECT 1 FROM pins WHERE digest = ?", (digest,)).fetchone() is not None
