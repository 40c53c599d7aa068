"""Admission webhooks over HTTP, against a station with accounts and a policy."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from appliance import clock
from appliance.custody.deployed import deployed
from appliance.image_signatures.pulls import StationPulls
from appliance.limits import admission as limits
from appliance.limits import image_signatures as signature_limits
from appliance.registry.services import RegistrySettings
from appliance.settings.image_policy import ImageRule
from appliance.store.database import open_reader
from appliance.store.reads.registry import Metadata
from appliance.store.reads.workloads import Workload, workloads_with
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.retirements import Retire
from appliance.store.writes.workloads import SawWorkloads, WorkloadRow
from appliance.store.writes.write import under_event
from bundles.oci.digest import Digest
from tests.access.site import basic
from tests.admission.reviews import UID, image_review, pod_spec, review
from tests.image_signatures.pulling import Held, blobs_of, index_of
from tests.image_signatures.signer import Image
from tests.registry_server import Answer, Server

HOST = "registry.example:5000"
NUMBERS = itertools.count(1)
_INDEX = "application/vnd.oci.image.index.v1+json"


class Cluster(Held):
    """A station whose third worker answers reviews; `node` is the account that asks."""

    door: Server

    def ask(self, raw: bytes, path: str = "validate", name: str | None = "node") -> Answer:
        headers = {"Content-Type": "application/json"} | ({} if name is None else basic(name))
        return self.door.ask("POST", f"/admission/{path}?timeout=10s", raw, headers)

    def noted(self, digest: str, count: int) -> list[Workload]:
        """What is remembered of a digest, once there is so much: nobody waits for it to be written."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.closing(open_reader(self.paths.database)) as reader:
                if len(found := workloads_with(reader, {digest})) >= count:
                    return found
            time.sleep(0.01)
        raise AssertionError("nothing was noted")

    def verdict(self, *images: str, name: str = "node") -> dict[str, Any]:
        answer = self.ask(review("Pod", pod_spec(*images)), name=name)
        assert answer.status == 200, answer.body
        response: dict[str, Any] = answer.json["response"]
        assert response["uid"] == UID
        return response


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signature_limits, "PULL_POLICY_LOOK", 3600.0)
        patched.setattr(signature_limits, "PULL_OBJECTION_KEPT", 0.0)
        with Cluster(tmp_path_factory.mktemp("cluster")) as opened:
            pulls = StationPulls(opened.paths, opened.blobs, Metadata(opened.paths.database))
            opened._stack.callback(pulls.close)
            settings = RegistrySettings(admission=frozenset({HOST}))
            opened.door = opened.worker(pull_policy=pulls, rate=1e6, settings=settings)
            yield opened


@pytest.fixture
def image(cluster: Cluster) -> tuple[str, str]:
    """An image that is tagged `1`: its name with the registry, and its digest."""
    cluster.team = f"team/app{next(NUMBERS)}"
    return f"{HOST}/{cluster.team}", str(cluster.push(Image(text=cluster.team), "1"))


def _indexes(cluster: Cluster, children: list[Digest]) -> Iterator[list[dict[str, object]]]:
    """What an index of the children names, and one of that index."""
    level = children
    for kind in ("application/vnd.oci.image.manifest.v1+json", _INDEX):
        sizes = [len(cluster.pull(f"manifests/{one}").body) for one in level]
        named = [{"mediaType": kind, "digest": str(one), "size": size} for one, size in zip(level, sizes, strict=True)]
        yield named
        level = [Digest.of(json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": named}).encode())]


def test_an_image_by_its_digest_is_let_in_and_others_are_told_why(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    assert cluster.verdict(f"{name}@{digest}", f"{name}:1@{digest}") == {"uid": UID, "allowed": True}
    for wrong, why in (
        (f"{name}:1", f"write @{digest}"),
        (f"{name}:2", "does not show that tag"),
        (f"quay.io/x@{digest}", "another registry"),
        (f"{name}@sha256:{'0' * 64}", "does not show it"),
        (f"{HOST}/other@{digest}", "does not show it"),
        ("\x1b[2J", "another registry"),
    ):
        found = cluster.verdict(f"{name}@{digest}", wrong)
        assert not found["allowed"]
        assert why in found["status"]["message"]
        assert "\x1b" not in found["status"]["message"]
    assert cluster.refusals()[-1]["detail"]["admission"]


def test_blocked_and_unsigned_images_are_held_off(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    cluster.apply(ImageRule(repositories=[f"{cluster.team}"]))
    found = cluster.verdict(f"{name}@{digest}")
    assert not found["allowed"]
    assert "policy for images" in found["status"]["message"]
    assert not cluster.verdict(f"{name}@{digest}", name="dev")["allowed"]  # who may push is no exception here
    cluster.apply()
    assert cluster.verdict(f"{name}@{digest}")["allowed"]
    with under_event():
        cluster.submit(Block(digest=digest, why="stolen", actor="anna", at=clock.now()))
    assert "stolen" in cluster.verdict(f"{name}@{digest}")["status"]["message"]


def test_an_image_with_a_blocked_part_is_held_off_although_a_node_may_hold_it_already(cluster: Cluster) -> None:
    cluster.team = f"team/app{next(NUMBERS)}"
    children = [cluster.push(Image(text=f"{cluster.team} {number}")) for number in range(2)]
    inner, outer = (
        cluster.put(json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": named}).encode())
        for named in _indexes(cluster, children)
    )
    name = f"{HOST}/{cluster.team}"
    assert all(cluster.verdict(f"{name}@{one}")["allowed"] for one in (outer, inner, *children))
    layer = json.loads(cluster.pull(f"manifests/{children[0]}").body)["layers"][0]["digest"]
    for blocked, stays in ((str(children[1]), [children[0]]), (layer, [])):
        with under_event():
            cluster.submit(Block(digest=blocked, why="stolen", actor="anna", at=clock.now()))
        for one in (outer, inner, *children):
            assert cluster.verdict(f"{name}@{one}")["allowed"] == (one in stays), one


def test_who_may_not_pull_learns_nothing(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    other = f"{HOST}/free/thing"
    shown = cluster.push(Image(text="free"), "1", repository="free/thing")
    cluster.person(f"only{next(NUMBERS)}", f"reader {cluster.team}")
    who = f"only{next(NUMBERS) - 1}"
    assert cluster.verdict(f"{name}@{digest}", name=who)["allowed"]
    for absent in (f"{other}@{shown}", f"{other}@sha256:{'0' * 64}", f"{other}:1"):
        said = cluster.verdict(absent, name=who)["status"]["message"]
        assert "may not pull it" in said
        assert str(shown) not in said.replace(absent, "")
    assert cluster.ask(review("Pod", pod_spec(f"{name}@{digest}")), name=None).status == 401


def test_tags_become_digests_where_a_cluster_asks_for_it(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    raw = review("Deployment", pod_spec(f"{name}:1", f"{name}@{digest}", "quay.io/x:1", f"{name}:9"))
    response = cluster.ask(raw, "resolve").json["response"]
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    place = "/spec/template/spec/containers/0/image"
    patch = json.loads(base64.b64decode(response["patch"]))
    assert patch == [{"op": "replace", "path": place, "value": f"{name}:1@{digest}"}]
    assert cluster.verdict(patch[0]["value"])["allowed"]


def test_image_reviews_are_answered(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    assert cluster.ask(image_review(f"{name}@{digest}"), "images").json["status"] == {"allowed": True}
    refused = cluster.ask(image_review(f"{name}@{digest}", f"{name}:1"), "images").json["status"]
    assert not refused["allowed"]
    assert digest in refused["reason"]


def test_what_is_no_review_gets_no_verdict(cluster: Cluster) -> None:
    for raw, status in ((b"{", 400), (b"", 400), (b" " * (limits.ADMISSION_REVIEW + 1), 413)):
        assert cluster.ask(raw).status == status
    unread = cluster.ask(review("Widget", pod_spec("a")))
    assert (unread.status, unread.json["response"]["allowed"]) == (200, False)
    assert cluster.door.ask("GET", "/admission/validate", headers=basic("node")).status == 405
    assert cluster.ask(review("Pod", pod_spec("a")), "else").status == 404
    plain = cluster.workers[0].ask("POST", "/admission/validate", review("Pod", pod_spec("a")), basic("node"))
    assert plain.status == 404  # nobody named a registry


def test_ten_thousand_containers_are_answered(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    assert cluster.verdict(*[f"{name}@{digest}"] * 10_000)["allowed"]
    many = cluster.verdict(*(f"{name}:{number}" for number in range(2_000)))
    assert not many["allowed"]
    assert len(many["status"]["message"]) < 3_000


def test_a_recall_can_name_what_was_admitted(cluster: Cluster, image: tuple[str, str]) -> None:
    name, digest = image
    for kind, more in (("Deployment", {}), ("Pod", {"dryRun": True}), ("Job", {"name": ""})):
        assert cluster.ask(review(kind, pod_spec(f"{name}@{digest}"), **more)).json["response"]["allowed"]
    cluster.ask(review("CronJob", pod_spec(f"{name}@{digest}", f"{name}:1")))
    found = cluster.noted(digest, 2)
    assert {(one.cluster, one.namespace, one.workload) for one in found} == {
        ("node", "shop", "Deployment/web"), ("node", "shop", "Job/-"),
    }  # fmt: skip
    assert {one.repository for one in found} == {cluster.team}


def test_what_runs_is_held_against_what_is_said_of_it_now(cluster: Cluster) -> None:
    cluster.team = f"team/app{next(NUMBERS)}"
    station = SimpleNamespace(blobs=cluster.blobs, metadata=Metadata(cluster.paths.database))
    name = f"{HOST}/{cluster.team}"
    first, second, child, retired = (Image(text=f"{cluster.team} {number}") for number in range(4))
    digests = [cluster.push(first, "1"), cluster.push(second, "2"), cluster.push(child), cluster.push(retired, "old")]
    cluster.put(index_of(child.subject.raw), "many")
    for digest in digests:
        assert cluster.ask(review("Deployment", pod_spec(f"{name}@{digest}"))).json["response"]["allowed"]
        cluster.noted(str(digest), 1)

    def states(*, every: bool = True) -> list[str]:
        with contextlib.closing(open_reader(cluster.paths.database)) as station.reader:
            found = deployed(cast(Any, station), every=every)
        own = {one.reference.partition("@")[2]: one for one in found.items if cluster.team in one.reference}
        assert all(one.why for one in own.values() if one.state != "current")
        return [own[str(digest)].state if str(digest) in own else "" for digest in digests]

    assert states() == ["current"] * 4
    assert states(every=False) == [""] * 4
    cluster.put(second.subject.raw, "1")  # the tag moves on
    assert states(every=False) == ["drifted", "", "", ""]
    row = {"reference": f"{cluster.team}:old", "repository": cluster.team, "tag": "old", "digest": str(digests[3])}
    with under_event():
        cluster.submit(
            Retire(**row, successor="x:1", after="2020-01-01T00:00:00Z", reason="", actor="anna", at=clock.now())
        )
        layer = json.loads(child.subject.raw)["layers"][0]["digest"]
        cluster.submit(Block(digest=layer, why="stolen", actor="anna", at=clock.now()))
    cluster.delete(f"manifests/{digests[0]}")
    shared = [layer in blobs_of(one.subject.raw) for one in (second, retired)]
    assert states() == ["blocked" if layer in blobs_of(first.subject.raw) else "gone",
                        "blocked" if shared[0] else "current", "blocked",
                        "blocked" if shared[1] else "retired"]  # fmt: skip
    lost = cluster.paths.blob(digests[1])
    lost.rename(lost.with_suffix(".away"))  # what cannot be read may have a blocked part
    assert states()[1] == ("blocked" if shared[0] else "unknown")
    lost.with_suffix(".away").rename(lost)


def test_the_oldest_workloads_are_forgotten(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKLOADS", 3)
    for number in range(5):
        row = WorkloadRow(cluster="c", namespace="n", workload=f"Pod/{number}", repository="r", digest=f"d{number}")
        cluster.submit(SawWorkloads(rows=(row,), at=f"2030-01-0{number + 1}T00:00:00Z"))
    with contextlib.closing(open_reader(cluster.paths.database)) as reader:
        kept = workloads_with(reader, {f"d{number}" for number in range(5)})
    assert [one.workload for one in kept] == ["Pod/4", "Pod/3", "Pod/2"]


def test_a_database_of_an_earlier_version_remembers_none(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as reader:
        assert workloads_with(reader, {"sha256:1"}) == []
