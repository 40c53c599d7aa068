"""A page of repositories costs what is on the page: 5,000 repositories make it no dearer than 200 do.

What is counted are statements and steps of the database's machine, which are the same on every machine. `python -m
tests.bench.repositories` has the times.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.lifecycle.untagged import ManifestReferences, count
from appliance.store.reads.repositories import find_repositories
from tests.console.many import large_station
from tests.intake.inside import Inside

PAGE = 50
AFTER = "team/app-00100"


@dataclass(frozen=True)
class Work:
    statements: int
    steps: int


def work(db: sqlite3.Connection, act: Callable[[], object]) -> Work:
    asked: list[str] = []
    turns = itertools.count()
    db.set_trace_callback(asked.append)
    db.set_progress_handler(lambda: next(turns) < 0, 1)
    try:
        act()
    finally:
        db.set_progress_handler(None, 0)
        db.set_trace_callback(None)
    return Work(len(asked), next(turns))


@pytest.fixture(scope="module")
def stations(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A station's folder by how many repositories it has."""
    folder = tmp_path_factory.mktemp("many")
    for number in (200, 5_000):
        large_station(folder / f"{number}", tags=1, repositories=number)
    return {number: folder / f"{number}" for number in (200, 5_000)}


def of_a_page(root: Path, after: str, prefixes: tuple[str, ...]) -> Work:
    """What `GET /v1/repositories` reads for one page: the rows, and how many manifests of each have no tag."""
    with Inside(root) as inside:
        station = inside.station

        def page() -> None:
            found = find_repositories(station.metadata.connection, PAGE, after, "", lambda _: True, prefixes)
            assert len(found) == PAGE
            names = ManifestReferences(station.blobs)
            assert sum(count(station, names, entry.name) for entry in found) == 0

        page()  # the first one loads the schema
        each = [work(db, page) for db in {id(db): db for db in (station.reader, station.metadata.connection)}.values()]
        return Work(sum(one.statements for one in each), sum(one.steps for one in each))


@pytest.mark.parametrize(
    ("after", "prefixes"), [("", ("",)), (AFTER, ("",)), ("", ("team/",))], ids=["first", "later", "of a prefix"]
)
def test_a_page_of_5000_repositories_is_as_cheap_as_one_of_200(
    stations: dict[int, Path], after: str, prefixes: tuple[str, ...]
) -> None:
    few, many = (of_a_page(stations[number], after, prefixes) for number in (200, 5_000))
    assert many.statements == few.statements
    assert few.steps > PAGE, "the steps are counted"
    assert many.steps <= few.steps * 1.05
