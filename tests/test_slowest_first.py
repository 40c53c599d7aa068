"""The order of a run loses no test, and each worker begins with the slowest of its modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slowest_first import SLOWEST, slowest_first

ROOT = Path(__file__).resolve().parent.parent
QUICK = [f"tests/quick/test_{number}.py" for number in range(20)]
ITEMS = [(module, number) for module in sorted([*QUICK, *SLOWEST]) for number in range(5)]


def module_of(item: tuple[str, int]) -> str:
    return item[0]


def test_each_module_that_is_named_exists() -> None:
    assert [name for name in SLOWEST if not (ROOT / name).is_file()] == []
    assert len(set(SLOWEST)) == len(SLOWEST)


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7, 16, 400])
def test_every_test_is_run_once_and_those_of_a_module_follow_one_another(workers: int) -> None:
    ordered = slowest_first(ITEMS, workers, module_of)
    assert sorted(ordered) == ITEMS
    for module in SLOWEST:
        places = [place for place, item in enumerate(ordered) if module_of(item) == module]
        assert places == list(range(places[0], places[0] + 5))


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_the_run_of_each_worker_begins_with_a_slow_module(workers: int) -> None:
    ordered, left = slowest_first(ITEMS, workers, module_of), len(ITEMS)
    begins = []
    for place in range(workers):
        begins.append(module_of(ordered[len(ITEMS) - left]))
        left -= left // (workers - place)
    assert begins == list(SLOWEST[:workers])


def test_a_run_of_one_folder_stands_as_it_was_collected() -> None:
    items = [item for item in ITEMS if item[0] in QUICK]
    assert slowest_first(items, 4, module_of) == items
    assert slowest_first([], 4, module_of) == []
