"""What each standing release claims of a repository: links and tags, in the order of the releases.

A row of `released` is a claim. `made` says of a link that the repository did not show it before: the claims on one link
from such a row on, up to the next such row, keep it up together, and claims before it ended when somebody deleted the
link. Of a tag it says that nobody but releases has moved or deleted the tag since, and `previous` where it stood before
the release: a tag that a client has put somewhere since is not a release's to take away. Striking a claim hands both on
to the claim that follows, so that a withdrawal takes away only what no other release stands for, in whatever order
releases are withdrawn.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

_COLUMNS: Final = "entry, repository, kind, item, target, made, previous"


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


def claim(
    db: sqlite3.Connection, digest: str, at: str, repository: str, kind: str, item: str, target: str,
    *, made: bool, previous: str | None = None,
) -> None:  # fmt: skip
    """Record what the release of bundle `digest` shows, as the newest claim, in place of an older one of its own."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM released WHERE digest = ? AND repository = ? AND kind = ? AND item = ?",  # noqa: S608
        (digest, repository, kind, item),
    ).fetchone()
    if row is not None:
        older = Claim(*row)
        alone = strike_tag(db, older) if kind == "tag" else strike_link(db, older)
        made = made or alone
    db.execute(
        "INSERT INTO released (digest, repository, kind, item, target, made, previous, at, entry)"
        " SELECT ?, ?, ?, ?, ?, ?, ?, ?, coalesce(max(entry), 0) + 1 FROM released",
        (digest, repository, kind, item, target, made, previous, at),
    )


def claims_of(db: sqlite3.Connection, digest: str) -> list[Claim]:
    """The claims of a bundle's release, oldest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM released WHERE digest = ? ORDER BY entry",  # noqa: S608  constant
        (digest,),
    )
    return [Claim(*row) for row in rows]


def strike_link(db: sqlite3.Connection, struck: Claim) -> bool:
    """Strike a claim on a blob or manifest. Returns whether nothing else stands for the link any more."""
    row = _strike(db, struck)
    if not struck.made:
        return False
    if row is not None and not row[1]:
        db.execute("UPDATE released SET made = 1 WHERE entry = ?", (row[0],))
    return row is None


def stand_again(db: sqlite3.Connection, repository: str, kind: str, item: str) -> None:
    """A link stays because something that is shown names it: from here on the newest claim that is left, though it had
    ended, stands for it. Without one it is nobody's release."""
    db.execute(
        "UPDATE released SET made = 1 WHERE entry ="
        " (SELECT max(entry) FROM released WHERE repository = ? AND kind = ? AND item = ?)",
        (repository, kind, item),
    )


def strike_tag(db: sqlite3.Connection, struck: Claim) -> bool:
    """Strike a claim on a tag. Returns whether it was the newest one, which the tag follows."""
    row = _strike(db, struck)
    if row is not None and row[2] == struck.target and struck.made:
        db.execute("UPDATE released SET previous = ? WHERE entry = ?", (struck.previous, row[0]))
    return row is None


def _strike(db: sqlite3.Connection, struck: Claim) -> tuple[int, int, str | None] | None:
    """Delete the claim; the next one on the same thing as (entry, made, previous), or None."""
    db.execute("DELETE FROM released WHERE entry = ?", (struck.entry,))
    row = db.execute(
        "SELECT entry, made, previous FROM released WHERE repository = ? AND kind = ? AND item = ? AND entry > ?"
        " ORDER BY entry LIMIT 1",
        (struck.repository, struck.kind, struck.item, struck.entry),
    ).fetchone()
    return None if row is None else (int(row[0]), int(row[1]), row[2])
