"""What a syft that goes astray may take of the station."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from appliance import limits
from appliance.outgoing.syft import Scan
from bundles.errors import FailedError
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road
from tests.deltas.conftest import road as road  # noqa: PLC0414  a fixture

MIB = 1024 * 1024


def scan(road: Road, tmp_path: Path, script: str) -> Scan:
    """A scan by a program that does something else."""
    program = tmp_path / "syft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    station = road.outside.station
    reference = Reference.parse(road.make("1", layer=os.urandom(1000)))
    facts = station.metadata.tagged_manifest(reference.repository, reference.tag or "")
    assert facts is not None
    return Scan(station.blobs, station.paths, program, tmp_path / "scan", facts.digest)


def end(scan: Scan) -> str:
    """Why the scan failed."""
    try:
        with pytest.raises(FailedError) as failed:
            all(scan.poll() is None for _ in itertools.count())
        assert str(scan.digest) == failed.value.thing
        return failed.value.what
    finally:
        scan.close()


@pytest.mark.parametrize(
    "script",
    [
        'n=0; while :; do n=$((n+1)); head -c 1000000 /dev/zero > "$TMPDIR/$n"; done',
        'mkdir -p "$TMPDIR/a/b"; while :; do head -c 1000000 /dev/zero >> "$TMPDIR/a/b/c$$" || exit 9; done',
    ],
)
def test_a_scan_that_fills_the_disk_ends_with_one_line_and_leaves_nothing(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(limits, "SBOM_FLOOR", 8 * MIB)
    assert "SBOM could not be made" in end(scan(road, tmp_path, script))
    assert not (tmp_path / "scan").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace takes root here")
def test_a_scan_has_no_network(road: Road, tmp_path: Path) -> None:
    reason = end(scan(road, tmp_path, "wc -l < /proc/net/dev >&2; exit 1"))
    assert reason.endswith("(3)"), "two lines of heading, and the loopback alone"
