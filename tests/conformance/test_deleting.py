"""Deleting tags, manifests and blobs: at once, and in one repository alone (specification: end-9, end-10)."""

from __future__ import annotations

import pytest

from bundles.oci.digest import Digest
from tests.conformance.shapes import image, index
from tests.registry_server import Server


def status(server: Server, method: str, path: str) -> int:
    return server.ask(method, path).status


def test_a_deleted_tag_is_gone_and_its_manifest_stays(server: Server, repository: str) -> None:
    content = image()
    content.push(server, repository, "v1")
    path = f"/v2/{repository}/manifests"
    assert status(server, "DELETE", f"{path}/v1") == 202
    assert [status(server, method, f"{path}/v1") for method in ("GET", "HEAD", "DELETE")] == [404, 404, 404]
    assert server.ask("GET", f"{path}/{content.digest}").body == content.manifest
    assert server.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == []


def test_a_deleted_manifest_takes_every_tag_on_it(server: Server, repository: str) -> None:
    content, other = image(), image()
    for tag in ("v1", "v2"):
        content.push(server, repository, tag)
    other.push(server, repository, "v3")
    path = f"/v2/{repository}/manifests"
    assert status(server, "DELETE", f"{path}/{content.digest}") == 202
    for reference in ("v1", "v2", str(content.digest)):
        assert [status(server, method, f"{path}/{reference}") for method in ("GET", "HEAD", "DELETE")] == [404] * 3
    assert server.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["v3"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_deleted_blob_is_gone_from_this_repository_alone(server: Server, repository: str, algorithm: str) -> None:
    other = f"{repository}/other"
    digest = server.push_blob(repository, b"shared", algorithm)
    server.push_blob(other, b"shared", algorithm)
    path = f"/v2/{repository}/blobs/{digest}"
    assert status(server, "DELETE", path) == 202
    assert [status(server, method, path) for method in ("GET", "HEAD", "DELETE")] == [404, 404, 404]
    assert server.ask("GET", f"/v2/{other}/blobs/{digest}").body == b"shared"


def test_a_deleted_blob_may_be_pushed_again(server: Server, repository: str) -> None:
    digest = server.push_blob(repository, b"again")
    server.ask("DELETE", f"/v2/{repository}/blobs/{digest}")
    server.push_blob(repository, b"again")
    assert server.ask("GET", f"/v2/{repository}/blobs/{digest}").body == b"again"


@pytest.mark.parametrize("order", ["parent first", "child first"])
def test_an_index_and_its_children_are_deleted_in_any_order(server: Server, repository: str, order: str) -> None:
    child = image()
    parent = index([child])
    parent.push(server, repository, "v1")
    digests = [parent.digest, child.digest] if order == "parent first" else [child.digest, parent.digest]
    for digest in digests:
        assert status(server, "DELETE", f"/v2/{repository}/manifests/{digest}") == 202


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("manifests/v1", "MANIFEST_UNKNOWN"),
        (f"manifests/{Digest.of(b'')}", "MANIFEST_UNKNOWN"),
        (f"blobs/{Digest.of(b'')}", "BLOB_UNKNOWN"),
    ],
)
def test_what_is_not_there_cannot_be_deleted(server: Server, repository: str, path: str, code: str) -> None:
    answer = server.ask("DELETE", f"/v2/{repository}/{path}")
    assert (answer.status, answer.code) == (404, code)
