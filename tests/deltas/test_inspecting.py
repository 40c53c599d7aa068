"""A delta's inspection takes the time of what is new: a layer that was looked through is not read for it again."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any, BinaryIO

import pytest

from appliance.intake.inspectors import layer_cache, layers
from appliance.store.reads.intake import find_entry, report_text
from bundles.documents.signed import Report, decode
from bundles.errors import FailedError
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
    from bundles.io.strict_json import canonical

    return canonical(document)


def section(road: Road, name: str) -> tuple[str, dict[str, Any]]:
    report = report_text(road.inside.station.reader, find_entry(road.inside.station.reader, name).digest)
    assert report is not None
    found = next(one for one in decode(report.encode(), Report).sections if one.inspector == "layers")
    return found.outcome, found.details


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each blob was found to be that is no document, in the order in which they were read."""
    seen: list[str] = []
    look = layers.look

    def noted(file: BinaryIO, size: int, deadline: float) -> Any:
        looked = look(file, size, deadline)
        if looked.content != "text":
            seen.append(looked.content)
        return looked

    monkeypatch.setattr(layers, "look", noted)
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
    monkeypatch.setattr("appliance.intake.inspectors.layer_cache.LOOK", 1_000)
    road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert len(read) == 2


def test_a_layer_that_could_not_be_looked_through_is_tried_again(
    road: Road, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("appliance.limits.archives.LAYERS_TIME", -1.0)
        name = road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    assert section(road, name)[0] == "fail"
    read.clear()
    later = road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert len(read) == 2
    assert section(road, later)[0] == "ok"


def forged(road: Road, change: str, *values: Any) -> None:
    """Change every cached finding, as somebody with the database would."""
    database = sqlite3.connect(road.inside.station.paths.database)
    with database:
        assert database.execute(f"UPDATE layers_inspected SET {change}", values).rowcount >= 2
    database.close()


ROSY = json.dumps({"content": "archive", "entries": 7, "found": {}})


@pytest.mark.parametrize("change", ["found = ?", "found = ?, mac = ''", "mac = '' || mac, found = ? || ' '"])
def test_a_cached_finding_that_was_changed_by_hand_does_not_count(road: Road, read: list[str], change: str) -> None:
    files = {"opt/app": b"first", "/etc/cron.d/x": b"x"}
    name = road.release(road.build(image(road, "one", files)))
    assert [entry["path"] for entry in section(road, name)[1]["absolute"]] == ["/etc/cron.d/x"]
    forged(road, change, ROSY)
    read.clear()
    later = road.bring(road.build(image(road, "two", files | {"opt/new": b"second"}), since="last"))
    assert (read, section(road, later)[1]["layers"]) == (["archive"] * 4, 4)
    assert [entry["path"] for entry in section(road, later)[1]["absolute"]] == ["/etc/cron.d/x"]


def test_a_cached_finding_of_another_blob_does_not_count(road: Road, read: list[str]) -> None:
    road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    database = sqlite3.connect(road.inside.station.paths.database)
    rows = database.execute("SELECT digest, found, mac FROM layers_inspected ORDER BY digest").fetchall()
    with database:
        for (digest, _, _), (_, found, mac) in zip(rows, rows[1:] + rows[:1], strict=True):
            database.execute("UPDATE layers_inspected SET found = ?, mac = ? WHERE digest = ?", (found, mac, digest))
    database.close()
    read.clear()
    road.bring(road.build(image(road, "two", {"opt/app": b"second"}), since="last"))
    assert read == ["archive", "archive"]


def test_the_key_of_cached_findings_is_a_file_of_the_stations_own(road: Road) -> None:
    road.release(road.build(image(road, "one", {"opt/app": b"first"})))
    key = road.inside.station.paths.findings_key
    assert (len(key.read_bytes()), key.stat().st_mode & 0o777) == (32, 0o600)
    assert layer_cache.findings_key(key) == key.read_bytes()
    key.write_bytes(b"short")
    with pytest.raises(FailedError, match="damaged"):
        layer_cache.findings_key(key)
