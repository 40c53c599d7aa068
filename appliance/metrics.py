"""Metrics in Prometheus' text format: what the processes counted (appliance.measures), and the station's state when it
is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from appliance.measures.series import Family
from appliance.measures.slots import Slots

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Gauges = Mapping[str, tuple[str, Mapping[tuple[tuple[str, str], ...], float]]]
"""Name -> (help, labels -> value)."""


def render(gauges: Gauges, slots: Slots) -> bytes:
    """Everything, as the text that monitoring reads. Blocking: it reads the counters' files."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily

    class _State:
        def collect(self) -> Iterator[Any]:
            for name, (text, values) in gauges.items():
                labels = next(iter(values), ())
                family = GaugeMetricFamily(name, text, labels=[key for key, _ in labels])
                for found, value in values.items():
                    family.add_metric([label for _, label in found], value)
                yield family
            totals = slots.totals()
            for family, series in itertools.groupby(slots.layout.series(), key=lambda one: one[0]):
                yield _counted(family, {values: totals[at : at + family.width] for _, values, at in series})

    registry = CollectorRegistry()
    registry.register(_State())
    return generate_latest(registry)


def _counted(family: Family, series: Mapping[tuple[str, ...], list[float]]) -> Any:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    if not family.bounds:
        counter = CounterMetricFamily(family.name, family.text, labels=family.labels)
        for values, cells in series.items():
            counter.add_metric(values, cells[0])
        return counter
    histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    ends = [*(str(float(bound)) for bound in family.bounds), "+Inf"]
    for values, cells in series.items():
        rising = itertools.accumulate(cells[:-1])
        histogram.add_metric(values, [(end, count) for end, count in zip(ends, rising, strict=True)], cells[-1])
    return histogram
