"""Pulling manifests: by tag and digest, whatever the client accepts, and conditions (specification: end-3)."""

from __future__ import annotations

import pytest

from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from tests.conformance.shapes import image
from tests.registry_server import Server


@pytest.mark.parametrize("reference", ["v1", "missing-tag", "sha256:" + "0" * 64, "sha512:" + "0" * 128])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_repository_does_not_show_is_404(server: Server, repository: str, method: str, reference: str) -> None:
    answer = server.ask(method, f"/v2/{repository}/manifests/{reference}")
    assert answer.status == 404
    if method == "GET":
        assert answer.code == "MANIFEST_UNKNOWN"


def test_a_manifest_another_repository_shows_is_404(server: Server, repository: str) -> None:
    digest = image().push(server, f"{repository}/other", "v1")
    assert server.ask("GET", f"/v2/{repository}/manifests/{digest}").status == 404


@pytest.mark.parametrize(
    "accept", [None, "*/*", OCI_MANIFEST, OCI_INDEX, "text/html", f"{OCI_INDEX}, {OCI_MANIFEST};q=0.5"]
)
def test_the_stored_bytes_are_served_whatever_the_client_accepts(
    server: Server, repository: str, accept: str | None
) -> None:
    content = image()
    content.push(server, repository, "v1")
    answer = server.ask("GET", f"/v2/{repository}/manifests/v1", headers={"Accept": accept} if accept else {})
    assert (answer.status, answer.body) == (200, content.manifest)
    assert answer.headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["v1", "digest"])
def test_what_the_client_has_is_not_sent_again(server: Server, repository: str, method: str, reference: str) -> None:
    digest = image().push(server, repository, "v1")
    path = f"/v2/{repository}/manifests/{digest if reference == 'digest' else reference}"
    etag = server.ask("HEAD", path).headers["ETag"]
    answer = server.ask(method, path, headers={"If-None-Match": etag})
    assert (answer.status, answer.body, answer.headers["Docker-Content-Digest"]) == (304, b"", str(digest))
    image().push(server, repository, "v1")
    if reference == "v1":
        assert server.ask(method, path, headers={"If-None-Match": etag}).status == 200


def test_a_config_blob_is_no_manifest_and_a_manifest_is_no_blob(server: Server, repository: str) -> None:
    content = image()
    digest = content.push(server, repository, "v1")
    assert server.ask("GET", f"/v2/{repository}/blobs/{digest}").status == 404
    config = server.push_blob(repository, content.blobs[0])
    assert server.ask("GET", f"/v2/{repository}/manifests/{config}").status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("tag", [".INVALID_MANIFEST_NAME", "-v1", "a" * 129, "%C3%A9"])
def test_what_can_be_no_tag_points_at_nothing(server: Server, repository: str, method: str, tag: str) -> None:
    answer = server.ask(method, f"/v2/{repository}/manifests/{tag}")
    assert answer.status == 404
    assert method == "HEAD" or answer.code == "MANIFEST_UNKNOWN"
