"""Which traces are recorded: a share of them, and those that a known client records too, up to a rate."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from appliance.limits import station as limits
from appliance.paths import StationPaths
from appliance.settings.station import Config
from appliance.store.reserve import Reserve
from appliance.tracing.context import TraceContext
from appliance.tracing.files import SpanFiles
from appliance.tracing.spans import Resource, Span


class Tracer:
    """One process's. For one thread at a time."""

    def __init__(
        self, share: float, files: SpanFiles, count: Callable[[str, int], object] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`share` is above 0 and at most 1. `count` is told what became of spans."""
        self._share, self._files, self._count, self._clock = share, files, count, clock
        self._second, self._left = -1, 0

    def picks(self, sent: TraceContext | None, *, known: bool) -> bool:
        """Whether a request is recorded that was sent with that place in a trace. What a client asks for counts where
        it is `known` (it has logged in): what anybody sends must not decide what is on the disk."""
        if sent is None:
            return random.random() < self._share  # noqa: S311  no secret is made of it
        return (sent.sampled and known) or sent.is_among(self._share)

    def take(self, spans: Sequence[Span]) -> None:
        """Have the spans of a request or a job written; of too many within a second the rest are dropped."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._left = second, limits.TRACES_A_SECOND
        taken = self._left > 0 and self._files.take(spans)
        self._left -= 1
        self._count("taken" if taken else "dropped", len(spans))

    def close(self) -> None:
        """Write what waits. Blocking, for two seconds at most."""
        self._files.close()


def tracer_of(
    config: Config, paths: StationPaths, slot: str, count: Callable[[str, int], object] = lambda *_: None
) -> Tracer | None:
    """Of a process of a station, by its slot (`control`, `worker-1`); None where the site wants no spans. `count` is
    told what became of spans: `taken`, `dropped`, and by another thread `unwritten`."""
    settings = config.traces
    if settings.percent <= 0:
        return None
    resource = Resource(config.site, slot, version("lockgate"))
    most = settings.megabytes * 1_000_000 // (config.workers + 1)
    reserve = Reserve(paths.reserve)
    files = SpanFiles(paths.traces, resource, most, reserve, lambda lost: count("unwritten", lost))
    return Tracer(settings.percent / 100, files, count)
