"""A folder that an earlier version made opens with this one, and then has the schema of a new folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from appliance.jobs.documents import list_jobs
from appliance.store.database import open_writer
from appliance.store.migrations.runner import identity, migrate, step_names
from tests.store.dump_schema import dump

SCHEMAS = Path(__file__).resolve().parents[1] / "data/schemas"


def schema_of(connection: sqlite3.Connection) -> dict[str, object]:
    """Tables by their columns (in any order: a step may add some), and the other objects by their SQL."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%sqlite%'").fetchall()
    return {
        name: sorted(connection.execute(f"SELECT name, type, pk, \"notnull\" FROM pragma_table_info('{name}')"))
        if kind == "table"
        else sql
        for kind, name, sql in rows
    }


def put_back(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.executescript(sql)


@pytest.mark.parametrize("old", sorted(SCHEMAS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_database_of_an_earlier_version_opens_and_becomes_one_of_this(old: Path, tmp_path: Path) -> None:
    put_back(tmp_path / "metadata.sqlite", old.read_text())
    with closing(open_writer(tmp_path / "metadata.sqlite")) as opened, closing(open_writer(tmp_path / "new")) as new:
        assert schema_of(opened) == schema_of(new)
        assert migrate(opened) == []
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_dump_of_this_version_opens_as_those_of_tags_do(tmp_path: Path) -> None:
    put_back(tmp_path / "metadata.sqlite", dump())
    with closing(sqlite3.connect(tmp_path / "metadata.sqlite", isolation_level=None)) as opened:
        assert migrate(opened) == []


def test_a_step_is_known_by_its_name_whatever_number_it_was_applied_under(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "metadata.sqlite")) as connection:
        connection.execute("UPDATE _sqlite_migrations SET name = 'm0012_' || substr(name, 7)")
        assert migrate(connection) == []


def test_no_two_steps_share_a_name() -> None:
    names = [identity(step) for step in step_names()]
    assert len(names) == len(set(names))


def test_jobs_of_before_keep_their_order_and_one_of_a_future_clock_tops_the_list_no_longer(tmp_path: Path) -> None:
    from appliance.store.writer import LocalWriter
    from appliance.store.writes.jobs import CreateJob

    put_back(tmp_path / "metadata.sqlite", (SCHEMAS / "cdd00ad.sql").read_text())
    with closing(open_writer(tmp_path / "metadata.sqlite")) as opened:
        make = CreateJob(
            id="20260602t000000z-000003", kind="gc", params="{}", actor="root(0)", at="2026-06-02T00:00:00Z"
        )
        assert LocalWriter(opened).submit(make) == 3
        listed = [job.id for job in list_jobs(opened, 10)]
        assert listed == ["20260602t000000z-000003", "20990101t000000z-000002", "20260601t000000z-000001"]
        assert [job.id for job in list_jobs(opened, 10, after=listed[1])] == listed[2:]
