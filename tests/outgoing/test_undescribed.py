"""An image that syft cannot describe does not hold its bundle up: it is carried, named, and found inside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.outgoing import build
from bundles.errors import FailedError
from bundles.manifest_codec import decode
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

OCI = "application/vnd.oci.image"


def collected(outside: Outside, layout: Layout) -> tuple[str, str]:
    """An image that holds a file, and one whose only layer is no archive: their names with digest."""
    good = layout.image({"etc/name": b"good"}, "amd64")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b""))]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": layout.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": [layout.blob(os.urandom(4096), f"{OCI}.layer.v1.tar+gzip")],
    }
    bad = layout.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
    layout.tag("team/good:1", good)
    layout.tag("team/bad:1", bad)
    outside.collect_layout(layout.folder)
    return f"team/good@{layout.digest('team/good:1')}", f"team/bad@{layout.digest('team/bad:1')}"


def test_it_is_carried_and_named_before_it_is_signed_and_after(outside: Outside, layout: Layout, medium: Path) -> None:
    good, bad = collected(outside, layout)
    told = []
    context = outside.building(medium, "team/good:1", "team/bad:1")
    context.on_sign = told.append
    result = outside.run(context, build.run)
    assert result["without_sbom"] == told[0]["without_sbom"] == [bad]
    (line,) = [line for line in context.lines if "no SBOM" in line]
    assert bad in line
    assert "could not be made (" in line
    manifest = decode((Path(result["path"]) / "manifest.json").read_bytes())
    assert [entry.subject for entry in manifest.sboms] == [good.partition("@")[2]]
    assert {artifact.repository for artifact in manifest.artifacts} >= {"team/good", "team/bad"}


def test_where_sboms_are_required_nothing_is_signed(outside: Outside, layout: Layout, medium: Path) -> None:
    _, bad = collected(outside, layout)
    with pytest.raises(FailedError) as failed:
        outside.build(medium, "team/good:1", "team/bad:1", require_sbom=True)
    assert failed.value.thing == f"team/bad:1: {bad.partition('@')[2]}"
    assert list(medium.iterdir()) == []
    assert "to-sign" not in outside.bundles().values()


def test_a_bundle_that_was_begun_without_is_not_taken_up_by_an_order_that_requires_them(
    outside: Outside, layout: Layout, medium: Path
) -> None:
    collected(outside, layout)
    first = build.Order.read(outside.order(medium, "team/bad:1"), "alpha")
    assert first != build.Order.read(outside.order(medium, "team/bad:1", require_sbom=True), "alpha")
