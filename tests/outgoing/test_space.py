"""What a plan predicts is what it takes: on the media to the byte or a little less, inside and outside at most."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.outgoing.plan import Plan, make_plan
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road
from tests.deltas.conftest import road as road  # noqa: PLC0414  a fixture

MIB = 1024 * 1024


def planned(road: Road, *references: str) -> Plan:
    station = road.outside.station
    wanted = [Reference.parse(reference) for reference in references]
    return make_plan(closure_of(wanted, StationContent(station.blobs, station.metadata)), MIB, [])


def disk_usage(*folders: Path) -> int:
    """Bytes of all files below."""
    return sum(path.lstat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("layers", [1, 60])
def test_the_peak_that_a_plan_predicts_is_not_exceeded(road: Road, layers: int) -> None:
    reference = road.make("1", **{f"layer{number}": os.urandom(120_000) for number in range(layers)})
    plan = planned(road, reference)
    space = plan.space()
    outside, inside = road.outside.station.paths, road.inside.station.paths
    before = disk_usage(outside.jobs), disk_usage(inside.root)
    folder = road.build(reference)
    assert disk_usage(outside.jobs) - before[0] <= space.outside
    carried = sum(path.stat().st_size for path in folder.glob("volumes/*.7z"))
    assert carried == sum(plan.packing.sizes)
    assert carried <= disk_usage(folder) <= space.media + 64 * 1024
    road.release(folder)
    assert disk_usage(inside.root) - before[1] <= space.inside
