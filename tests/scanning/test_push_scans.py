"""What is pushed, collected or released without an SBOM made here gets one by itself, and says so where it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from appliance.advisories.seals import index_key
from appliance.control.push_scans import ACTOR, PushScans
from appliance.limits import scanning as limits
from appliance.outgoing.sbom.index import unreadable
from appliance.scanning import content_scan, scan_job, unlooked
from appliance.settings.content_rules import ContentRuleSettings
from appliance.settings.gates import Gate
from appliance.settings.image_policy import PolicyRules
from appliance.station import Station
from appliance.store.epoch import tell_of_files
from appliance.store.reads.components import images_shown, sboms_of
from bundles.errors import FailedError
from bundles.oci.kinds import CYCLONEDX
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  fixtures
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import cyclonedx, dist_info, image_of, sbom_of
from tests.stage import Station as Running


def switched_on(station: Station) -> Station:
    config = msgspec.structs.replace(
        station.config, sbom=msgspec.structs.replace(station.config.sbom, on_push=True)
    )  # fmt: skip
    return replace(station, config=config)


@dataclass
class Queue:
    """Jobs that are asked for, in the place of those that run."""

    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    state: str = "running"
    error: dict[str, str] | None = None

    async def submit(self, kind: str, params: dict[str, Any], actor: str) -> Any:
        self.asked.append((kind, params, actor))
        return SimpleNamespace(id=f"job-{len(self.asked)}")

    def find(self, job: str) -> Any:
        return SimpleNamespace(id=job, state=self.state, error=self.error)


def images_in(outside: Outside, layout: Layout, *names: str) -> list[str]:
    for name in names:
        layout.tag(name, image_of(layout, dist_info(name, "1.0")))
    return outside.collect_layout(layout.folder)


def own_of(outside: Outside, image: str) -> Sequence[str]:
    key = index_key(outside.station.paths)
    return [one.state for one in sboms_of(outside.station.reader, key, image) if one.origin == "own"]


def test_an_outside_keeps_it_where_the_image_is_shown_and_has_none(outside: Outside, layout: Layout) -> None:
    bare, described = image_of(layout, dist_info("a", "1")), image_of(layout, dist_info("b", "1"))
    layout.tag("bare", bare)
    layout.tag("described", described)
    layout.tag("sbom", sbom_of(layout, described, cyclonedx("pkg:pypi/b@1")))
    references = [*outside.collect_layout(layout.folder, "bare"), *outside.collect_layout(layout.folder, "described")]
    outside.collect_layout(layout.folder, "sbom")
    repository = references[0].partition(":")[0]
    before = {digest: len(outside.referrers(repository, digest)) for digest in map(outside.shows, references) if digest}
    assert sorted(before.values()) == [0, 1]
    result = outside.run(outside.context("scan", {"references": references, "kept": True}), scan_job.run)
    assert (result["images"], result["made"], result["failed"]) == (2, 2, [])
    for digest in before:
        assert own_of(outside, str(digest)) == ["indexed"]
        assert len(outside.referrers(repository, digest)) == 1
    (kept,) = [digest for digest, count in before.items() if not count]
    found = outside.station.metadata.referrers(repository, kept, 2, artifact_type=CYCLONEDX)
    assert len(found) == 1
    assert [event["thing"] for event in outside.events("sbom.attach")] == [f"{repository}@{kept}"]


def test_a_running_station_describes_what_comes_in(layout: Layout, tmp_path: Path) -> None:
    layout.tag("1", image_of(layout, dist_info("requests", "2.19")))
    alpha = Running(tmp_path / "alpha", "alpha", "outside")
    config = tmp_path / "alpha/config.toml"
    config.write_text(config.read_text().replace("on_push = false", "on_push = true"))
    with alpha:
        alpha.run("collect", f"oci:{layout.folder}:1", "--as", "team/app:1")

        def ended() -> list[dict[str, Any]]:
            jobs = alpha.run("job", "list", "--json").json["items"]
            return [one for one in jobs if one["kind"] == "scan" and one["state"] == "done"]

        until = time.monotonic() + 120
        while not (found := ended()):
            assert time.monotonic() < until
            time.sleep(2)
        assert [one["actor"] for one in found] == [ACTOR]
        (image,) = alpha.run("sbom", "team/app:1", "--json").json["images"]
        assert [(one["name"], one["version"]) for one in image["packages"]] == [("requests", "2.19")]
        checks = alpha.run("status", "--json").json["health"]["checks"]
        assert [one["ok"] for one in checks if one["name"] == "scans"] == [True]


def test_what_waits_is_scanned_once_and_one_scan_at_a_time(outside: Outside, layout: Layout) -> None:
    images_in(outside, layout, "a", "b")
    queue = Queue()
    scans = PushScans(switched_on(outside.station), cast(Any, queue))
    asyncio.run(scans.look())
    ((kind, params, actor),) = queue.asked
    assert (kind, params["kept"], actor, len(params["references"])) == ("scan", True, ACTOR, 2)
    asyncio.run(scans.look())
    assert len(queue.asked) == 1
    key = index_key(outside.station.paths)
    for number, reference in enumerate(params["references"]):
        image = reference.partition("@")[2]
        if number:  # syft could not describe the other: it is asked once, too
            outside.writer.submit(unreadable(key, image, f"none:{image}", "damaged", "own"))
        else:
            outside.run(outside.context("scan", {"references": [reference], "kept": True}), scan_job.run)
    queue.state = "done"
    asyncio.run(scans.look())
    assert (len(queue.asked), scans.waiting, scans.fault) == (1, 0, "")
    images_in(outside, layout, "c")
    asyncio.run(scans.look())
    assert len(queue.asked[-1][1]["references"]) == 1


def test_what_was_there_before_a_gate_asked_content_rules_is_looked_into(
    outside: Outside, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_in(outside, layout, "a", "b", "c")
    key = index_key(outside.station.paths)
    for _, image in images_shown(outside.station.reader):
        outside.writer.submit(unreadable(key, image, f"none:{image}", "damaged", "own"))
    queue, standing = Queue(), SimpleNamespace(rules=PolicyRules())
    scans = PushScans(switched_on(outside.station), cast(Any, queue))
    monkeypatch.setattr(unlooked, "load_applied", lambda _: SimpleNamespace(policy=standing.rules))
    monkeypatch.setattr(limits, "PUSH_SCAN_IMAGES", 2)

    def apply(settings: dict[str, Any], pattern: str = "**", **gate: Any) -> None:
        standing.rules = PolicyRules(
            gate=[Gate(repositories=[pattern], at=["pull"], **gate)],
            content_rule=[ContentRuleSettings(id="large-layer", settings=settings)],
        )
        tell_of_files(outside.station.paths.database)

    def looked() -> int:
        """Images that jobs were begun for, each of which ran, until none waits."""
        before = len(queue.asked)
        queue.state = "done"
        for _ in range(4):
            asyncio.run(scans.look())
            for kind, params, _ in queue.asked[before:]:
                assert (kind, params["content"]) == ("scan", True)
                if run:
                    outside.run(outside.context(kind, params), scan_job.run)
        assert scans.unlooked == 0
        return sum(len(params["references"]) for _, params, _ in queue.asked[before:])

    run = True
    monkeypatch.setattr(content_scan, "load_applied", lambda _: SimpleNamespace(policy=standing.rules))
    assert looked() == 0
    apply({}, rules=["large-layer"], pattern="elsewhere/**")
    assert looked() == 0
    apply({}, rules=["large-layer"])
    queue.state = "running"
    asyncio.run(scans.look())
    check = scans.check()
    assert check is not None
    assert (scans.unlooked, "3 images" in check["detail"]) == (3, True)
    queue.asked.clear()
    scans = PushScans(switched_on(outside.station), cast(Any, queue))
    assert looked() == 3
    apply({}, rules=["large-layer", "secret"])  # every look is by all rules
    assert looked() == 0
    apply({"mib": 5}, rules=["large-layer"])
    run = False
    assert looked() == 3  # where a look leaves nothing, it is not begun again
    apply({"mib": 5}, rules=["large-layer=off", "secret"], mode="off")
    assert looked() == 0
    assert looked() == 0


def test_only_so_many_are_in_one_scan(outside: Outside, layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_SCAN_IMAGES", 2)
    images_in(outside, layout, "a", "b", "c")
    queue = Queue()
    asyncio.run(PushScans(switched_on(outside.station), cast(Any, queue)).look())
    assert len(queue.asked[0][1]["references"]) == 2


def test_a_scan_that_fails_is_told_and_tried_again_later(
    outside: Outside, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_in(outside, layout, "a")
    queue = Queue()
    scans = PushScans(switched_on(outside.station), cast(Any, queue))
    asyncio.run(scans.look())
    queue.state, queue.error = "failed", {"what": "syft is missing", "thing": "x", "remedy": "install it"}
    asyncio.run(scans.look())
    check = scans.check()
    assert check is not None
    assert (check["name"], check["ok"], "syft is missing: x; install it" in check["detail"]) == ("scans", False, True)
    assert len(queue.asked) == 1
    monkeypatch.setattr(scans, "_not_before", 0.0)
    asyncio.run(scans.look())
    queue.state, queue.error = "done", None
    assert len(queue.asked) == 2
    asyncio.run(scans.look())
    check = scans.check()
    assert check is not None
    assert check["ok"] is True


def test_a_queue_that_is_full_ends_no_looking(outside: Outside, layout: Layout) -> None:
    images_in(outside, layout, "a")

    class Full(Queue):
        async def submit(self, kind: str, params: dict[str, Any], actor: str) -> Any:
            raise FailedError("too many jobs")

    scans = PushScans(switched_on(outside.station), cast(Any, Full()))
    with pytest.raises(FailedError):
        asyncio.run(scans.look())
    assert PushScans(outside.station, cast(Any, Queue())).check() is None
