"""What people have blocked is carried to no other site."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance import clock
from appliance.store.writes.lifecycle import Block
from bundles.errors import LockgateError, RefusedError
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout


@pytest.mark.parametrize("part", ["manifest", "layer", "config"])
def test_a_bundle_that_would_carry_blocked_content_is_refused(
    outside: Outside, layout: Layout, medium: Path, part: str
) -> None:
    layout.tag("team/app:1", layout.artifact({"a": b"a layer"}))
    outside.collect_layout(layout.folder)
    digest = outside.shows("team/app:1")
    assert digest is not None
    with outside.station.blobs.open_blob(digest) as file:
        manifest = json.load(file)
    blocked = {
        "manifest": str(digest),
        "layer": manifest["layers"][0]["digest"],
        "config": manifest["config"]["digest"],
    }
    outside.writer.submit(Block(digest=blocked[part], why="CVE-2026-1", actor="ada", at=clock.now()))
    with pytest.raises(RefusedError) as refused:
        outside.build(medium, "team/app:1")
    assert refused.value.thing == f"team/app:1: {blocked[part]}"
    assert list(medium.iterdir()) == []


def test_a_build_over_a_blob_that_is_gone_names_whose_it_is(outside: Outside, layout: Layout, medium: Path) -> None:
    layout.tag("team/app:1", layout.artifact({"a": b"a layer"}))
    layout.tag("team/other:1", layout.artifact({"b": b"another layer"}))
    outside.collect_layout(layout.folder)
    digest = outside.shows("team/other:1")
    assert digest is not None
    with outside.station.blobs.open_blob(digest) as file:
        layer = Digest.parse(json.load(file)["layers"][0]["digest"])
    outside.station.blobs.set_aside(layer)
    with pytest.raises(LockgateError) as failed:
        outside.build(medium, "team/app:1", "team/other:1")
    assert failed.value.thing == f"team/other:1: {layer}"
