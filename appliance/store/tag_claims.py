"""Whose a tag is: the releases that stand for it. Asked by the inspection, and again in the release's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TagClaim:
    """A standing release of a tag: the bundle, its stream, and the digest that it put the tag at."""

    bundle: str
    stream: str
    digest: str

    @property
    def source(self) -> str:
        """The site that sent it: a stream is named `source.destination`."""
        return self.stream.partition(".")[0]


def tag_claims(db: sqlite3.Connection, repository: str, tag: str) -> list[TagClaim]:
    """The standing releases of a tag, oldest first. Takes a reader's connection or the writer's."""
    rows = db.execute(
        "SELECT i.id, i.stream, r.target FROM released r JOIN intake i ON i.digest = r.digest"
        " WHERE r.repository = ? AND r.kind = 'tag' AND r.item = ? ORDER BY r.entry",
        (repository, tag),
    )
    return [TagClaim(*row) for row in rows]


def foreign_claim(claims: list[TagClaim], source: str) -> TagClaim | None:
    """The newest release of the source whose the tag is, where that is not `source`. A tag is its first release's: to
    release the same digest under it later makes it nobody else's."""
    if not claims or claims[0].source == source:
        return None
    return next(claim for claim in reversed(claims) if claim.source == claims[0].source)
