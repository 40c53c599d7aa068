"""What checks of the metadata found, and damaged rows that readers met."""

from __future__ import annotations

import json
from typing import ClassVar

from appliance.limits import store as limits
from appliance.store.ports import Connection
from appliance.store.rows import Rows
from appliance.store.writes.write import Write


class BeginCheck(Write, frozen=True):
    """The metadata is checked after a start: until it is known to be whole, nothing is deleted."""

    unrecorded: ClassVar[str] = "that a check of the metadata has begun"
    at: str

    def apply(self, db: Connection) -> None:
        _set(db, "checking", self.at, ())


class EndCheck(Write, frozen=True):
    """A check has ended; `found` is empty where nothing is wrong. `rows` are the damaged rows: each of `rows`,
    repository and item; `structure` says whether more than rows is damaged, so that nothing is taken away. The result
    says whether more is wrong now than the check before had found."""

    unrecorded: ClassVar[str] = "what a check of the metadata has found"
    at: str
    found: tuple[str, ...]
    rows: tuple[tuple[Rows, str, str], ...]
    structure: bool = True

    def apply(self, db: Connection) -> bool:
        before = db.execute("SELECT found FROM metadata_check").fetchone()
        known = set() if before is None else set(json.loads(before[0]))
        bad = "damaged" if self.structure else "rows"
        _set(db, bad if self.found else "ok", self.at, self.found)
        db.execute("DELETE FROM wrong_rows")
        db.executemany(
            "INSERT INTO wrong_rows (rows, repository, item, found) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(*row, self.at) for row in self.rows],
        )
        return not set(self.found) <= known


class NoteWentBack(Write, frozen=True):
    """The database went back: it is behind what the station's folder knows. Said until people say that this is it."""

    what: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO went_back (id, at, what) VALUES (1, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET at = excluded.at, what = excluded.what",
            (self.at, self.what),
        )


def take_went_back(db: Connection, shut_since: str = "") -> None:
    """People know that the database went back. `shut_since`: where imports were shut with it, so at that time."""
    db.execute("DELETE FROM went_back WHERE at <= ? OR ? = ''", (shut_since, shut_since))


class NoteWrongRow(Write, frozen=True):
    """A reader met a damaged row, and did not serve it."""

    unrecorded: ClassVar[str] = "which rows are damaged"
    rows: Rows
    repository: str
    item: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO wrong_rows (rows, repository, item, found) SELECT ?, ?, ?, ?"
            " WHERE (SELECT count(*) FROM wrong_rows) < ? ON CONFLICT DO NOTHING",
            (self.rows, self.repository, self.item, self.at, limits.METADATA_NAMED),
        )


def _set(db: Connection, state: str, at: str, found: tuple[str, ...]) -> None:
    db.execute(
        "INSERT INTO metadata_check (id, state, at, found) VALUES (1, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, at = excluded.at, found = excluded.found",
        (state, at, json.dumps(found)),
    )
