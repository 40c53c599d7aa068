"""An SBOM is made by whoever made the bundle: comparing two takes bounded memory, time and room in the report."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.handles.granted import Grant
from appliance.intake.inspectors import components
from appliance.jobs.documents import Job
from appliance.jobs.handed import Handed
from appliance.jobs.service import Jobs
from appliance.limits import intake as limits
from appliance.limits import sbom as sbom_limits
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService, serve_writer
from bundles.errors import MalformedError
from bundles.format.manifest import Artifact, Evidence
from bundles.io.strict_json import canonical
from bundles.oci.manifest import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST
from tests.bundles.small import MemoryStore
from tests.control.test_job_memory import peak
from tests.intake.inside import Carried, Inside, carry, name_of
from tests.intake.test_differences import CYCLONEDX, _artifact, _described, differences
from tests.job_starter import job_starter

MIB = 1024 * 1024
PEAK = 300 * MIB


def listing(*names: str) -> bytes:
    return json.dumps({"components": [{"name": name} for name in names]}).encode()


def compare(was: bytes, coming: bytes) -> dict[str, Any]:
    return components.compare(lambda: io.BytesIO(was), lambda: io.BytesIO(coming))


def test_components_are_compared_by_name_and_version_each_once() -> None:
    was = json.dumps({"packages": [{"name": "a", "versionInfo": "1"}, {"name": "b", "versionInfo": "1"}] * 2}).encode()
    now = json.dumps({"components": [{"name": "a", "version": "2"}, {"name": "b", "version": "1"}] * 2}).encode()
    assert compare(was, now) == {"added": ["a 2"], "removed": ["a 1"]}


def test_the_first_by_the_alphabet_are_listed_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SBOM_CHANGES", 3)
    names = [f"n{number:02}" for number in range(20)]
    found = compare(listing("z"), listing(*reversed(names)))
    assert found == {"added": names[:3], "added_left_out": 17, "removed": ["z"]}


def test_a_long_name_is_cut_and_one_with_half_a_character_can_be_reported() -> None:
    (long, half) = compare(listing(), listing("a" * 100_000, "b\ud800"))["added"]
    assert (len(long), half) == (limits.SBOM_COMPONENT, "b?")
    canonical([long, half])


def test_two_names_that_are_reported_alike_are_two() -> None:
    assert compare(listing("b\ud800"), listing("b\udfff")) == {"added": ["b?"], "removed": ["b?"]}


@pytest.mark.parametrize("raw", [b"[]", b"{}", b"7", b'{"components":7}', b'{"components":[7,[],null,{"name":[1]}]}'])
def test_a_document_of_another_shape_lists_nothing_by_name(raw: bytes) -> None:
    assert set(compare(raw, listing("a"))["added"]) == {"a"}


def test_a_document_that_would_take_too_much_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(MalformedError, match="too much memory"):
        compare('"\U0001f600'.encode() + b"a" * 40 * MIB + b'"', b"[]")


def hostile(root: Path, document: bytes, user: str, **changes: Any) -> Carried:
    """A bundle of one image, tagged 1, whose SBOM is `document`."""
    store = MemoryStore()
    config = canonical({"os": "linux", "architecture": "amd64", "config": {"User": user}})
    image = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _described(store, OCI_CONFIG, config),
        "layers": [_described(store, "application/x", b"layer")],
    }  # fmt: skip
    shown: Artifact = _artifact(store, "image", canonical(image), ["1"])
    sbom = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": CYCLONEDX,
        "config": _described(store, OCI_EMPTY, b"{}"), "layers": [_described(store, CYCLONEDX, document)],
        "subject": {"mediaType": OCI_MANIFEST, "digest": shown.digest, "size": shown.size},
    }  # fmt: skip
    beside = _artifact(store, "sbom", canonical(sbom), [])
    ordered = sorted([shown, beside], key=lambda one: one.digest)
    sboms = [Evidence(subject=shown.digest, digest=beside.digest)]
    return carry(root, store, ordered, sboms=sboms, volume=200_000_000, **changes)


def released(inside: Inside, root: Path, document: bytes) -> Carried:
    first = hostile(root, document, "app")
    inside.trust(first.key.public)
    inside.bring(first.folder)
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())
    return first


@pytest.mark.parametrize("document", [b"no JSON", b'{"components":' + b"[" * 5_000, b'{"a":1,"a":2}'])
def test_an_sbom_that_is_not_read_hides_nothing_else_that_changes(
    inside: Inside, tmp_path: Path, document: bytes
) -> None:
    first = released(inside, tmp_path / "1", listing("a"))
    second = hostile(tmp_path / "2", document, "root", sequence=2, previous=first.digest)
    inside.trust(second.key.public)
    inside.bring(second.folder)
    details = differences(inside, name_of(2))["details"]
    assert [field["field"] for field in details["moved"][0]["configuration"]] == ["User"]
    assert len(details["unread"]) == 1


def test_sboms_are_compared_for_a_bounded_time(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIFFERENCES_TIME", -1.0)
    first = released(inside, tmp_path / "1", listing("a"))
    second = hostile(tmp_path / "2", listing("b"), "root", sequence=2, previous=first.digest)
    inside.trust(second.key.public)
    inside.bring(second.folder)
    section = differences(inside, name_of(2))
    assert (section["outcome"], section["details"]["moved"][0].get("added")) == ("note", None)
    assert "took too long" in section["details"]["unread"][0]


def test_what_is_listed_of_all_tags_is_bounded_and_the_others_are_counted(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DIFFERENCES_SIZE", 100)
    first = released(inside, tmp_path / "1", listing("a"))
    second = hostile(tmp_path / "2", listing("b" * 200), "root", sequence=2, previous=first.digest)
    inside.trust(second.key.public)
    inside.bring(second.folder)
    section = differences(inside, name_of(2))
    assert (section["details"]["moved"], section["details"]["moved_left_out"]) == ([], 1)
    assert (section["outcome"], section["summary"].partition(";")[0]) == ("note", "1 of 1 moved tag changes inside")


def _filled(component: Callable[[int], bytes], size: int, nodes: int) -> bytes:
    """An SBOM of as many components of three nodes each as fit."""
    found, length = [], 0
    for number in range(nodes // 3):
        one = component(number)
        length += len(one) + 1
        if length > size:
            break
        found.append(one)
    return b'{"components":[' + b",".join(found) + b"]}"


SHAPES = {
    "many short names": lambda number: b'{"name":"%x"}' % number,
    "long names": lambda number: b'{"name":"%04000x"}' % number,
    "wide names": lambda number: b'{"name":"' + "\U0001f600".encode() + b'%0300x"}' % number,
}


async def brought(root: Path, folder: Path) -> Job:
    """How the import of a bundle ends, as a real job under its limit."""
    paths = StationPaths(root)
    grant = Grant(
        path=str(folder), root=str(folder), writes=False, is_file=False, uid=os.getuid(), gid=os.getgid(), groups=()
    )
    with WriterService(paths.database) as service, job_starter() as starting:
        jobs = Jobs(open_station(root, service), AsyncWriterService(service), starting)
        async with serve_writer(paths.writer_socket, service):
            handed = Handed([grant], [(str(folder), False, os.open(folder, os.O_RDONLY | os.O_DIRECTORY))])
            job: Job = await jobs.submit("import", {"paths": [str(folder)]}, "tester(0)", handed)
            async for seen in jobs.watch(job.id, 120.0):
                job = seen or job
            await jobs.stop()
    return job


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_an_import_with_sboms_at_their_ceilings_stays_below_the_promised_memory(tmp_path: Path, shape: str) -> None:
    nodes, size = sbom_limits.SBOM_NODES - 10, sbom_limits.SBOM_DOCUMENT - 100
    while True:  # as much as is still decoded
        document = _filled(SHAPES[shape], size, nodes)
        try:
            compare(document, b"{}")
            break
        except MalformedError:
            nodes, size = int(nodes * 0.93), int(min(size, len(document)) * 0.93)
    with Inside(tmp_path / "bravo") as inside:
        first = released(inside, tmp_path / "1", document)
        second = hostile(
            tmp_path / "2", document.replace(b'"name":"', b'"name":"n'), "root", sequence=2, previous=first.digest
        )
        inside.trust(second.key.public)
    job = asyncio.run(brought(tmp_path / "bravo", second.folder))
    assert (job.state, job.error) == ("done", None)
    assert 100 * MIB < peak(StationPaths(tmp_path / "bravo").job_log(job.id)) < PEAK
    with Inside(tmp_path / "bravo") as inside:
        (moved,) = differences(inside, name_of(2))["details"]["moved"]
        assert moved["added_left_out"] > 5_000
    shutil.rmtree(tmp_path, ignore_errors=True)
