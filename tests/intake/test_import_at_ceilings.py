"""An import of a manifest near its ceilings, as a real job under its limit, stays below the promised memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from bundles import limits
from bundles.io import strict_json
from tests.bundles.small import MemoryStore, file_artifact
from tests.control.test_job_memory import peak
from tests.intake.inside import Inside, carry
from tests.intake.test_hostile_sboms import brought

ARTIFACTS = 50_000


@pytest.mark.long
def test_a_manifest_near_its_ceiling_of_values_is_verified_within_300_mib(tmp_path: Path) -> None:
    """The volumes are still to come, so that what counts is the manifest: the cheapest bundle to make and to send."""
    store = MemoryStore()
    artifacts = [file_artifact(store, b"content %d" % n, repository=f"files/f{n:06}") for n in range(ARTIFACTS)]
    artifacts.sort(key=lambda one: (one.repository, one.digest))
    made = carry(tmp_path / "carried", store, artifacts, volume=1_000_000_000)
    for volume in (made.folder / "volumes").iterdir():
        volume.unlink()
    raw = (made.folder / "manifest.json").read_bytes()
    values, _ = strict_json.measure(raw, nodes=limits.BUNDLE_MANIFEST_NODES, depth=limits.JSON_DEPTH)
    assert values > 0.85 * limits.BUNDLE_MANIFEST_NODES
    with Inside(tmp_path / "bravo") as inside:
        inside.trust(made.key.public)
    job = asyncio.run(brought(tmp_path / "bravo", made.folder))
    assert job.state == "incomplete", job.error
    assert 100 * limits.MIB < peak(StationPaths(tmp_path / "bravo").job_log(job.id)) < 300 * limits.MIB
