"""Listing referrers: filters, pages, subjects that are not there, and the fallback tag (specification: end-12)."""

from __future__ import annotations

import json

import pytest

from appliance.limits import registry as limits
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX
from tests.conformance.shapes import EXAMPLE, Content, artifact, document, image, index
from tests.conformance.test_listing import pages
from tests.registry_server import Answer, Server

OTHER = "application/vnd.example.other.v1"


def referrers(server: Server, repository: str, digest: Digest | str, query: str = "") -> Answer:
    answer = server.ask("GET", f"/v2/{repository}/referrers/{digest}{query}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == OCI_INDEX
    assert (answer.json["schemaVersion"], answer.json["mediaType"]) == (2, OCI_INDEX)
    return answer


def listed(answer: Answer) -> dict[str, dict[str, object]]:
    return {entry["digest"]: entry for entry in answer.json["manifests"]}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_refers_to_a_manifest_is_described_whole(server: Server, repository: str, algorithm: str) -> None:
    subject = image(algorithm=algorithm)
    subject.push(server, repository)
    notes = {"org.example.note": 'a \u20ac, "quoted"'}
    described = {
        "artifact": artifact(subject=subject.described(), annotations=notes),
        "image": image(subject=subject.described()),
        "index": index([], subject=subject.described(), artifactType=OTHER),
        "plain index": index([], subject=subject.described(), annotations={"k": "v"}),
    }
    for content in described.values():
        content.push(server, repository)
    found = listed(referrers(server, repository, subject.digest))
    assert set(found) == {str(content.digest) for content in described.values()}
    expected = {
        "artifact": {"artifactType": EXAMPLE, "annotations": notes},
        "image": {"artifactType": OCI_CONFIG},
        "index": {"artifactType": OTHER},
        "plain index": {"annotations": {"k": "v"}},
    }
    for name, content in described.items():
        assert found[str(content.digest)] == content.described() | expected[name]


def test_a_filter_is_applied_and_says_so(server: Server, repository: str) -> None:
    subject = image()
    one, two = (artifact(kind, subject=subject.described()) for kind in (EXAMPLE, OTHER))
    for content in (subject, one, two):
        content.push(server, repository)
    answer = referrers(server, repository, subject.digest, f"?artifactType={OTHER.replace('+', '%2B')}")
    assert set(listed(answer)) == {str(two.digest)}
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    unknown = referrers(server, repository, subject.digest, "?artifactType=application/none")
    assert (unknown.json["manifests"], unknown.headers["OCI-Filters-Applied"]) == ([], "artifactType")
    assert referrers(server, repository, subject.digest).headers["OCI-Filters-Applied"] is None


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_nothing_refers_to_what_nobody_knows_and_that_is_no_error(
    server: Server, repository: str, algorithm: str
) -> None:
    assert referrers(server, repository, Digest.of(b"unknown", algorithm)).json["manifests"] == []


def test_a_malformed_digest_is_400(server: Server, repository: str) -> None:
    answer = server.ask("GET", f"/v2/{repository}/referrers/sha256:bad")
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")


def test_a_subject_may_come_after_what_refers_to_it_or_never(server: Server, repository: str) -> None:
    subject = image()
    content = artifact(subject=subject.described())
    content.push(server, repository)
    assert set(listed(referrers(server, repository, subject.digest))) == {str(content.digest)}
    subject.push(server, repository)
    assert set(listed(referrers(server, repository, subject.digest))) == {str(content.digest)}


def test_each_repository_lists_its_own_referrers(server: Server, repository: str) -> None:
    subject = image()
    for name in (repository, f"{repository}/other"):
        subject.push(server, name)
    artifact(subject=subject.described()).push(server, f"{repository}/other")
    assert referrers(server, repository, subject.digest).json["manifests"] == []


def test_a_deleted_referrer_is_listed_no_more(server: Server, repository: str) -> None:
    subject = image()
    content = artifact(subject=subject.described())
    digest = content.push(server, repository)
    assert server.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
    assert referrers(server, repository, subject.digest).json["manifests"] == []


def test_referrers_of_referrers_are_listed_at_their_own_subject(server: Server, repository: str) -> None:
    subject = image()
    first = artifact(subject=subject.described())
    second = artifact(OTHER, subject=first.described())
    for content in (subject, first, second):
        content.push(server, repository)
    assert set(listed(referrers(server, repository, subject.digest))) == {str(first.digest)}
    assert set(listed(referrers(server, repository, first.digest))) == {str(second.digest)}


@pytest.mark.parametrize("query", ["", f"?artifactType={EXAMPLE.replace('+', '%2B')}"])
def test_a_long_list_comes_in_pages(
    server: Server, repository: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REFERRERS_PAGE", 3)
    subject = image()
    pushed = {str(artifact(subject=subject.described()).push(server, repository)) for _ in range(7)}
    artifact(OTHER, subject=subject.described()).push(server, repository)
    answers = list(pages(server, f"/v2/{repository}/referrers/{subject.digest}{query}"))
    found = [entry["digest"] for answer in answers for entry in answer.json["manifests"]]
    assert len(found) == len(set(found)) == (7 if query else 8)
    assert pushed <= set(found)
    assert len(answers) == 3


def test_large_annotations_do_not_make_an_answer_too_large(server: Server, repository: str) -> None:
    subject = image()
    large = {"k": "\u20ac" * 500_000}
    for _ in range(4):
        artifact(subject=subject.described(), annotations=large).push(server, repository)
    answers = list(pages(server, f"/v2/{repository}/referrers/{subject.digest}"))
    assert all(len(answer.body) <= limits.REFERRERS_BYTES for answer in answers)
    assert sum(len(answer.json["manifests"]) for answer in answers) == 4


def test_an_older_clients_fallback_tag_stays_a_tag_and_hides_nothing(server: Server, repository: str) -> None:
    subject = image()
    subject.push(server, repository)
    known, unlisted = (artifact(kind, subject=subject.described()) for kind in (EXAMPLE, OTHER))
    known.push(server, repository)
    entry = known.described(artifactType=EXAMPLE)
    fallback = Content(document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}))
    tag = f"{subject.digest.algorithm}-{subject.digest.hex}"
    fallback.push(server, repository, tag)
    unlisted.push(server, repository)
    found = referrers(server, repository, subject.digest)
    assert set(listed(found)) == {str(known.digest), str(unlisted.digest)}
    assert json.loads(server.ask("GET", f"/v2/{repository}/manifests/{tag}").body)["manifests"] == [entry]
