"""What cannot be recorded does not happen: routes and jobs that need an outside station, a road, or certificates."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from appliance.access.certificates import make_ca, make_server
from appliance.advisories.seals import index_key
from appliance.control.api import CONTROL
from appliance.handles.giving import document_of
from appliance.lifecycle import scrub
from appliance.outgoing import build, delta_base, recut
from appliance.outgoing.collect import job as collect
from appliance.scanning import load, scan_job
from appliance.store.reads.advisories import sources
from appliance.store.reads.components import sboms_of
from bundles.documents.statement import read_statement
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.control.test_openapi import serving
from tests.control.test_recorded_first import FullLog, shut, state_of, unwritable
from tests.deltas.conftest import Road
from tests.intake.inside import Inside, make_station
from tests.outgoing.outside import Context, Outside
from tests.peers.stock import Layout
from tests.scanning.exports import image_of, record, zipped

LOGS: dict[str, Callable[[Path], Any]] = {"it says no": lambda _: FullLog(), "its lanes are a file": unwritable}
UNWRITABLE = "the audit log cannot be written"


def broken(context: Context, log: str, root: Path) -> Context:
    """The job, with a log that takes nothing."""
    context.station = replace(context.station, audit=LOGS[log](root / "full"))
    return context


def stored(outside: Outside) -> dict[str, Any]:
    """Every table and file of the station, without what its jobs keep for themselves."""
    tables, files = state_of(outside.root)
    return tables | {name: data for name, data in files.items() if name.startswith(("trust/", "keys/"))}


@pytest.mark.parametrize("log", sorted(LOGS))
def test_nothing_is_collected_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    layout = Layout(tmp_path / "tools")
    layout.tag("1", layout.artifact({"a": b"layer"}))
    with Outside(tmp_path / "alpha") as outside:
        before = stored(outside)
        source = {"kind": "layout", "path": str(layout.folder), "tag": None, "as": None}
        job = outside.context("collect", {"sources": [source]})
        with pytest.raises(FailedError, match=UNWRITABLE):
            collect.run(broken(job, log, tmp_path))
        assert stored(outside) == before
        assert outside.shows("tools:1") is None
        assert outside.collect_layout(layout.folder) != [], "with a log that can be written it is collected"


@pytest.mark.parametrize("log", sorted(LOGS))
def test_no_medium_is_written_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    """The log fills up after the signature was recorded and handed in: the media stay as they are."""
    layout, medium = Layout(tmp_path / "tools"), tmp_path / "medium"
    layout.tag("1", layout.artifact({"a": b"layer"}))
    medium.mkdir()
    with Outside(tmp_path / "alpha") as outside:
        (reference,) = outside.collect_layout(layout.folder)
        job = outside.building(medium, reference)
        with pytest.raises(FailedError, match=UNWRITABLE):
            build.run(broken(job, log, tmp_path))
        assert list(medium.iterdir()) == []
        assert outside.bundles() == {"alpha.bravo-000001": "signed"}, "as job.sign, recorded before, says"
        again = outside.context("build", job.params, job.job_id)
        assert build.run(again)["id"] == "alpha.bravo-000001"
        assert outside.bundles() == {"alpha.bravo-000001": "written"}


@pytest.mark.parametrize("log", sorted(LOGS))
def test_no_medium_is_cut_again_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    layout, medium, fresh = Layout(tmp_path / "tools"), tmp_path / "medium", tmp_path / "fresh"
    layout.tag("1", layout.artifact({"a": b"layer"}))
    medium.mkdir()
    with Outside(tmp_path / "alpha") as outside:
        outside.build(medium, *outside.collect_layout(layout.folder))
        before = stored(outside)
        params = {"id": "alpha.bravo-000001", "media": [1], "out": [str(fresh)]}
        job = outside.context("recut", params)
        with pytest.raises(FailedError, match=UNWRITABLE):
            recut.run(broken(job, log, tmp_path))
        assert list(fresh.iterdir()) == []
        assert stored(outside) == before
        assert recut.run(outside.context("recut", params))["media"] == [str(fresh / "alpha.bravo-000001")]


@pytest.mark.parametrize("log", sorted(LOGS))
def test_no_advisories_are_loaded_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    export = zipped(tmp_path / "all.zip", [record("PYSEC-1")])
    with Outside(tmp_path / "alpha") as outside:
        job = outside.context("advisories", {"path": str(export)})
        with pytest.raises(FailedError, match=UNWRITABLE):
            load.run(broken(job, log, tmp_path))
        assert sources(outside.station.reader) == []
        assert load.run(outside.context("advisories", {"path": str(export)}))["records"] == 1


@pytest.mark.parametrize("log", sorted(LOGS))
def test_no_image_is_scanned_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    layout = Layout(tmp_path / "tools")
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    with Outside(tmp_path / "alpha") as outside:
        (reference,) = outside.collect_layout(layout.folder)
        job = outside.context("scan", {"references": [reference]})
        with pytest.raises(FailedError, match=UNWRITABLE):
            scan_job.run(broken(job, log, tmp_path))
        assert sboms_of(outside.station.reader, index_key(outside.station.paths), described["digest"]) == []


@pytest.mark.parametrize("log", sorted(LOGS))
def test_a_scrub_withdraws_nothing_that_cannot_be_recorded(tmp_path: Path, log: str) -> None:
    layout = Layout(tmp_path / "tools")
    layer = os.urandom(1000)
    layout.tag("1", layout.artifact({"a": layer}))
    with Outside(tmp_path / "alpha") as outside:
        outside.collect_layout(layout.folder)
        rotted = outside.station.paths.blob(Digest.of(layer))
        rotted.chmod(0o600)
        rotted.write_bytes(bytes(1000))
        rows = "SELECT count(*) FROM damage"
        with pytest.raises(FailedError, match=UNWRITABLE):
            scrub.run(broken(outside.context("scrub", {}), log, tmp_path))
        assert rotted.exists()
        assert outside.station.reader.execute(rows).fetchone() == (0,)
        scrub.run(outside.context("scrub", {}))
        assert not rotted.exists()
        assert outside.station.reader.execute(rows).fetchone() == (1,)


@pytest.mark.parametrize("log", sorted(LOGS))
@pytest.mark.parametrize("by", ["the route", "a build"])
def test_a_receipt_that_cannot_be_recorded_is_not_taken(tmp_path: Path, log: str, by: str) -> None:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo") as inside:
        road = Road(tmp_path, outside, inside)
        road.release(road.build(road.make("1", a=b"layer")))
        receipt = road.receipt()
        told = read_statement(receipt)
        full, before = replace(outside.station, audit=LOGS[log](tmp_path / "full")), stored(outside)
        taking: dict[str, Callable[[], object]] = {
            "the route": lambda: delta_base.take_files(full, told, "tester(0)"),
            "a build": lambda: delta_base.take(full, "alpha.bravo", str(receipt), told, "tester(0)"),
        }
        with pytest.raises(FailedError, match=UNWRITABLE):
            taking[by]()
        assert stored(outside) == before
        assert delta_base.take_files(outside.station, told, "tester(0)").new


def test_a_receipt_that_is_posted_is_not_taken_where_it_cannot_be_recorded(tmp_path: Path) -> None:
    root = tmp_path / "alpha"
    with Outside(root) as outside, Inside(tmp_path / "bravo") as inside:
        road = Road(tmp_path, outside, inside)
        road.release(road.build(road.make("1", a=b"layer")))
        body = {"statement": document_of(road.receipt())}
    with serving(root) as (url, app):
        control, before = app[CONTROL], state_of(root)
        working = control.station
        with shut(root) as log:
            control.station = replace(working, audit=log)
            answer = requests.post(f"{url}/v1/receipts", json=body, timeout=30)
            assert answer.status_code == 409, answer.text
            assert answer.json()["what"].startswith(UNWRITABLE)
            assert state_of(root) == before
        control.station = working
        answer = requests.post(f"{url}/v1/receipts", json=body, timeout=30)
        assert (answer.status_code, answer.json()["new"]) == (200, True)
        assert state_of(root) != before


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "tools")
    layout.tag("1", layout.artifact({"a": b"layer"}))
    with Outside(tmp_path / "alpha") as outside:
        (reference,) = outside.collect_layout(layout.folder)
    with serving(tmp_path / "alpha") as (url, app):
        before = state_of(tmp_path / "alpha")
        app[CONTROL].station = replace(app[CONTROL].station, audit=FullLog())
        body = {"to": "bravo", "references": [reference], "volume": "1MiB"}
        answer = requests.post(f"{url}/v1/plans", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        assert state_of(tmp_path / "alpha") == before


def test_a_question_for_registries_changes_nothing(tmp_path: Path) -> None:
    make_station(tmp_path / "bravo", open_=False)
    with serving(tmp_path / "bravo") as (url, app):
        before = state_of(tmp_path / "bravo")
        app[CONTROL].station = replace(app[CONTROL].station, audit=FullLog())
        answer = requests.post(f"{url}/v1/upstreams", json={"references": ["registry.example/team/app:1"]}, timeout=30)
        assert answer.json()["items"] == [{"host": "registry.example", "repository": "team/app"}]
        assert state_of(tmp_path / "bravo") == before


def test_a_probe_changes_nothing(tmp_path: Path) -> None:
    make_station(tmp_path / "bravo", open_=True)
    with serving(tmp_path / "bravo") as (url, app):
        before = state_of(tmp_path / "bravo")
        app[CONTROL].station = replace(app[CONTROL].station, audit=FullLog())
        answer = requests.post(f"{url}/v1/probe", json={"image": "base/canary:1"}, timeout=30)
        assert (answer.status_code, answer.json()["thing"]) == (404, "base/canary:1")
        assert requests.post(f"{url}/v1/probe", json={}, timeout=30).status_code == 400
        assert state_of(tmp_path / "bravo") == before


def test_a_certificate_is_not_loaded_where_it_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, signals = tmp_path / "bravo", []
    make_station(root, open_=False)
    with serving(root) as (url, app):
        control = app[CONTROL]
        make_ca(control.station.paths, "bravo")
        make_server(control.station.paths, ["localhost"])
        monkeypatch.setattr("appliance.control.routes.tls.os.kill", lambda *sent: signals.append(sent))
        working = control.station
        control.station = replace(working, audit=FullLog())
        answer = requests.post(f"{url}/v1/tls/reload", json={}, timeout=30)
        assert (answer.status_code, answer.json()["what"]) == (409, UNWRITABLE)
        assert signals == []
        control.station = working
        assert requests.post(f"{url}/v1/tls/reload", json={}, timeout=30).status_code == 200
        assert len(signals) == 1
