"""An index that was collected with some of its platforms alone: its digest stands, and both stations know what is not
there on purpose, and take nothing else for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.lifecycle import gc
from appliance.origin import Origin, write_origin
from appliance.outgoing.collect import job as collect
from appliance.release_check.unexplained import unexplained
from appliance.scanning.images import images_of
from appliance.store.reads.intake import find_entry, report_text
from appliance.store.reads.left_out import left_out_platform
from appliance.store.writes.registry import DeleteManifest
from bundles.documents.signed import Report, decode
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.format import manifest_codec
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from bundles.oci.reference import Reference
from bundles.ports import no_progress
from bundles.recover import recover
from bundles.signing.trust import TrustFolder
from bundles.unpack import unpack
from tests.deltas.conftest import Road
from tests.lifecycle.lost import contents, in_process
from tests.outgoing.small_registry import SmallRegistry, serving
from tests.peers.stock import Layout

NAME = "team/app:1"
ARCHITECTURES = ("amd64", "arm64", "s390x")


class Upstream:
    """A registry with an image for three platforms."""

    def __init__(self, registry: SmallRegistry) -> None:
        self.registry = registry
        self.images = {one: registry.image("team/app", "", one.encode()) for one in ARCHITECTURES}
        listed = []
        for architecture, digest in self.images.items():
            kind, raw = registry.manifests[f"team/app/{digest}"]
            listed.append({"mediaType": kind, "digest": str(digest), "size": len(raw),
                           "platform": {"os": "linux", "architecture": architecture}})  # fmt: skip
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
        self.index = registry.manifest("team/app", "1", OCI_INDEX, document)

    def entry(self, *platforms: str) -> dict[str, Any]:
        return self.registry.entry("team/app", "1") | ({"platforms": list(platforms)} if platforms else {})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving(SmallRegistry()) as running:
        yield Upstream(running)


def run(road: Road, *entries: dict[str, Any], **params: Any) -> dict[str, Any]:
    context = road.outside.context("collect", {"sources": list(entries), **params})
    return road.outside.run(context, collect.run)


def held(station: Any, digest: Digest) -> bool:
    return station.station.metadata.linked_manifest("team/app", digest) is not None


def left(station: Any, digest: Digest) -> str | None:
    return left_out_platform(station.station.reader, "team/app", digest)


def test_an_index_keeps_its_digest_and_comes_with_the_wanted_platforms(road: Road, upstream: Upstream) -> None:
    planned = run(road, upstream.entry("linux/amd64"), plan="bytes")["planned"][0]
    result = run(road, upstream.entry("linux/amd64"))
    assert road.outside.shows(NAME) == upstream.index
    assert [held(road.outside, upstream.images[one]) for one in ARCHITECTURES] == [True, False, False]
    assert upstream.registry.counted("GET", str(upstream.images["arm64"])) == 0
    assert result["notes"] == ["team/app:1: left out linux/arm64, linux/s390x"]
    assert left(road.outside, upstream.images["arm64"]) == "linux/arm64"
    assert left(road.outside, upstream.images["amd64"]) is None
    assert left(road.outside, Digest.of(b"another")) is None
    assert planned["fetch"] > 0
    (event,) = [one for one in road.outside.events("collect") if one["outcome"] == "done"]
    assert event["detail"]["left_out"] == sorted(str(upstream.images[one]) for one in ("arm64", "s390x"))


def test_a_platform_that_is_nowhere_is_said_and_none_of_them_is_an_error(road: Road, upstream: Upstream) -> None:
    result = run(road, upstream.entry("linux/amd64", "linux/riscv64"))
    assert "team/app:1: it has no linux/riscv64" in result["notes"]
    with pytest.raises(NotFoundError, match="no linux/riscv64") as none:
        run(road, upstream.entry("linux/riscv64"))
    assert "linux/amd64" in none.value.remedy
    with pytest.raises(NotFoundError, match="no linux/riscv64"):
        run(road, upstream.entry("linux/riscv64"), plan="bytes")
    with pytest.raises(UsageError, match="not a platform"):
        run(road, upstream.entry("amd64"))


def test_both_stations_know_what_is_not_there_on_purpose(road: Road, upstream: Upstream) -> None:
    run(road, upstream.entry("linux/amd64", "linux/s390x"))
    folder = road.build(NAME)
    manifest = manifest_codec.decode((folder / "manifest.json").read_bytes())
    assert manifest.left_out() == [f"team/app@{upstream.index}: without linux/arm64"]
    assert manifest.crit == ["lockgate.left_out"]
    assert "without linux/arm64" in (folder / "README.txt").read_text()
    bundle = road.release(folder)
    assert held(road.inside, upstream.index)
    assert left(road.inside, upstream.images["arm64"]) == "linux/arm64"
    report = report_text(road.inside.station.reader, find_entry(road.inside.station.reader, bundle).digest)
    assert report is not None
    (section,) = [one for one in decode(report.encode(), Report).sections if one.inspector == "artifacts"]
    assert section.outcome == "note"
    assert section.details["platforms_left_out"] == [f"team/app@{upstream.index}: linux/arm64"]
    before = road.inside.visible()
    for params in ({"now": True}, {"untagged": True, "older_than": 0}):
        gc.run(road.inside.context(**params))
        road.outside.run(road.outside.context("gc", params), gc.run)
    assert road.inside.visible() == before
    assert left(road.outside, upstream.images["arm64"]) == "linux/arm64"
    assert unexplained(road.inside.station) == []
    (again,) = [manifest_codec.decode((road.build(NAME, since=str(road.receipt())) / "manifest.json").read_bytes())]
    assert again.left_out() == manifest.left_out()


def test_what_is_unpacked_and_what_is_recovered_is_whole_without_it(
    road: Road, upstream: Upstream, tmp_path: Path
) -> None:
    run(road, upstream.entry("linux/amd64"))
    folder = road.build(NAME)
    found = recover([folder], tmp_path / "recovered", no_progress)
    assert (found.names, found.broken) == ([NAME], [])
    trust = TrustFolder.load(road.inside.station.paths.trust)
    _, written = unpack([folder], trust, clock.now(), tmp_path / "dirs", no_progress, "dir")
    assert written.incomplete == []
    assert (tmp_path / "dirs/team/app@1/manifest.json").is_file()


def test_what_is_gone_without_a_record_stays_an_error(road: Road, upstream: Upstream) -> None:
    run(road, upstream.entry("linux/amd64", "linux/arm64"))
    gone = upstream.images["arm64"]
    road.outside.writer.submit(DeleteManifest(repository="team/app", digest=str(gone)))
    with pytest.raises(FailedError, match="not whole") as broken:
        road.build(NAME)
    assert str(gone) in broken.value.thing


def test_collected_whole_later_the_rest_comes_and_nothing_is_left_out(road: Road, upstream: Upstream) -> None:
    run(road, upstream.entry("linux/amd64"))
    run(road, upstream.entry())
    assert all(held(road.outside, digest) for digest in upstream.images.values())
    manifest = manifest_codec.decode((road.build(NAME) / "manifest.json").read_bytes())
    assert (manifest.left_out(), manifest.crit) == ([], [])


def test_a_rebuild_shows_no_platform_that_was_left_out(road: Road, upstream: Upstream) -> None:
    """Another repository has the same image whole: its bytes are in the store."""
    run(road, upstream.entry("linux/amd64"), upstream.registry.entry("team/app", "1", "other/app:1"))
    paths = road.outside.station.paths
    road.outside.__exit__()
    before = contents(paths.database)
    paths.database.unlink()
    write_origin(paths, Origin(site="alpha", side="outside", open=True, created=clock.now()))
    ended = in_process("rebuild", "--yes", "-C", paths.root, "--json")
    assert ended.status == 0, ended.err
    assert contents(paths.database)[:3] == before[:3]


def test_a_layout_gives_some_platforms_too_and_what_is_left_out_is_no_image_to_scan(road: Road) -> None:
    layout = Layout(road.root / "images" / "tools")
    images = [layout.image({"etc/arch": one.encode()}, one) for one in ("amd64", "arm64")]
    layout.tag("both", layout.index(images))
    entry = {"kind": "layout", "path": str(layout.folder), "tag": "both", "as": "team/both:1"}
    result = run(road, entry | {"platforms": ["linux/amd64"]})
    assert result["notes"] == ["team/both:1: left out linux/arm64"]
    _, found = images_of(road.outside.station, Reference.parse("team/both:1"))
    assert [(str(one.digest), one.held) for one in found] == [(images[0]["digest"], True)]


def test_an_index_of_too_many_for_a_record_is_refused_before_anything_is_shown(road: Road, upstream: Upstream) -> None:
    """What the record could not name would be damage to everybody."""
    listed = [
        {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(str(number).encode())), "size": 1,
         "platform": {"os": "linux", "architecture": f"made-up-{number}"}}
        for number in range(4000)
    ]  # fmt: skip
    kind, raw = upstream.registry.manifests[f"team/app/{upstream.images['amd64']}"]
    listed.append({"mediaType": kind, "digest": str(upstream.images["amd64"]), "size": len(raw),
                   "platform": {"os": "linux", "architecture": "amd64"}})  # fmt: skip
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    upstream.registry.manifest("team/app", "1", OCI_INDEX, document)
    with pytest.raises((RefusedError, MalformedError)) as refused:
        run(road, upstream.entry("linux/amd64"))
    assert "\n" not in refused.value.diagnostics()
    assert road.outside.shows(NAME) is None
