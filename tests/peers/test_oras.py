"""The Python oras client pushes and pulls artifacts, and attaches one to another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.registry_server import Server

oras = pytest.importorskip("oras.client")
pytestmark = pytest.mark.peer

KIND = "application/vnd.example.report.v1"


@pytest.fixture
def client() -> Any:
    return oras.OrasClient(insecure=True, tls_verify=False)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_is_pushed_as_an_artifact_and_pulled_back(
    server: Server, client: Any, tmp_path: Path, chunked: bool
) -> None:
    sent = tmp_path / "report.bin"
    sent.write_bytes(os.urandom(400_000))
    target = f"{server.host}/oras/report:{chunked}"
    answer = client.push(
        target,
        files=[f"{sent}:{KIND}"],
        disable_path_validation=True,
        do_chunked=chunked,
        chunk_size=100_000,
    )
    assert answer.status_code == 201
    (received,) = client.pull(target, outdir=str(tmp_path / "back"))
    assert Path(received).read_bytes() == sent.read_bytes()


def test_tags_are_listed_and_deleted(server: Server, client: Any, tmp_path: Path) -> None:
    sent = tmp_path / "file"
    for tag in ("a", "b"):
        sent.write_text(tag)  # the client deletes a tag by its digest, and with it every tag on the same content
        client.push(f"{server.host}/oras/tags:{tag}", files=[f"{sent}:{KIND}"], disable_path_validation=True)
    assert client.get_tags(f"{server.host}/oras/tags") == ["a", "b"]
    client.delete_tags(f"{server.host}/oras/tags", ["a"])
    assert client.get_tags(f"{server.host}/oras/tags") == ["b"]


def test_a_blob_of_the_stock_client_keeps_its_digest(server: Server, client: Any, tmp_path: Path) -> None:
    sent = tmp_path / "file"
    sent.write_bytes(os.urandom(1000))
    target = f"{server.host}/oras/manifest:1"
    client.push(target, files=[f"{sent}:{KIND}"], disable_path_validation=True)
    manifest = client.get_manifest(target)
    (layer,) = manifest["layers"]
    assert server.ask("GET", f"/v2/oras/manifest/blobs/{layer['digest']}").body == sent.read_bytes()
