"""`make bench-release`: the transaction of a release and that of its withdrawal, for which every other writer waits.

Each is compared with the rows alone: what it changed in the database, written again into a copy of the database as it
was before, by primary key, in one transaction. A and B alternate, medians of the rounds are printed with their spread.
Then the time of one artifact among many is compared with that of one among few, and what another writer waited with
what the transaction took. The goal is a second of processor time for 4,000 artifacts.

What the transactions work, counted, is in tests/store/test_release_cost.py.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.paths import StationPaths
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter, WriterService
from appliance.store.writes.lifecycle import SaveReread
from appliance.store.writes.write import Write
from tests.store.test_release_cost import AT, prepared

_TIMES = 8
"""How many times as many artifacts are `many` as are few."""


@dataclass(frozen=True)
class Took:
    """Seconds, and seconds of this thread's processor time."""

    elapsed: float
    work: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-release", description=__doc__)
    parser.add_argument("--artifacts", type=int, default=4_000, help="of a release, beside as many (default 4000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="where to work (default: the temporary folder)")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lockgate-bench-", dir=arguments.folder))
    try:
        for withdrawn in (False, True):
            compare(root, arguments.artifacts, arguments.rounds, withdrawn=withdrawn)
    finally:
        shutil.rmtree(root)


def compare(root: Path, count: int, rounds: int, *, withdrawn: bool) -> None:
    """Print the ratios of a release, or of a withdrawal."""
    ours: list[Took] = []
    rows: list[Took] = []
    few: list[Took] = []
    waits: list[float] = []
    for number in range(rounds):
        folder = root / f"{withdrawn}-{number}"
        folder.mkdir()
        one, other = against_rows(folder, count, withdrawn=withdrawn)
        ours.append(one)
        rows.append(other)
        with closing(open_writer(folder / "few.sqlite")) as db:
            write = prepared(db, count // _TIMES, count, withdrawn=withdrawn)
            few.append(timed(lambda db=db, write=write: LocalWriter(db).submit(write)))  # type: ignore[misc]
        waits.append(wait(folder / "wait", count, withdrawn=withdrawn))
        shutil.rmtree(folder)
    print(
        f"{'withdrawal' if withdrawn else 'release'} of {count} artifacts beside as many, {rounds} rounds, alternated"
    )
    print(f"  {middle(ours, rows):.2f} of the rows alone ({told(ours)}; the rows {told(rows)})")
    print(f"  an artifact among {count} takes {middle(ours, few) / _TIMES:.2f} of one among {count // _TIMES}")
    ratio = statistics.median(waits) / statistics.median(one.elapsed for one in ours)
    print(f"  another writer waited for {ratio:.2f} of the transaction ({min(waits):.2f} to {max(waits):.2f} s)")


def middle(ours: list[Took], theirs: list[Took]) -> float:
    """The ratio of the medians, of processor time."""
    return statistics.median(one.work for one in ours) / statistics.median(one.work for one in theirs)


def told(took: list[Took]) -> str:
    work, elapsed = sorted(one.work for one in took), sorted(one.elapsed for one in took)
    return f"{work[0]:.2f} to {work[-1]:.2f} s of processor time, {elapsed[0]:.2f} to {elapsed[-1]:.2f} s elapsed"


def timed(run: Callable[[], object]) -> Took:
    wall, work = time.perf_counter(), time.thread_time()
    run()
    return Took(elapsed=time.perf_counter() - wall, work=time.thread_time() - work)


def against_rows(folder: Path, count: int, *, withdrawn: bool) -> tuple[Took, Took]:
    """What the transaction takes, and what its rows alone do."""
    with closing(open_writer(folder / "ours.sqlite")) as db, closing(open_writer(folder / "rows.sqlite")) as copy:
        write = prepared(db, count, count, withdrawn=withdrawn)
        db.backup(copy)
        before = tables(db)
        ours = timed(lambda: LocalWriter(db).submit(write))
        changes = list(changed(db, before, tables(db)))
        copy.execute("PRAGMA foreign_keys = OFF")
        return ours, timed(lambda: put(copy, changes))


Tables = dict[str, set[tuple[Any, ...]]]
Change = tuple[str, list[tuple[Any, ...]]]


def tables(db: sqlite3.Connection) -> Tables:
    """Every row of every table."""
    names = [str(name) for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: set(db.execute(f"SELECT * FROM {name}")) for name in names}


def changed(db: sqlite3.Connection, before: Tables, after: Tables) -> Iterator[Change]:
    """The statements, with their rows, that make `after` of `before`."""
    for name in before:
        columns = list(db.execute(f"PRAGMA table_info({name})"))
        keys = [column[0] for column in columns if column[5]]
        new = after[name] - before[name]
        kept = {tuple(row[key] for key in keys) for row in new}
        gone = {tuple(row[key] for key in keys) for row in before[name] - after[name]} - kept
        if gone:
            where = " AND ".join(f"{columns[key][1]} = ?" for key in keys)
            yield f"DELETE FROM {name} WHERE {where}", sorted(gone)
        if new:
            marks = ", ".join("?" * len(columns))
            yield f"INSERT OR REPLACE INTO {name} VALUES ({marks})", sorted(new, key=repr)


def put(db: sqlite3.Connection, changes: list[Change]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for statement, rows in changes:
        db.executemany(statement, rows)
    db.execute("COMMIT")


def wait(folder: Path, count: int, *, withdrawn: bool) -> float:
    """The longest that another writer waits beside the transaction, in seconds."""
    folder.mkdir()
    paths = StationPaths(folder)
    with closing(open_writer(paths.database)) as db:
        write: Write = prepared(db, count, count, withdrawn=withdrawn)
    with WriterService(paths.database) as service:
        waits, over = [0.0], threading.Event()

        def other() -> None:
            while not over.is_set():
                waits.append(timed(lambda: service.submit(SaveReread(position="", started=AT, finished=""))).elapsed)

        thread = threading.Thread(target=other)
        thread.start()
        service.submit(write)
        over.set()
        thread.join()
    return max(waits)


if __name__ == "__main__":
    main()
