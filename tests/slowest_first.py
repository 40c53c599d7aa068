"""The order of a run on several workers: the slowest modules begin first, so that all workers end together.

`--dist worksteal` of pytest-xdist gives each worker a run of tests that follow one another, and whoever is idle takes
the end of the longest run that is left. A test of a minute that stands at an end is begun when the others are through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

SLOWEST: Final = (
    "tests/console/test_tmux_main_job.py",
    "tests/main_job/test_debian_image.py",
    "tests/console/test_plain.py",
    "tests/console/test_random_keys.py",
    "tests/release/test_standing.py",
    "tests/replication/test_two_stations.py",
    "tests/demo/test_demo.py",
    "tests/scanning/test_push_scans.py",
    "tests/observe/test_reserve.py",
    "tests/caching/test_misses.py",
    "tests/intake/test_release_many.py",
    "tests/faults/test_database_put_back.py",
    "tests/release/test_both_sides.py",
    "tests/sftp/test_drop_folder.py",
    "tests/sftp/test_station_killed.py",
    "tests/lifecycle/test_put_back.py",
    "tests/docs/test_howtos.py",
    "tests/control/test_openapi.py",
    "tests/main_job/test_tour.py",
    "tests/faults/test_full_station.py",
    "tests/access/test_logins.py",
)
"""Modules with a test of more than 15 seconds on a quiet machine, the slowest first: `pytest --durations=60`."""


def slowest_first(items: Sequence[T], workers: int, module_of: Callable[[T], str]) -> list[T]:
    """The same items in an order for so many workers: dealt out at the head of each one's run are the modules of
    SLOWEST, behind them all others as they stood."""
    slow: dict[str, list[T]] = {name: [] for name in SLOWEST}
    others: list[T] = []
    for item in items:
        slow.get(module_of(item), others).append(item)
    heads: list[list[T]] = [[] for _ in range(workers)]
    for place, module in enumerate(found for found in slow.values() if found):
        heads[place % workers] += module
    ordered: list[T] = []
    for place, head in enumerate(heads):
        size = (len(items) - len(ordered)) // (workers - place)  # as the scheduler divides them
        behind = max(size - len(head), 0) if place < workers - 1 else len(others)
        ordered += head + others[:behind]
        others = others[behind:]
    return ordered
