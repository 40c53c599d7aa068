"""Every shape of content comes back as the bytes that went in (specification: Push, Pull)."""

from __future__ import annotations

import pytest

from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, every_shape
from tests.registry_server import Server

SHAPES = sorted(every_shape())


@pytest.fixture(params=SHAPES)
def content(request: pytest.FixtureRequest) -> Content:
    return every_shape()[request.param]


def test_a_manifest_comes_back_byte_for_byte_under_its_own_type(
    server: Server, repository: str, content: Content
) -> None:
    digest = content.push(server, repository)
    for method in ("GET", "HEAD"):
        answer = server.ask(method, f"/v2/{repository}/manifests/{digest}")
        assert answer.status == 200
        assert answer.body == (content.manifest if method == "GET" else b"")
        assert answer.headers["Content-Type"] == content.media_type
        assert answer.headers["Content-Length"] == str(len(content.manifest))
        assert answer.headers["Docker-Content-Digest"] == str(digest)


def test_a_tag_shows_the_same_bytes_as_the_digest(server: Server, repository: str, content: Content) -> None:
    content.push(server, repository)
    pushed = server.ask("PUT", f"/v2/{repository}/manifests/v1", content.manifest, {"Content-Type": content.media_type})
    by_tag = server.ask("GET", f"/v2/{repository}/manifests/v1")
    assert (pushed.status, by_tag.body) == (201, content.manifest)
    assert by_tag.headers["Docker-Content-Digest"] == str(Digest.of(content.manifest))


def test_every_blob_beneath_it_comes_back(server: Server, repository: str, content: Content) -> None:
    content.push(server, repository)
    for body in content.blobs:
        digest = Digest.of(body, content.algorithm)
        answer = server.ask("GET", f"/v2/{repository}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, body)


def test_after_it_is_deleted_it_is_gone_at_once(server: Server, repository: str, content: Content) -> None:
    digest = content.push(server, repository, "")
    server.ask("PUT", f"/v2/{repository}/manifests/v1", content.manifest, {"Content-Type": content.media_type})
    assert server.ask("DELETE", f"/v2/{repository}/manifests/v1").status == 202
    assert server.ask("HEAD", f"/v2/{repository}/manifests/v1").status == 404
    assert server.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
    assert server.ask("HEAD", f"/v2/{repository}/manifests/{digest}").status == 404
