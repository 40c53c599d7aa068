"""Many workers, one truth: what one did is so in the next request to any other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.registry_server import Server, Store


@pytest.fixture
def workers(store: Store) -> tuple[Server, Server]:
    return store.serve(), store.serve()


def test_a_tag_moved_through_one_is_moved_for_the_other(workers: tuple[Server, Server]) -> None:
    for number in range(10):
        one, other = workers if number % 2 else reversed(workers)
        content = image()
        content.push(one, "team/app", "latest")
        assert other.ask("GET", "/v2/team/app/manifests/latest").body == content.manifest


def test_what_is_deleted_through_one_is_gone_for_the_other(workers: tuple[Server, Server]) -> None:
    one, other = workers
    content = image()
    digest = content.push(one, "team/app", "v1")
    blob = Digest.of(content.blobs[0])
    paths = [f"/v2/team/app/{rest}" for rest in ("manifests/v1", f"manifests/{digest}", f"blobs/{blob}")]
    for path in paths:
        assert other.ask("GET", path).status == 200
        assert one.ask("DELETE", path).status == 202
        for method in ("GET", "HEAD"):
            assert other.ask(method, path).status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_requests_of_one_upload_may_reach_different_workers(workers: tuple[Server, Server], algorithm: str) -> None:
    body = os.urandom(500_000)
    digest = Digest.of(body, algorithm)
    location = workers[0].ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    for number, start in enumerate(range(0, len(body), 100_000)):
        piece = body[start : start + 100_000]
        answer = workers[number % 2].ask(
            "PATCH", location, piece, {"Content-Range": f"{start}-{start + len(piece) - 1}"}
        )
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{start + len(piece) - 1}")
    assert workers[1].ask("PUT", f"{location}?digest={digest}").status == 201
    assert workers[0].ask("GET", f"/v2/team/app/blobs/{digest}").body == body


def test_a_chunk_sent_to_two_workers_at_once_is_taken_once(workers: tuple[Server, Server]) -> None:
    body = os.urandom(300_000)
    location = workers[0].ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(lambda worker: worker.ask("PATCH", location, body, {"Content-Range": "0-299999"}), workers)
        )
    assert sorted(answer.status for answer in answers) == [202, 416]
    assert workers[0].ask("PUT", f"{location}?digest={Digest.of(body)}").status == 201


def test_two_pushes_of_one_tag_end_in_one_of_the_two_whole(workers: tuple[Server, Server]) -> None:
    contents = [image(), image()]
    for content in contents:
        content.push(workers[0], "team/app")
    with ThreadPoolExecutor(8) as threads:
        for round_number in range(10):
            tag = f"round-{round_number}"
            list(
                threads.map(
                    lambda number, tag=tag: contents[number % 2].push(workers[number % 2], "team/app", tag), range(6)
                )
            )
            answers = {worker.ask("GET", f"/v2/team/app/manifests/{tag}").body for worker in workers}
            assert len(answers) == 1
            assert answers <= {content.manifest for content in contents}


def test_concurrent_pushes_of_the_same_blob_all_succeed(workers: tuple[Server, Server]) -> None:
    body = os.urandom(200_000)
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(lambda number: workers[number % 2].push_blob(f"team/app-{number}", body), range(16)))
    assert digests == {Digest.of(body)}
    for number in range(16):
        assert workers[number % 2].ask("GET", f"/v2/team/app-{number}/blobs/{Digest.of(body)}").body == body
