"""An image that syft cannot describe does not hold its bundle up: it is carried, named, and found inside."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from appliance.api.jobs import ToSign
from appliance.outgoing import build
from appliance.outgoing.sbom.make import _faulty_layer
from bundles.errors import FailedError
from bundles.format.manifest_codec import decode
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tui.decisions.signing import describe

OCI = "application/vnd.oci.image"
NO_ARCHIVE = random.Random(8).randbytes(4096)
LAYER = str(Digest.of(NO_ARCHIVE))


def collected(outside: Outside, layout: Layout) -> tuple[str, str]:
    """An image that holds a file, and one whose only layer is no archive: their names with digest."""
    good = layout.image({"etc/name": b"good"}, "amd64")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b""))]}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": layout.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": [layout.blob(NO_ARCHIVE, f"{OCI}.layer.v1.tar+gzip")],
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
    (said,) = result["undescribed"]
    assert said == told[0]["undescribed"][0]
    assert said.startswith(f"{bad}: layer {LAYER} (")
    assert "could not be made (" in said
    shown = describe(ToSign(describe=told[0]))
    assert LAYER in shown
    assert "could not be made (" in shown
    assert shown.count("No SBOM") == 1
    manifest = decode((Path(result["path"]) / "manifest.json").read_bytes())
    assert [entry.subject for entry in manifest.sboms] == [good.partition("@")[2]]
    assert {artifact.repository for artifact in manifest.artifacts} >= {"team/good", "team/bad"}


def test_where_sboms_are_required_nothing_is_signed(outside: Outside, layout: Layout, medium: Path) -> None:
    _, bad = collected(outside, layout)
    with pytest.raises(FailedError) as failed:
        outside.build(medium, "team/good:1", "team/bad:1", require_sbom=True)
    assert failed.value.thing == f"team/bad:1: {bad.partition('@')[2]}"
    assert LAYER in failed.value.what
    assert list(medium.iterdir()) == []
    assert "to-sign" not in outside.bundles().values()


def test_a_bundle_that_was_begun_without_is_not_taken_up_by_an_order_that_requires_them(
    outside: Outside, layout: Layout, medium: Path
) -> None:
    collected(outside, layout)
    first = build.BuildOrder.read(outside.order(medium, "team/bad:1"), "alpha")
    assert first != build.BuildOrder.read(outside.order(medium, "team/bad:1", require_sbom=True), "alpha")


@pytest.mark.parametrize(
    ("layer", "config", "named"),
    [
        (NO_ARCHIVE, b"{}", "layer"),
        (gzip.compress(random.Random(1).randbytes(9000))[:5000], b"{}", "layer"),
        (NO_ARCHIVE[:512], b"no JSON", "config"),
        (NO_ARCHIVE[:512], b"[1, 2]", "config"),
    ],
    ids=["no archive", "truncated gzip", "a configuration that is not JSON", "one that is no object"],
)
def test_the_layer_or_configuration_at_fault_is_named(
    outside: Outside, layout: Layout, layer: bytes, config: bytes, named: str
) -> None:
    blobs = {"config": layout.blob(config, f"{OCI}.config.v1+json"), "layer": layout.blob(layer, f"{OCI}.layer.v1.tar")}
    fields = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": blobs["config"]}
    described = layout.blob(json.dumps(fields | {"layers": [blobs["layer"]]}).encode(), f"{OCI}.manifest.v1+json")
    layout.tag("team/bad:1", described)
    outside.collect_layout(layout.folder)
    assert _faulty_layer(outside.station, Digest.parse(described["digest"])).startswith(f"{blobs[named]['digest']} (")


def test_an_image_that_is_as_it_should_be_has_no_layer_at_fault(outside: Outside, layout: Layout) -> None:
    layout.tag("team/good:1", layout.image({"etc/name": b"good"}, "amd64"))
    outside.collect_layout(layout.folder)
    assert _faulty_layer(outside.station, Digest.parse(layout.digest("team/good:1"))) == ""
