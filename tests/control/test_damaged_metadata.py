"""Where a page of the database cannot be read, jobs and the control API say so in a line."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.errors import LockgateError
from tests.stage import Station


def _damage(database: Path, table: str) -> None:
    """Flip a bit in the first byte of a table's first page: its type (SQLite, B-tree Pages)."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        first = file.read(1)[0]
        file.seek((page - 1) * size)
        file.write(bytes([first ^ 1]))


async def test_a_page_that_cannot_be_read_is_named_by_status_and_by_jobs(tmp_path: Path) -> None:
    station = Station(tmp_path / "alpha", "alpha", "outside")
    with station:
        pass  # the database is made
    _damage(StationPaths(station.folder).database, "damage")
    said = list[str]()
    with station:
        async with ControlClient(station.folder) as client:
            try:
                await client.status()
            except LockgateError as error:
                said.append(error.what)
            job = await client.submit("scrub", {})
            async for name, data in client.watch(job["id"]):
                if name == "job":
                    job = data
    assert (job["state"], job["error"]["exit_status"]) == ("failed", 1)
    assert [*said, job["error"]["what"]] == ["the metadata is damaged and cannot be read"] * 2
    assert "Traceback" not in (station.folder / "serve.log").read_text()
