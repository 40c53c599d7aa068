"""Whose a tag is: the releases that stand for it. Asked by the inspection, and again in the release's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from appliance.store.ports import Reader


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


def tag_claims(db: Reader, repository: str, tag: str) -> list[TagClaim]:
    """The standing releases of a tag, oldest first. Takes a reader's connection or the writer's."""
    rows = db.execute(
        "SELECT i.id, i.stream, r.target FROM released r JOIN intake i ON i.digest = r.digest"
        " WHERE r.repository = ? AND r.kind = 'tag' AND r.item = ? ORDER BY r.entry",
        (repository, tag),
    )
    return [TagClaim(*row) for row in rows]


def claims_on_tags(db: Reader, names: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], list[TagClaim]]]:
    """Each of the tags (repository, tag) that a standing release claims, with its claims as `tag_claims` gives them.
    One statement; one tag's claims in memory at a time."""
    rows = db.execute(
        "SELECT r.repository, r.item, i.id, i.stream, r.target FROM json_each(?) j"
        " CROSS JOIN released r ON r.repository = json_extract(j.value, '$[0]') AND r.kind = 'tag'"
        " AND r.item = json_extract(j.value, '$[1]') CROSS JOIN intake i ON i.digest = r.digest"
        " ORDER BY j.key, r.entry",
        (json.dumps(list(names)),),
    )
    for name, claims in groupby(rows, key=itemgetter(0, 1)):
        yield name, [TagClaim(*claim[2:]) for claim in claims]


def foreign_claim(claims: list[TagClaim], source: str) -> TagClaim | None:
    """The newest release of the source whose the tag is, where that is not `source`. A tag is its first release's: to
    release the same digest under it later makes it nobody else's."""
    if not claims or claims[0].source == source:
        return None
    return next(claim for claim in reversed(claims) if claim.source == claims[0].source)
