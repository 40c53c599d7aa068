"""Requests: counts of all workers, and how long answers take; on a real station by test_more_period."""

from __future__ import annotations

from appliance.api.live import LIVE_TOOK, Live, LiveCount, WorkerLive
from appliance.registry.live import Live as Counting
from tests.observe.test_top import seen
from tui.terminal.look import Look
from tui.wording.requests import accounts_of, bound, counted_title, histogram, within


def counted(name: str, requests: int, *took: int) -> LiveCount:
    return LiveCount(name=name, requests=requests, failed=0, bytes=1, took=took)


def look(*accounts: tuple[LiveCount, ...], workers: int = 2) -> Live:
    heard = tuple(
        WorkerLive(worker=number, at="", seconds=3.0, under_way=1, requests=(), accounts=each, repositories=(),
                   reasons=())
        for number, each in enumerate(accounts, 1)
    )  # fmt: skip
    return Live(at="", workers=workers, heard=heard)


def test_the_workers_counts_are_added() -> None:
    found = accounts_of(look((counted("a", 2, 1, 1), counted("b", 9, 9, 0)), (counted("a", 8, 0, 8),)))
    assert [(one.name, one.requests, one.took) for one in found] == [("a", 10, (1, 9)), ("b", 9, (9, 0))]
    assert counted_title(look((), workers=2)).endswith("1 of 2 workers")
    assert counted_title(look((), ())) == "3 s, 2 under way"


def test_a_share_of_answers_stays_within_a_bound() -> None:
    one = counted("a", 100, 50, 48, 0, 0, 0, 2)
    assert (within(one, 0.5), within(one, 0.98), within(one, 0.99)) == ("5 ms", "20 ms", "over 2 s")
    assert within(counted("a", 0), 0.5) == "-"
    assert len(histogram(Look(), one)) == len(LIVE_TOOK) + 1
    assert [bound(at) for at in (2, 4)] == ["100 ms", "2 s"]


def test_a_worker_counts_how_long_an_answer_took() -> None:
    counting = Counting(1)
    counting.ended(seen())  # from 0 to 1 s
    (told,) = counting.told().accounts
    assert told.took == (0, 0, 0, 0, 1, 0)
