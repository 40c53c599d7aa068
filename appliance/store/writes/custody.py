"""Taking a release back, and recording who handed a bundle's medium to whom."""

from __future__ import annotations

import sqlite3

from appliance.store.writes.base import Write
from appliance.store.writes.entries import entry_of, move
from appliance.store.writes.registry import forget_if_empty, is_linked, repository_id
from bundles.errors import FailedError


class Withdraw(Write, frozen=True):
    """What a release made visible is no longer, and its tags stand again where they stood; the approvals are void.

    `keep` are (repository, digest) of blobs that other content of the repository names; `pins` every blob of the
    bundle, so that nothing is swept and people may approve it again. Another release or push that shows the same
    content keeps it visible. The result lists what is no longer there, as `repository:tag` and `repository@digest`.
    """

    digest: str
    keep: tuple[tuple[str, str], ...]
    pins: tuple[str, ...]
    why: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> list[str]:
        entry = entry_of(db, self.digest)
        if entry.state != "released":
            raise FailedError(f"the bundle is {entry.state}, not released", thing=entry.id)
        gone, keep = [], set(self.keep)
        rows = db.execute(
            "SELECT repository, kind, item, target, made, previous FROM released WHERE digest = ?"
            " ORDER BY repository, kind = 'blob', kind = 'manifest', item",
            (self.digest,),
        ).fetchall()
        for repository, kind, item, target, made, previous in rows:
            number = repository_id(db, repository)
            if number is None or not made or (kind == "blob" and (repository, item) in keep):
                continue
            if kind == "tag":
                gone += _untag(db, number, repository, item, target, previous)
            elif not self._shown_otherwise(db, number, repository, kind, item):
                db.execute(
                    "DELETE FROM links WHERE repository_id = ? AND digest = ? AND kind = ?", (number, item, kind)
                )
                gone += [f"{repository}@{item}"] if kind == "manifest" else []
        for repository in {row[0] for row in rows}:
            number = repository_id(db, repository)
            if number is not None:
                forget_if_empty(db, number)
        db.execute("DELETE FROM released WHERE digest = ?", (self.digest,))
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.executemany(
            "INSERT INTO pins (bundle, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(self.digest, pin) for pin in self.pins],
        )
        db.execute("UPDATE epoch SET value = value + 1")
        move(db, self.digest, entry, "withdrawn", self.actor, self.at, self.why)
        return gone

    def _shown_otherwise(self, db: sqlite3.Connection, number: int, repository: str, kind: str, item: str) -> bool:
        """Whether another release shows it too, which then answers for it, or a tag stands at it."""
        heir = db.execute(
            "SELECT digest FROM released WHERE target = ? AND repository = ? AND kind = ? AND digest <> ? LIMIT 1",
            (item, repository, kind, self.digest),
        ).fetchone()
        if heir is not None:
            db.execute(
                "UPDATE released SET made = 1 WHERE digest = ? AND repository = ? AND kind = ? AND item = ?",
                (heir[0], repository, kind, item),
            )
            return True
        return bool(
            kind == "manifest"
            and db.execute("SELECT 1 FROM tags WHERE repository_id = ? AND digest = ?", (number, item)).fetchone()
        )


def _untag(
    db: sqlite3.Connection, number: int, repository: str, tag: str, target: str, previous: str | None
) -> list[str]:
    """A tag back to where it stood, if it still stands where the release put it and that is still shown."""
    row = db.execute("SELECT digest FROM tags WHERE repository_id = ? AND tag = ?", (number, tag)).fetchone()
    if row is None or row[0] != target:
        return []
    if previous is not None and is_linked(db, number, previous, "manifest"):
        db.execute("UPDATE tags SET digest = ? WHERE repository_id = ? AND tag = ?", (previous, number, tag))
    else:
        db.execute("DELETE FROM tags WHERE repository_id = ? AND tag = ?", (number, tag))
    return [f"{repository}:{tag}"]


class HandOver(Write, frozen=True):
    """A bundle's medium went from one person to another."""

    bundle: str
    giver: str
    taker: str
    medium: str
    serial: str
    seal: str
    note: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO handovers (bundle, at, giver, taker, medium, serial, seal, note, actor)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.bundle, self.at, self.giver, self.taker, self.medium, self.serial, self.seal, self.note, self.actor),
        )
