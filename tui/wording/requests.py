"""What the registry answers just now, of all workers, as rows and as a histogram. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from appliance.api.audit import Event
from appliance.api.live import LIVE_TOOK, Live, LiveCount
from bundles.io.display import safe
from tui.terminal.look import Look
from tui.terminal.texts import number
from tui.widgets.rows import Span

_BAR: Final = 24


def repositories_of(live: Live) -> list[LiveCount]:
    """By repository, of all workers, the most asked first."""
    return _added(one for worker in live.heard for one in worker.repositories)


def accounts_of(live: Live) -> list[LiveCount]:
    """The same by account; who has none stands by address."""
    return _added(one for worker in live.heard for one in worker.accounts)


def counted_title(live: Live) -> str:
    """Since when requests are counted, and whether every worker told."""
    seconds = max((worker.seconds for worker in live.heard), default=0.0)
    under_way = sum(worker.under_way for worker in live.heard)
    told = f"{seconds:.0f} s, {under_way} under way"
    answered = len(live.heard)
    return told if answered >= live.workers else f"{told}, {answered} of {live.workers} workers"


def within(one: LiveCount, share: float) -> str:
    """The bound below which `share` of the answers stayed: `20 ms`, `over 2 s`; `-` where none was timed."""
    total, seen = sum(one.took), 0
    if not total:
        return "-"
    for at, amount in enumerate(one.took):
        seen += amount
        if seen >= share * total:
            return bound(at)
    return bound(len(one.took))


def bound(at: int) -> str:
    """A bucket's upper bound."""
    if at >= len(LIVE_TOOK):
        return f"over {_time(LIVE_TOOK[-1])}"
    return _time(LIVE_TOOK[at])


def histogram(look: Look, one: LiveCount) -> list[list[Span]]:
    """How long answers took: a line for each bucket."""
    total = sum(one.took)
    width = max(len(bound(at)) for at in range(len(LIVE_TOOK) + 1))
    return [
        [(f"{bound(at):>{width}} ", "plain"), (look.bar(amount, max(total, 1), _BAR), "plain"),
         (f" {number(amount)}", "plain")]
        for at, amount in enumerate(one.took)
    ]  # fmt: skip


def event_lines(events: Sequence[Event]) -> list[list[Span]]:
    """Events, a line each."""
    lines: list[list[Span]] = [
        [(f"{safe(one.time[11:19])} ", "name"), (safe(f"{one.act} {one.thing} by {one.actor}, {one.outcome}"), "plain")]
        for one in events
    ]
    return lines or [[("none", "plain")]]


def _added(counts: Iterable[LiveCount]) -> list[LiveCount]:
    found: dict[str, LiveCount] = {}
    for one in counts:
        found[one.name] = _sum(found[one.name], one) if one.name in found else one
    return sorted(found.values(), key=lambda one: (-one.requests, one.name))


def _sum(one: LiveCount, other: LiveCount) -> LiveCount:
    took = tuple(map(sum, zip_longest(one.took, other.took, fillvalue=0)))
    return LiveCount(
        name=one.name, requests=one.requests + other.requests, failed=one.failed + other.failed,
        bytes=one.bytes + other.bytes, took=took,
    )  # fmt: skip


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:g} s"
