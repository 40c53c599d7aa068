"""What a worker counted, by the names that monitoring reads, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from appliance.measures.catalogue import layout
from appliance.measures.objectives import Objectives
from appliance.measures.slots import Slots
from appliance.metrics import render
from appliance.registry.measuring import RegistryMeasures

Numbers = Mapping[str, float]
"""By `name{label="value",…}`, labels sorted."""


def parse(text: str) -> dict[str, float]:
    """Every sample of an exposition."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class Counted:
    """A worker's measures, and by how much they moved since the last look."""

    def __init__(self, *patterns: tuple[str, tuple[str, ...]]) -> None:
        objectives = Objectives(patterns) if patterns else Objectives()
        self.slots = Slots(layout(objectives.names))
        self.measures = RegistryMeasures(self.slots.open("worker-1"), objectives)
        self._before = self.now()

    def now(self) -> dict[str, float]:
        return parse(render({}, self.slots).decode())

    def moved(self) -> dict[str, float]:
        """Buckets and sums of seconds left out."""
        before, self._before = self._before, self.now()
        return {
            name: value - before[name]
            for name, value in self._before.items()
            if value != before[name] and "_bucket{" not in name and "_seconds_sum" not in name
        }
