"""A plan of a great many blobs is exact: each is placed once, and no medium is over. For the time: make bench-media."""

from __future__ import annotations

import pytest

from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.outgoing.plan import make_plan
from bundles.oci.reference import Reference
from tests.outgoing.many import fill
from tests.outgoing.outside import Outside


@pytest.mark.parametrize("artifacts", [40, pytest.param(2_000, marks=pytest.mark.long)])
def test_every_blob_of_a_great_plan_is_placed_once_on_media_that_are_filled(outside: Outside, artifacts: int) -> None:
    references = [Reference.parse(name) for name in fill(outside.station, artifacts, 49)]
    closure = closure_of(references, StationContent(outside.station.blobs, outside.station.metadata))
    assert len(closure.content.blobs) == artifacts * 50 + 1
    medium = closure.content.size // 3
    plan = make_plan(closure, 1_000_000_000, [medium] * 4)
    whole = {str(digest): size for digest, size in closure.content.blobs}
    for pieces in plan.packing.volumes:
        for piece in pieces:
            whole[str(piece.digest)] -= piece.length
    assert set(whole.values()) == {0}
    assert max(plan.packing.sizes) <= 1_000_000_000
    for number in range(1, 5):
        held = sum(size for size, on in zip(plan.packing.sizes, plan.packing.media, strict=True) if on == number)
        assert held <= medium
        assert held >= 0.95 * medium or number == plan.packing.media[-1]
