"""A large artifact crosses in bounded memory, and no byte of it is written twice: measured at the jobs' processes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.tour.pull import pull
from bundles.limits import MIB
from bundles.oci.reference import Reference
from tests.main_job.gap import Gap, random_file
from tests.meter import JobMeter, require_disk

MEMORY = 300 * MIB
WRITTEN = 1.05


@pytest.fixture
def gap(tmp_path: Path) -> Iterator[Gap]:
    with Gap(tmp_path) as gap:
        yield gap


@pytest.mark.parametrize("mebibytes", [64, pytest.param(4096, marks=pytest.mark.long)])
def test_memory_is_bounded_and_each_byte_is_written_once(gap: Gap, mebibytes: int) -> None:
    require_disk(gap.root)
    artifact = random_file(gap.root / "artifact.bin", mebibytes * MIB)
    gap.collect_file(artifact, "files/large:1")
    artifact.unlink()
    medium = gap.root / "medium"
    with JobMeter(gap.alpha.folder) as building:
        gap.build("files/large:1", out=[medium], options=("--volume", f"{mebibytes // 3}MiB"))
    size = sum(path.stat().st_size for path in medium.rglob("*") if path.is_file())
    assert size > mebibytes * MIB
    assert 0 < building.peak_memory <= MEMORY
    assert size <= building.written <= size * WRITTEN + MIB
    with JobMeter(gap.bravo.folder) as importing:
        name = gap.bravo.run("intake", "import", medium).last_line
    assert 0 < importing.peak_memory <= MEMORY
    assert size * 0.99 <= importing.written <= size * WRITTEN + MIB
    gap.bravo.run("intake", "approve", name, "--key", "officer")
    gap.bravo.run("intake", "release", name)
    reference = Reference.parse("files/large:1")
    assert pull(gap.bravo.base, reference) == pull(gap.alpha.base, reference)


def test_a_blob_larger_than_a_volume_is_joined_with_cat_as_readme_txt_says(gap: Gap) -> None:
    artifact = random_file(gap.root / "artifact.bin", 5 * MIB)
    gap.collect_file(artifact, "files/large:1")
    bundle = Path(gap.build("files/large:1", out=[gap.root / "medium"], options=("--volume", "2MiB")).last_line)
    stored = [entry for entry in gap.alpha.folder.rglob("blobs/sha256/*") if entry.stat().st_size == 5 * MIB]
    (blob,) = stored
    assert "cat " in (bundle / "README.txt").read_text()
    unpacked = gap.root / "unpacked"
    gap.bravo.run("bundle", "unpack", bundle, "--to", unpacked)
    found = subprocess.run(
        ["sha256sum", unpacked / "blobs/sha256" / blob.name], capture_output=True, text=True, check=True
    ).stdout
    assert found.split()[0] == blob.name
