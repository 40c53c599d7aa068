"""Mounting a blob from another repository (specification: end-11)."""

from __future__ import annotations

import os

import pytest

from bundles.oci.digest import Digest
from tests.registry_server import Answer, Server


def mount(server: Server, repository: str, digest: Digest | str, source: str | None) -> Answer:
    where = "" if source is None else f"&from={source}"
    return server.ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}{where}")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("named", [True, False])
def test_a_blob_another_repository_shows_is_mounted(
    server: Server, repository: str, named: bool, algorithm: str
) -> None:
    body = os.urandom(512)
    source = f"{repository}/source"
    digest = server.push_blob(source, body, algorithm)
    answer = mount(server, repository, digest, source if named else None)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/{repository}/blobs/{digest}"
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert server.ask("GET", answer.headers["Location"]).body == body


@pytest.mark.parametrize("source", ["nobody/has/this", None])
def test_a_mount_that_is_not_possible_becomes_an_upload(server: Server, repository: str, source: str | None) -> None:
    body = os.urandom(512)
    answer = mount(server, repository, Digest.of(body), source)
    assert answer.status == 202
    assert server.ask("PUT", f"{answer.headers['Location']}?digest={Digest.of(body)}", body).status == 201


def test_a_source_that_does_not_show_the_blob_gives_nothing_though_another_does(
    server: Server, repository: str
) -> None:
    digest = server.push_blob(f"{repository}/has-it", os.urandom(512))
    server.push_blob(f"{repository}/has-not", b"other")
    assert mount(server, repository, digest, f"{repository}/has-not").status == 202
    assert server.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


def test_each_repository_shows_a_mounted_blob_for_itself(server: Server, repository: str) -> None:
    source = f"{repository}/source"
    digest = server.push_blob(source, os.urandom(512))
    mount(server, repository, digest, source)
    assert server.ask("DELETE", f"/v2/{source}/blobs/{digest}").status == 202
    assert server.ask("HEAD", f"/v2/{source}/blobs/{digest}").status == 404
    assert server.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def test_a_malformed_mount_is_400(server: Server, repository: str) -> None:
    assert mount(server, repository, "sha256:bad", "source").code == "DIGEST_INVALID"
    assert mount(server, repository, Digest.of(b"x"), "Not/A/Name").code == "NAME_INVALID"
