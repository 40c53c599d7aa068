"""What a syft that goes astray may take of the station."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from appliance.limits import sbom as limits
from appliance.outgoing.sbom.make import make_sboms
from appliance.outgoing.sbom.syft import Scan
from appliance.outgoing.sbom.syft_binary import Syft, open_syft, require_syft
from appliance.sbom_tools import tools_in
from appliance.settings.faults import faults
from appliance.settings.sbom import SbomSettings
from bundles.errors import FailedError, LockgateError, RefusedError
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road
from tests.deltas.conftest import road as road  # noqa: PLC0414  a fixture

MIB = 1024 * 1024


def named(program: Path, sha256: str = "") -> SbomSettings:
    """What config.toml says of a program: its own digest, unless another is given."""
    return SbomSettings(syft=str(program), sha256=sha256 or Digest.of(program.read_bytes()).hex)


def script(tmp_path: Path, text: str) -> Path:
    program = tmp_path / "syft"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def an_image(road: Road) -> Digest:
    reference = Reference.parse(road.make("1", layer=os.urandom(1000)))
    facts = road.outside.station.metadata.tagged_manifest(reference.repository, reference.tag or "")
    assert facts is not None
    return facts.digest


def scan(road: Road, tmp_path: Path, text: str, syft: Syft | None = None) -> Scan:
    """A scan by a program that does something else."""
    station = road.outside.station
    syft = syft or open_syft(named(script(tmp_path, text)), tmp_path)
    return Scan(station.blobs, station.paths, syft, tmp_path / "scan", an_image(road))


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
    "text",
    [
        'n=0; while :; do n=$((n+1)); head -c 1000000 /dev/zero > "$TMPDIR/$n"; done',
        'mkdir -p "$TMPDIR/a/b"; while :; do head -c 1000000 /dev/zero >> "$TMPDIR/a/b/c$$" || exit 9; done',
    ],
)
def test_a_scan_that_fills_the_disk_ends_with_one_line_and_leaves_nothing(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(limits, "SBOM_FLOOR", 8 * MIB)
    assert "SBOM could not be made" in end(scan(road, tmp_path, text))
    assert not (tmp_path / "scan").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [("yes syft", "status"), ("sleep 60 & sleep 60", "nothing in time"), ("echo syft 9; sleep 60", "nothing in time")],
)
def test_a_program_that_says_too_much_or_hangs_is_no_syft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.setattr(limits, "SYFT_VERSION", 0.5 if "time" in told else 20.0)
    with contextlib.closing(open_syft(named(script(tmp_path, text)), tmp_path)) as syft:
        tracemalloc.start()
        try:
            with pytest.raises(FailedError) as failed:
                require_syft(syft, tmp_path)
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()
    assert told in failed.value.thing or "'syft'" in failed.value.thing


def test_of_a_gigabyte_of_complaints_the_end_is_read_alone(road: Road, tmp_path: Path) -> None:
    running = scan(
        road, tmp_path, "truncate -s 1G /proc/self/fd/2; printf '\\nit was the layer\\n' >> /proc/self/fd/2; exit 1"
    )
    tracemalloc.start()
    try:
        reason = end(running)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert "it was the layer" in reason


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace takes root here")
def test_a_scan_has_no_network(road: Road, tmp_path: Path) -> None:
    reason = end(scan(road, tmp_path, "wc -l < /proc/net/dev >&2; exit 1"))
    assert reason.endswith("(3)"), "two lines of heading, and the loopback alone"


def test_a_scan_is_bounded_in_memory_file_size_and_processor_time(road: Road, tmp_path: Path) -> None:
    kib = 1024
    wanted = (
        limits.SBOM_MEMORY // kib, limits.SBOM_DATA // kib, limits.SBOM_CPU,
        max(limits.SBOM_FLOOR, limits.SBOM_RATIO * 1000) // 512, 0,
    )  # fmt: skip
    reason = end(scan(road, tmp_path, "echo $(ulimit -v; ulimit -d; ulimit -t; ulimit -f; ulimit -c) >&2; exit 1"))
    assert f"({' '.join(map(str, wanted))})" in reason


@pytest.mark.parametrize(("signal", "bound"), [("XCPU", "processor time"), ("KILL", "memory")])
def test_a_scan_that_meets_a_bound_says_which_and_what_to_do(
    road: Road, tmp_path: Path, signal: str, bound: str
) -> None:
    running = scan(road, tmp_path, f"kill -{signal} $$")
    try:
        with pytest.raises(FailedError) as failed:
            all(running.poll() is None for _ in itertools.count())
    finally:
        running.close()
    assert bound in failed.value.what
    assert "CycloneDX SBOM of your own" in failed.value.remedy


def test_a_binary_of_another_digest_is_refused_and_not_run(tmp_path: Path) -> None:
    program = script(tmp_path, f"touch {tmp_path}/ran")
    with pytest.raises(RefusedError, match="not the binary that config") as refused:
        open_syft(named(program, "0" * 64), tmp_path)
    assert Digest.of(program.read_bytes()).hex in refused.value.thing
    assert {path.name for path in tmp_path.iterdir()} == {"syft"}


def put_another(program: Path) -> None:
    other = program.with_name("other")
    other.write_text("#!/bin/sh\necho swapped >&2; exit 1\n")
    other.chmod(0o755)
    other.replace(program)


def write_into(program: Path) -> None:
    with program.open("r+b") as file:
        file.write(b"#!/bin/sh\necho swapped >&2; exit 1\n#")


@pytest.mark.parametrize("change", [put_another, write_into, Path.unlink])
def test_what_was_checked_is_what_runs_whatever_happens_to_the_file(
    road: Road, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (tmp_path / "named").mkdir()
    program = script(tmp_path / "named", "echo the checked one >&2; exit 1")
    syft = open_syft(named(program), tmp_path)
    change(program)
    assert "the checked one" in end(scan(road, tmp_path, "", syft))
    syft.close()


def to_zero(path: str) -> None:
    Path(path).symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, to_zero, lambda _: None])
def test_a_named_binary_that_is_no_file_is_one_line(tmp_path: Path, make: Callable[[str], None]) -> None:
    make(str(tmp_path / "named"))
    with pytest.raises(LockgateError) as failed:
        open_syft(SbomSettings(syft=str(tmp_path / "named"), sha256="0" * 64), tmp_path)
    assert str(tmp_path / "named") in failed.value.thing


@pytest.mark.parametrize(
    ("syft", "sha256"),
    [("/usr/bin/syft", ""), ("", "0" * 64), ("syft", "0" * 64), ("/a/../b", "0" * 64), ("/a\0b", "0" * 64),
     ("/usr/bin/syft", "A" * 64), ("/usr/bin/syft", "0" * 63)],
)  # fmt: skip
def test_settings_that_name_no_binary_are_a_usage_error(syft: str, sha256: str) -> None:
    document = f'site = "alpha"\nside = "outside"\n[sbom]\nsyft = {json.dumps(syft)}\nsha256 = {json.dumps(sha256)}\n'
    assert [fault.key.partition(".")[0] for fault in faults(document.encode())] == ["sbom"]


@pytest.mark.parametrize(
    ("text", "told"), [("echo grype 0.99", "'grype 0.99'"), ("exit 0", "nothing, and status 0"), ("false", "status 1")]
)
def test_a_named_program_that_is_no_syft_gets_the_blame_and_no_image_does(
    road: Road, tmp_path: Path, text: str, told: str
) -> None:
    station, program = road.outside.station, script(tmp_path, text)
    digest, context = an_image(road), road.outside.context("build", {})
    context.station = replace(station, config=msgspec.structs.replace(station.config, sbom=named(program)))
    with pytest.raises(FailedError) as failed:
        make_sboms(context, [("tools", digest)], required=False)  # type: ignore[arg-type]
    assert failed.value.what == "the program that config.toml names as syft is another one"
    assert str(program) in failed.value.thing
    assert told in failed.value.thing


def test_the_real_syft_by_its_digest_names_its_version_in_the_sbom(road: Road, tmp_path: Path) -> None:
    station = road.outside.station
    installed = open_syft(SbomSettings(), tmp_path)
    settings = SbomSettings(syft=str(installed.path), sha256=installed.sha256)
    installed.close()
    digest, context = an_image(road), road.outside.context("build", {})
    context.station = replace(station, config=msgspec.structs.replace(station.config, sbom=settings))
    make_sboms(context, [("tools", digest)], required=True)  # type: ignore[arg-type]
    (line,) = [line for line in context.lines if line.startswith("SBOM of")]
    assert re.search(r"components, by syft 1\.[0-9]+\.[0-9]+$", line)
    (found,) = station.metadata.each_referrer("tools", digest)
    with station.blobs.open_blob(found.digest) as file:
        (layer,) = json.load(file)["layers"]
    with station.blobs.open_blob(Digest.parse(layer["digest"])) as file:
        document = file.read()
    assert tools_in(document) == [line.rpartition("by ")[2]]
    properties = json.loads(document)["metadata"]["properties"]
    assert {"name": "lockgate:syft-sha256", "value": settings.sha256} in properties
