"""Two copies of a table held against each other, the lock that stops the writer, and the settings' new place."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from appliance.settings.metadata import with_url
from appliance.store.held_writes import Mover, WriterTurn
from appliance.store.moving.compare import Batches, Row, compare
from appliance.store.moving.tables import tables
from appliance.store.whereabouts import Whereabouts, note
from appliance.store.writer import WriterService
from appliance.store.writes.checks import BeginCheck
from bundles.errors import FailedError, UsageError


def of(rows: list[Row], size: int) -> Batches:
    return (list(rows[place : place + size]) for place in range(0, len(rows), size))


def test_what_differs_is_found_whatever_the_batches_are() -> None:
    source: list[Row] = [("a", 1, b"x"), ("b", 2, b"y"), ("d", 4, None), ("e", 5, b""), ("g", 7, b"z")]
    target: list[Row] = [("a", 1, b"x"), ("b", 3, b"y"), ("c", 9, None), ("d", 4, None), ("f", 6, b""), ("h", 1, b"")]
    seen = set()
    for one, other in product(range(1, 7), repeat=2):
        found = compare(of(source, one), of(target, other), (0,), lambda _: None)
        assert found.gone == [("b",), ("c",), ("f",), ("h",)]
        assert sorted(found.put) == [("b", 2, b"y"), ("e", 5, b""), ("g", 7, b"z")]
        assert found.rows == (5, 6)
        assert not found.same
        seen.add(found.digests)
        kept = {row[0]: row for row in target if (row[0],) not in found.gone}
        fixed = sorted([*kept.values(), *found.put])
        again = compare(of(source, one), of(fixed, other), (0,), lambda _: None)
        assert again.same
        assert again.digests[0] == again.digests[1] == found.digests[0]
    assert len(seen) == 1


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (1, 1.0), (None, ""), ("x", b"x")])
def test_values_of_another_kind_are_another_row(one: Any, other: Any) -> None:
    found = compare(of([(1, one)], 1), of([(1, other)], 1), (0,), lambda _: None)
    assert not found.same


def test_every_table_has_a_key_and_stands_behind_those_it_refers_to() -> None:
    names = [one.name for one in tables()]
    assert all(one.key for one in tables())
    assert names.index("blobs") < names.index("manifests") < names.index("tags")
    assert {one.name for one in tables() if one.never_again} >= {"ledger", "decisions"}


def test_a_writer_waits_for_a_mover_and_writes_no_more_where_the_note_is_another_one(tmp_path: Path) -> None:
    database = tmp_path / "metadata.sqlite"
    with WriterService(database) as service:
        mover = Mover(database)
        with pytest.raises(FailedError):
            Mover(database)
        with mover.stopped():
            waiting = service.enqueue(BeginCheck(at="2026-01-01T00:00:00Z"))
            with pytest.raises(TimeoutError):
                waiting.result(0.05)
        waiting.result(10)
        with mover.stopped():
            note(database, Whereabouts(url="postgresql:///other?host=/run", station="0" * 32, site="alpha"))
        with pytest.raises(FailedError) as refused:
            service.submit(BeginCheck(at="2026-01-01T00:00:00Z"))
        assert "moved" in refused.value.what
        mover.close()
    turn = WriterTurn(database)
    Mover(database).close()
    turn.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('site = "a"\n', 'site = "a"\n\n[metadata]\nurl = "X"\n'),
        ('[metadata]\nurl = ""\n[log]\n', '[metadata]\nurl = "X"\n[log]\n'),
        ('[metadata] # where\n# url = "1"\n  url = "old"\n\n[log]\nurl = "y"\n',
         '[metadata] # where\n# url = "1"\n  url = "X"\n\n[log]\nurl = "y"\n'),
        ("[metadata]\n\n[log]\n", '[metadata]\nurl = "X"\n\n[log]\n'),
    ],
)  # fmt: skip
def test_the_settings_get_another_place_and_nothing_else(before: str, after: str) -> None:
    assert with_url(before, "X") == after


@pytest.mark.parametrize("text", ['metadata = { url = "old" }\n', 'metadata.url = "old"\n', "not toml ["])
def test_settings_of_another_shape_are_for_a_person(text: str) -> None:
    with pytest.raises(UsageError):
        with_url(text, "X")
