"""What each standing release claims of a repository: links and tags, in the order of the releases.

A row of `released` is a claim. `made` says of a link that the repository did not show it before: the claims on one link
from such a row on, up to the next such row, keep it up together, and claims before it ended when somebody deleted the
link. Of a tag it says that nobody but releases has moved or deleted the tag since, and `previous` where it stood before
the release: a tag that a client has put somewhere since is not a release's to take away. Striking a claim hands both on
to the claim that follows, so that a withdrawal takes away only what no other release stands for, in whatever order
releases are withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.store.ports import Connection, Reader

_COLUMNS: Final = "entry, repository, kind, item, target, made, previous"
_NEXT: Final = (
    "SELECT min(n.entry) FROM released n WHERE n.repository = ?1 AND n.kind = ?2 AND n.item = ?3 AND n.entry > ?4"
)
"""The claim that follows on the same thing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of `released`: `kind` is blob, manifest or tag; `item` is a digest, or the tag that stands at `target`."""

    entry: int
    repository: str
    kind: str
    item: str
    target: str
    made: int
    previous: str | None


def claim_links(db: Connection, digest: str, links: Sequence[tuple[int, str, str, str]], at: str) -> None:
    """Record what the release of bundle `digest` is about to link, as the newest claims, in place of older ones of its
    own. `links` are (repository's row, repository, kind, item), each once; they are made after this."""
    older = {(one.repository, one.kind, one.item): one for one in claims_of(db, digest) if one.kind != "tag"}
    again = [older[link[1:]] for link in links if link[1:] in older] if older else []
    db.executemany(
        f"UPDATE released SET made = 1 WHERE made = 0 AND entry = ({_NEXT})",  # noqa: S608  constant
        [(one.repository, one.kind, one.item, one.entry) for one in again if one.made],
    )
    db.executemany("DELETE FROM released WHERE entry = ?", [(one.entry,) for one in again])
    # What an older claim of its own kept up is kept up by the new one, unless another release claimed it in between.
    made_by = {key: one.entry for key, one in older.items() if one.made}
    first = _next_entry(db)
    db.executemany(
        "INSERT INTO released (digest, repository, kind, item, target, made, previous, at, entry)"
        " VALUES (?1, ?2, ?3, ?4, ?4, CASE WHEN NOT EXISTS (SELECT 1 FROM links l WHERE l.repository_id = ?5"
        " AND l.digest = ?4 AND l.kind = ?3) OR (CAST(?6 AS BIGINT) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
        " released n WHERE n.repository = ?2 AND n.kind = ?3 AND n.item = ?4 AND n.entry > ?6)) THEN 1 ELSE 0 END,"
        " NULL, ?7, ?8)",
        (
            (digest, repository, kind, item, number, made_by.get((repository, kind, item)), at, entry)
            for entry, (number, repository, kind, item) in enumerate(links, first)
        ),
    )


def claim_tags(db: Connection, digest: str, tags: Sequence[tuple[str, str, str, str | None]], at: str) -> None:
    """Record where the release of bundle `digest` puts tags, as `claim_links`. `tags` are (repository, tag, digest that
    it is put at, digest where it stood before or None), each once."""
    older = {(one.repository, one.item): one for one in claims_of(db, digest) if one.kind == "tag"}
    again = [older[tag[:2]] for tag in tags if tag[:2] in older] if older else []
    db.executemany(
        f"UPDATE released SET previous = ?5 WHERE previous = ?6 AND entry = ({_NEXT})",  # noqa: S608  constant
        [(one.repository, one.kind, one.item, one.entry, one.previous, one.target) for one in again if one.made],
    )
    db.executemany("DELETE FROM released WHERE entry = ?", [(one.entry,) for one in again])
    first = _next_entry(db)
    db.executemany(
        "INSERT INTO released (digest, repository, kind, item, target, made, previous, at, entry)"
        " VALUES (?, ?, 'tag', ?, ?, 1, ?, ?, ?)",
        (
            (digest, repository, tag, target, previous, at, entry)
            for entry, (repository, tag, target, previous) in enumerate(tags, first)
        ),
    )


def _next_entry(db: Connection) -> int:
    return int(db.execute("SELECT coalesce(max(entry), 0) + 1 FROM released").fetchone()[0])


def claims_of(db: Reader, digest: str) -> list[Claim]:
    """The claims of a bundle's release, oldest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM released WHERE digest = ? ORDER BY entry",  # noqa: S608  constant
        (digest,),
    )
    return [Claim(*row) for row in rows]


def last_entries(db: Reader, digest: str) -> set[int]:
    """The claims of a bundle's release that no later claim on the same thing follows."""
    rows = db.execute(
        "SELECT c.entry FROM released c WHERE c.digest = ? AND NOT EXISTS (SELECT 1 FROM released n"
        " WHERE n.repository = c.repository AND n.kind = c.kind AND n.item = c.item AND n.entry > c.entry)",
        (digest,),
    )
    return {int(entry) for (entry,) in rows}


def strike_links(db: Connection, struck: Sequence[Claim]) -> None:
    """Strike claims on blobs and manifests: what each kept up, the one that follows keeps up."""
    db.executemany(
        f"UPDATE released SET made = 1 WHERE made = 0 AND entry = ({_NEXT})",  # noqa: S608  constant
        [(one.repository, one.kind, one.item, one.entry) for one in struck if one.made],
    )
    db.executemany("DELETE FROM released WHERE entry = ?", [(one.entry,) for one in struck])


def stand_again(db: Connection, repository: str, kind: str, item: str) -> None:
    """A link stays because something that is shown names it: from here on the newest claim that is left, though it had
    ended, stands for it. Without one it is nobody's release."""
    db.execute(
        "UPDATE released SET made = 1 WHERE entry ="
        " (SELECT max(entry) FROM released WHERE repository = ? AND kind = ? AND item = ?)",
        (repository, kind, item),
    )


def strike_tag(db: Connection, struck: Claim) -> None:
    """Strike a claim on a tag: where it stood before is handed on to the claim that follows."""
    db.execute("DELETE FROM released WHERE entry = ?", (struck.entry,))
    if struck.made:
        db.execute(
            f"UPDATE released SET previous = ?5 WHERE previous = ?6 AND entry = ({_NEXT})",  # noqa: S608  constant
            (struck.repository, struck.kind, struck.item, struck.entry, struck.previous, struck.target),
        )
