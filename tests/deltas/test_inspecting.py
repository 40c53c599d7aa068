"""A delta's inspection takes the time of what is new: a layer that was looked through is not read for it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest

from appliance.intake.inspectors import layers
from appliance.intake.ledger import find_entry, report_text
from bundles.documents import Report, decode
from bundles.oci.kinds import CYCLONEDX
from tests.deltas.conftest import Road
from tests.peers.stock import OCI, Layout

BASE = {"usr/share/base": os.urandom(50_000)}


def image(road: Road, tag: str, files: Mapping[str, bytes]) -> str:
    """An image over the base, with an SBOM beside it so that no scanner is in the way."""
    layout = Layout(road.root / f"image-{tag}" / "app")
    described = layout.image({**BASE, **files}, "amd64")
    sbom = {
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "artifactType": CYCLONEDX,
        "config": layout.blob(b"{}", f"{OCI}.empty.v1+json"), "layers": [layout.blob(b"{}", CYCLONEDX)],
        "subject": {name: described[name] for name in ("mediaType", "digest", "size")},
    }  # fmt: skip
    layout.tag(tag, described)
    layout.tag(f"{tag}.sbom", layout.blob(_json(sbom), f"{OCI}.manifest.v1+json"))
    return next(name for name in road.outside.collect_layout(layout.folder) if name.endswith(f":{tag}"))


def _json(document: Any) -> bytes:
    from bundles.strict_json import canonical

    return canonical(document)


def section(road: Road, name: str) -> tuple[str, dict[str, Any]]:
    report = report_text(road.inside.station.reader, find_entry(road.inside.station.reader, name).digest)
    assert report is not None
    found = next(one for one in decode(report.encode(), Report).sections if one.inspector == "layers")
    return found.outcome, found.details


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers that are read, in order."""
    seen: list[str] = []
    stream = layers._Stream

    def noted(subject: Any, layer: Any, deadline: float) -> Any:
        seen.append(str(layer.digest))
        return stream(subject, layer, deadline)

    monkeypatch.setattr(layers, "_Stream", noted)
    return seen


def test_only_the_layer_that_changed_is_looked_through_and_the_report_has_all(road: Road, read: list[str]) -> None:
    road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    assert len(read) == 2
    read.clear()
    name = road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert len(read) == 1
    outcome, details = section(road, name)
    assert (outcome, details["layers"], details["entries"]) == ("ok", 2, 2)


def test_what_an_older_way_of_looking_found_does_not_count(
    road: Road, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    read.clear()
    monkeypatch.setattr("appliance.intake.inspectors.notebook.LOOK", 2)
    road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert len(read) == 2


def test_a_layer_that_could_not_be_looked_through_is_tried_again(
    road: Road, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("appliance.limits.LAYERS_TIME", -1.0)
        name = road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    assert section(road, name)[0] == "fail"
    read.clear()
    later = road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert len(read) == 2
    assert section(road, later)[0] == "ok"
