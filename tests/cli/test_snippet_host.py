"""`trust snippet` on a station: which host it names, and what it refuses."""

from __future__ import annotations

from pathlib import Path

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
