"""What is read of a review: every image of every sort of container and workload, and nothing passes unread."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from appliance.admission import review as reviews
from appliance.admission.images import artifact_of
from appliance.admission.review import read_image_review, read_review, uid_of
from appliance.limits import admission as limits
from bundles.errors import MalformedError, RefusedError
from tests.admission.reviews import UID, image_review, pod_spec, review, workload

KINDS = (
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
)
DIGEST = f"sha256:{'1' * 64}"


def at(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        document = document[int(part) if isinstance(document, list) else part]
    return document


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_of_a_workload_is_read_where_it_stands(kind: str) -> None:
    spec = pod_spec("a", "b", init=("c",), late=("d",), volumes=[{"name": "v"}, {"image": {"reference": "e"}}])
    asked = read_review(review(kind, spec))
    assert (asked.uid, asked.thing) == (UID, f"shop/{kind}/web")
    assert sorted(one.image for one in asked.images) == ["a", "b", "c", "d", "e"]
    for one in asked.images:
        assert at(workload(kind, spec), one.pointer) == one.image


@pytest.mark.parametrize(
    "raw",
    [
        review("Widget", pod_spec("a")),
        review("Pod", None),
        review("Pod", pod_spec("")),
        review("Pod", {"containers": {}}),
        review("Pod", {"containers": [1]}),
        review("Pod", pod_spec("a" * 5000)),
        review("Pod", {"containers": [{"name": "x"}]}),
        review("Pod", pod_spec("a"), kind={"group": "apps", "kind": "Pod"}),
        review("Pod", pod_spec("a"), kind={"kind": ["Pod"]}),
        review("Deployment", {"containers": [{"image": 1}]}),
        review("Pod", pod_spec("a", volumes=[{"image": {}}])),
        review("Pod", pod_spec("a"), operation="UPDATE", oldObject=[]),
    ],
)
def test_a_workload_that_cannot_be_read_is_refused_with_its_uid(raw: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        read_review(raw)
    assert uid_of(caught.value) == UID


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        review("Pod", pod_spec("a"), uid=""),
        review("Pod", pod_spec("a"), uid=7),
        b"[" * 100_000,
        image_review("a"),
        b" " * (limits.ADMISSION_REVIEW + 1),
        b'{"a":' + b"[1" + b",1" * limits.ADMISSION_NODES + b"]}",
    ],
)
def test_what_is_no_review_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read_review(raw)


def test_an_update_is_judged_by_what_it_changes() -> None:
    before, after = pod_spec("a", init=("b",)), pod_spec("a", "c", init=("b",))
    assert [one.image for one in read_review(review("Pod", after, operation="UPDATE", old=before)).images] == ["c"]
    assert [one.image for one in read_review(review("Pod", after, operation="CREATE", old=before)).images] == [
        "b",
        "a",
        "c",
    ]
    assert read_review(review("Pod", None, operation="DELETE", old=before)).images == ()


def test_image_reviews() -> None:
    asked = read_image_review(image_review("a", "b"))
    assert [one.image for one in asked.images] == ["a", "b"]
    for raw in (image_review(), image_review(""), review("Pod", pod_spec("a")), b"[]"):
        with pytest.raises(MalformedError):
            read_image_review(raw)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("r.example:5000/team/app:1", "team/app:1"),
        (f"r.example:5000/team/app@{DIGEST}", f"team/app@{DIGEST}"),
        (f"r.example:5000/team/app:1@{DIGEST}", f"team/app:1@{DIGEST}"),
        ("r.example:5000/app", "app:latest"),
        ("nginx", "library/nginx:latest"),
        ("docker.io/nginx:1", "library/nginx:1"),
        ("index.docker.io/a/b:1", "a/b:1"),
        ("a/b", "a/b:latest"),
    ],
)
def test_an_image_is_an_artifact_here_by_its_registry(image: str, expected: str) -> None:
    assert str(artifact_of(image, {"r.example:5000", "docker.io"})) == expected


@pytest.mark.parametrize(
    "image",
    [
        "r.example/app:1",
        "quay.io/a@sha256:1",
        "r.example:5000/",
        "r.example:5000/App:1",
        "r.example:5000/a@sha256:12",
        "r.example:5000/../a:1",
        "localhost/a:1",
        "R.EXAMPLE:5000/a:1",
        "r.example:5000/a:1@",
        "r.example:5000//a:1",
        "",
    ],
)
def test_what_is_none_of_ours_is_refused(image: str) -> None:
    with pytest.raises(RefusedError):
        artifact_of(image, {"r.example:5000"})


def test_answers() -> None:
    asked = read_review(review("Deployment", pod_spec("a:1", "b:1")))
    patched = reviews.patched(asked.uid, [(asked.images[1], "b:1@sha256:x")])["response"]
    operations = json.loads(base64.b64decode(patched["patch"]))
    place = "/spec/template/spec/containers/1/image"
    assert operations == [{"op": "replace", "path": place, "value": "b:1@sha256:x"}]
    assert "patch" not in reviews.patched(asked.uid, [])["response"]
    long = reviews.answer(UID, ["x" * 10_000], ["y" * 10_000])["response"]
    assert (long["allowed"], long["status"]["code"]) == (False, 403)
    assert len(json.dumps(long)) < 4_000
    assert reviews.image_answer([])["status"] == {"allowed": True}
