"""What was heard of a database elsewhere counts for a second, and changes with each commit and new connection."""

from __future__ import annotations

import threading
import time

import pytest

from appliance.limits import store as limits
from appliance.store.heard import Heard, StaleError
from appliance.store.postgres.faults import PostgresError


class Told:
    """An ear that says what a test tells it; `deaf` makes it hang, `broken` lose its connection."""

    def __init__(self) -> None:
        self.state = (1, 1)
        self.deaf, self.broken, self.asked = threading.Event(), threading.Event(), threading.Semaphore(0)

    def ask(self) -> tuple[int, int]:
        if self.broken.is_set():
            raise PostgresError("gone")
        self.asked.release()
        while self.deaf.is_set():
            time.sleep(0.01)
        return self.state

    def wait(self, seconds: float) -> None:
        time.sleep(0.001)

    def close(self) -> None: ...

    def heard(self) -> None:
        """Until whatever was told before is known."""
        for _ in range(3):
            assert self.asked.acquire(timeout=20)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def heard(told: Told) -> Heard:
    return Heard(lambda: told)


def test_a_commit_changes_one_number_and_a_moved_epoch_both(told: Told, heard: Heard) -> None:
    commits, epochs = heard.commits(), heard.epochs()
    told.state = (1, 2)
    told.asked = threading.Semaphore(0)
    told.heard()
    assert (heard.commits() > commits, heard.epochs()) == (True, epochs)
    commits, told.state = heard.commits(), (2, 3)
    told.asked = threading.Semaphore(0)
    told.heard()
    assert heard.commits() > commits
    assert heard.epochs() > epochs


def test_nothing_counts_that_is_older_than_a_second_and_all_is_another_after_it(told: Told, heard: Heard) -> None:
    before = heard.commits(), heard.epochs()
    for trouble in (told.deaf, told.broken):
        trouble.set()
        begun = time.monotonic()
        while True:
            try:
                heard.commits()
            except StaleError:
                break
            assert time.monotonic() - begun < 20 * limits.POSTGRES_HEARD
            time.sleep(0.01)
        with pytest.raises(StaleError):
            heard.epochs()
        trouble.clear()
        told.asked = threading.Semaphore(0)
        told.heard()
    assert heard.commits() > before[0]
    assert heard.epochs() > before[1]


def test_a_server_that_was_never_heard_is_stale_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POSTGRES_CONNECT", 0.05)

    def away() -> Told:
        raise PostgresError("away")

    with pytest.raises(StaleError):
        Heard(away).commits()
