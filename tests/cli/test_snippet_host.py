"""`trust snippet` on a station: which host it names, and what it refuses."""

from __future__ import annotations

from pathlib import Path

from appliance.paths import StationPaths
from appliance.station import note_listening, station_lock
from tests.cli.conftest import Run


def test_a_station_that_listens_on_loopback_says_that_no_node_reaches_it(run: Run, station: Path) -> None:
    ended = run("trust", "snippet", "containerd", "-C", station)
    assert (ended.status, "no other machine reaches 127.0.0.1:5000" in ended.err) == (0, True)
    refused = run("trust", "snippet", "containerd", "--host", "elsewhere.example", "-C", station)
    assert (refused.status, refused.out) == (2, "")
    document = run("trust", "snippet", "k3s", "--mirror", "docker.io", "--json", "-C", station).document
    assert document["shared"] == ["/etc/rancher/k3s/registries.yaml"]
    assert document["text"].startswith("#!/bin/sh\n")


def test_names_that_a_new_certificate_lacks_are_said(run: Run, station: Path) -> None:
    before = run("tls", "renew", "--json", "-C", station).document
    assert before["dropped"] == []
    renewed = run("tls", "renew", "--name", "registry.example", "--json", "-C", station).document
    assert (renewed["names"], renewed["dropped"]) == (["registry.example"], before["names"])


def test_the_port_is_the_running_stations_and_not_config_tomls(run: Run, station: Path) -> None:
    """`serve --listen` and port 0 are in no file that the site writes."""
    paths = StationPaths(station)
    with station_lock(paths):
        note_listening(paths, "0.0.0.0:5443")
        ended = run("trust", "snippet", "podman", "--json", "-C", station)
        assert ended.document["host"].endswith(":5443")
        assert "0.0.0.0:5443 now, and not at config.toml's 127.0.0.1:5000" in ended.err
        assert "no other machine" not in ended.err
        given = run("trust", "snippet", "podman", "--host", "localhost:443", "--json", "-C", station).document
        assert given["host"] == "localhost:443"
    paths.lock.write_text("")  # as the next start leaves it before it listens
    assert run("trust", "snippet", "podman", "--json", "-C", station).document["host"].endswith(":5000")


def test_a_port_that_only_a_start_chooses_is_asked_for(run: Run, station: Path) -> None:
    config = station / "config.toml"
    config.write_text(config.read_text().replace("127.0.0.1:5000", "127.0.0.1:0"))
    refused = run("trust", "snippet", "podman", "-C", station)
    assert (refused.status, refused.out, "--host HOST:PORT" in refused.err) == (2, "", True)
    given = run("trust", "snippet", "podman", "--host", "localhost:443", "--json", "-C", station)
    assert given.document["host"] == "localhost:443"
