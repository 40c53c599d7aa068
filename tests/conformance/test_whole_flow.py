"""Content of every shape, in both algorithms, through its whole life: every way to push its blobs, what each answer
says about it, and every deletion at once (specification: Workflow Categories)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_EMPTY, OCI_MANIFEST
from tests.conformance.shapes import EXAMPLE, Content, artifact, descriptor, document, every_shape, image, index
from tests.registry_server import Answer, Server

ALGORITHMS = ["sha256", "sha512"]
MINIMUM = 1024
"""Bytes of a chunk, as the specification's own suite takes them where a registry names none."""


def follow(server: Server, answer: Answer, body: bytes, digest: Digest) -> None:
    """A finished push says where the content is, and there it is."""
    assert answer.status == 201, answer.body
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert server.ask("GET", answer.headers["Location"]).body == body


def begin(server: Server, repository: str) -> str:
    begun = server.ask("POST", f"/v2/{repository}/blobs/uploads/")
    assert begun.status == 202
    return begun.headers["Location"]


def post_only(server: Server, repository: str, body: bytes, digest: Digest) -> Answer:
    headers = {"Content-Type": "application/octet-stream"}
    return server.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body, headers)


def post_put(server: Server, repository: str, body: bytes, digest: Digest) -> Answer:
    return server.ask("PUT", f"{begin(server, repository)}?digest={digest}", body)


def stream(server: Server, repository: str, body: bytes, digest: Digest) -> Answer:
    patched = server.ask("PATCH", begin(server, repository), iter([body] if body else []))
    assert patched.status == 202
    return server.ask("PUT", f"{patched.headers['Location']}?digest={digest}")


def pieces(body: bytes) -> Iterator[tuple[int, bytes]]:
    size = max(len(body) // 3 + 1, MINIMUM)
    for start in range(0, len(body), size):
        yield start, body[start : start + size]


def chunked(
    server: Server, repository: str, body: bytes, digest: Digest, *, put_last: bool = False, disorder: bool = False
) -> Answer:
    location = begin(server, repository)
    size = max(len(body) // 3 + 1, MINIMUM)
    for start, piece in pieces(body):
        if disorder:
            location = try_wrong_chunk(server, location, body, start, size, digest if put_last else None)
        headers = {"Content-Range": f"{start}-{start + len(piece) - 1}", "Content-Type": "application/octet-stream"}
        if put_last and start + len(piece) == len(body):
            return server.ask("PUT", f"{location}?digest={digest}", piece, headers)
        patched = server.ask("PATCH", location, piece, headers)
        assert patched.status == 202, patched.body
        assert patched.headers["Range"] == f"0-{start + len(piece) - 1}"
        location = patched.headers["Location"]
    return server.ask("PUT", f"{location}?digest={digest}")


def try_wrong_chunk(server: Server, location: str, body: bytes, start: int, size: int, finishing: Digest | None) -> str:
    """Skip ahead, or go back to the beginning: 416, and the upload stands where it stood."""
    wrong = start + size if start + size < len(body) else 0
    piece = body[wrong : wrong + size]
    headers = {"Content-Range": f"{wrong}-{wrong + len(piece) - 1}"}
    ends = finishing is not None and wrong + len(piece) == len(body)
    if wrong == start:
        return location
    refused = server.ask(
        "PUT" if ends else "PATCH", f"{location}?digest={finishing}" if ends else location, piece, headers
    )
    assert refused.status == 416
    status = server.ask("GET", location)
    assert (status.status, status.headers["Range"]) == (204, f"0-{max(start - 1, 0)}")
    return status.headers["Location"]


WAYS: dict[str, Callable[[Server, str, bytes, Digest], Answer]] = {
    "post only": post_only,
    "post, put": post_put,
    "stream": stream,
    "chunked": chunked,
    "chunked, last chunk in put": lambda *given: chunked(*given, put_last=True),
    "chunked out of order": lambda *given: chunked(*given, disorder=True),
    "chunked out of order, last chunk in put": lambda *given: chunked(*given, put_last=True, disorder=True),
}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 2, 512, MINIMUM * 3 - 5])
def test_a_blob_pushed_in_any_way_is_whole_and_goes_at_once(
    server: Server, repository: str, way: str, algorithm: str, size: int
) -> None:
    body = os.urandom(size)
    digest = Digest.of(body, algorithm)
    path = f"/v2/{repository}/blobs/{digest}"
    assert server.ask("GET", path).status == 404 or size < 3
    follow(server, WAYS[way](server, repository, body, digest), body, digest)
    head = server.ask("HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))
    assert head.headers["Docker-Content-Digest"] == str(digest)
    assert server.ask("DELETE", path).status == 202
    assert [server.ask(method, path).status for method in ("HEAD", "GET", "DELETE")] == [404, 404, 404]


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_with_another_digest_is_refused_in_any_way(
    server: Server, repository: str, way: str, algorithm: str
) -> None:
    body = os.urandom(MINIMUM * 3)
    digest = Digest.of(b"other content", algorithm)
    refused = WAYS[way](server, repository, body, digest)
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert server.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


def empty_layer() -> Content:
    """An artifact whose one layer is the empty descriptor (image specification, manifest.md)."""
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": EXAMPLE,
        "config": descriptor(b"{}", OCI_EMPTY),
        "layers": [descriptor(b"{}", OCI_EMPTY)],
    }
    return Content(document(fields), [b"{}"])


@pytest.mark.parametrize("shape", [*sorted(every_shape()), "artifact with an empty layer"])
def test_content_of_any_shape_lives_its_whole_life(server: Server, repository: str, shape: str) -> None:
    content = empty_layer() if shape == "artifact with an empty layer" else every_shape()[shape]
    ways = itertools.cycle([post_put, post_only, stream, chunked])
    everything = []

    def push(part: Content, *tags: str) -> None:
        for body in part.blobs:
            digest = Digest.of(body, part.algorithm)
            follow(server, next(ways)(server, repository, body, digest), body, digest)
        for child in part.children:
            push(child)
        query = "&".join(f"tag={tag}" for tag in tags)
        path = f"/v2/{repository}/manifests/{part.digest}?{query}"
        put = server.ask("PUT", path, part.manifest, {"Content-Type": part.media_type})
        follow(server, put, part.manifest, part.digest)
        assert put.headers.get_all("OCI-Tag", []) == list(tags)
        everything.append(part)

    push(content, "one", "two")
    assert server.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["one", "two"]
    assert server.ask("GET", f"/v2/{repository}/tags/list?last=one").json["tags"] == ["two"]
    for reference, part in [("one", content), ("two", content), *((str(part.digest), part) for part in everything)]:
        path = f"/v2/{repository}/manifests/{reference}"
        got, head = server.ask("GET", path), server.ask("HEAD", path)
        assert (got.status, got.body, head.status, head.body) == (200, part.manifest, 200, b"")
        for answer in (got, head):
            assert answer.headers["Docker-Content-Digest"] == str(part.digest)
            assert answer.headers["Content-Type"] == part.media_type
            assert answer.headers["Content-Length"] == str(len(part.manifest))
    for tag in ("one", "two"):
        assert server.ask("DELETE", f"/v2/{repository}/manifests/{tag}").status == 202
        assert server.ask("HEAD", f"/v2/{repository}/manifests/{tag}").status == 404
    for part in reversed(everything):
        path = f"/v2/{repository}/manifests/{part.digest}"
        assert server.ask("DELETE", path).status in (202, 404), "two children may be the same bytes"
        assert [server.ask(method, path).status for method in ("HEAD", "GET")] == [404, 404]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("present", [True, False], ids=["the subject exists", "the subject is missing"])
def test_referrers_of_every_shape_are_listed_for_their_subject(
    server: Server, repository: str, algorithm: str, present: bool
) -> None:
    subject = image(algorithm=algorithm)
    if present:
        subject.push(server, repository)
    said = {"subject": subject.described(), "annotations": {"org.example.note": f"of {algorithm}"}}
    referrers = {
        "image": image(algorithm=algorithm, **said),
        "artifact": artifact(EXAMPLE, **said),
        "other artifact": artifact("application/vnd.example.other", **said),
        "index": index([image(algorithm=algorithm)], algorithm=algorithm, artifactType=EXAMPLE, **said),
        "index without a type": index([], **said),
    }
    for referrer in referrers.values():
        for child in referrer.children:
            child.push(server, repository)
        for body in referrer.blobs:
            server.push_blob(repository, body, referrer.algorithm)
        path = f"/v2/{repository}/manifests/{referrer.digest}"
        put = server.ask("PUT", path, referrer.manifest, {"Content-Type": referrer.media_type})
        assert (put.status, put.headers["OCI-Subject"]) == (201, str(subject.digest))
    listed = server.ask("GET", f"/v2/{repository}/referrers/{subject.digest}").json
    assert (listed["schemaVersion"], listed["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    found = {entry["digest"]: entry for entry in listed["manifests"]}
    assert set(found) == {str(referrer.digest) for referrer in referrers.values()}
    for referrer in referrers.values():
        entry = found[str(referrer.digest)]
        assert (entry["mediaType"], entry["size"]) == (referrer.media_type, len(referrer.manifest))
        assert entry["annotations"] == said["annotations"]
    kinds = [found[str(referrers[name].digest)].get("artifactType") for name in referrers]
    assert kinds == [
        "application/vnd.oci.image.config.v1+json",
        EXAMPLE,
        "application/vnd.example.other",
        EXAMPLE,
        None,
    ]
    filtered = server.ask("GET", f"/v2/{repository}/referrers/{subject.digest}?artifactType={EXAMPLE}")
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    wanted = {str(referrers[name].digest) for name in ("artifact", "index")}
    assert {entry["digest"] for entry in filtered.json["manifests"]} == wanted
    for referrer in referrers.values():
        server.ask("DELETE", f"/v2/{repository}/manifests/{referrer.digest}")
    assert server.ask("GET", f"/v2/{repository}/referrers/{subject.digest}").json["manifests"] == []
