"""Work at once: every item is done, by a bounded number of threads, and the first error is the one that is raised."""

from __future__ import annotations

import threading

import pytest

from bundles.io.work_threads import at_once


@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_every_item_is_done_once(lanes: int) -> None:
    done: list[int] = []
    at_once(done.append, range(100), lanes)
    assert sorted(done) == list(range(100))


def test_nothing_is_nothing_to_do() -> None:
    at_once(lambda _: pytest.fail("there is no item"), [], 2)


def test_two_items_are_in_work_together() -> None:
    together = threading.Barrier(2)
    at_once(lambda _: together.wait(20), [1, 2], 2)


def test_an_error_is_raised_when_what_runs_has_ended_and_nothing_new_is_begun() -> None:
    begun: list[int] = []
    both, ended = threading.Barrier(2), threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        both.wait(20)
        if item == 1:
            raise ValueError(item)
        ended.set()

    with pytest.raises(ValueError, match="1"):
        at_once(work, [1, 2], 2)
    assert ended.is_set()
    assert sorted(begun) == [1, 2]
