"""docs/reference/metrics.md names what a live station shows and no more; a worker's death loses no count."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.local_socket import ShortPath
from appliance.paths import StationPaths
from tests.conformance.shapes import image
from tests.faults.test_full_station import children_of
from tests.observe.counted import parse
from tests.registry_server import Client
from tests.stage import Station

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/metrics.md"
_ROW = re.compile(r"^\| ((?:`lockgate_\w+`(?:, )?)+) \|([^|]*)\| (counter|gauge|histogram) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with Station(tmp_path_factory.mktemp("metrics") / "alpha", "alpha", "outside") as started:
        yield started


def exposition(station: Station) -> str:
    """GET /v1/metrics on the control socket."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    with ShortPath(StationPaths(station.folder).control_socket) as path, socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        connection.sock = link
        connection.request("GET", "/v1/metrics")
        return connection.getresponse().read().decode()


def on_page() -> dict[str, tuple[str, set[str]]]:
    """By name: the kind and the labels that the page says."""
    found = {}
    for names, labels, kind in _ROW.findall(PAGE.read_text()):
        for name in re.findall(r"`(\w+)`", names):
            found[name] = (kind, set(re.findall(r"\w+", re.sub(r"\([^)]*\)", "", labels))))
    return found


def test_the_page_says_what_a_station_shows(station: Station) -> None:
    shown: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(exposition(station)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert family.documentation, name
        shown[name] = (family.type, labels)
    page = on_page()
    assert set(shown) == set(page)
    for name, (kind, labels) in shown.items():
        assert (kind, labels) == page[name] or (kind == page[name][0] and not labels), name


def test_a_worker_that_dies_loses_no_count_and_leaves_no_file(station: Station) -> None:
    client = Client(int(station.base.rpartition(":")[2]))
    image().push(client, "team/app", "v1")
    name = 'lockgate_pulls_total{kind="manifest",reason="ok",result="good",slo="all"}'
    slots = {"control", "worker-1", "worker-2"}
    counted = 0.0
    for _ in range(2):
        assert client.ask("GET", "/v2/team/app/manifests/v1").status == 200
        counted += 1
        workers = children_of(station)[1:]
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        while len(found := children_of(station)) < 3 or set(found) & set(workers):
            time.sleep(0.01)  # the suite's own limit ends a test that waits for ever
        assert parse(exposition(station))[name] == counted
    assert {path.name for path in StationPaths(station.folder).metrics.iterdir()} <= slots
