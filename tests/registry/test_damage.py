"""A reader never gets wrong bytes under a right status, and a client that pushes again heals what was damaged."""

from __future__ import annotations

import os
import socket

import pytest

from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.registry_server import Server, Store

BODY = os.urandom(3_000_000)


@pytest.mark.parametrize("size", [0, 1000, len(BODY) - 1, len(BODY) + 1])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_of_another_size_than_recorded_is_not_served(
    store: Store, server: Server, size: int, method: str
) -> None:
    digest = server.push_blob("team/app", BODY)
    os.truncate(store.paths.blob(digest), size)
    assert server.ask(method, f"/v2/team/app/blobs/{digest}").status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_whose_file_is_gone_is_not_served(store: Store, server: Server, method: str) -> None:
    digest = server.push_blob("team/app", BODY)
    store.paths.blob(digest).unlink()
    assert server.ask(method, f"/v2/team/app/blobs/{digest}").status == 404


def test_pushing_a_damaged_blob_again_heals_it(store: Store, server: Server) -> None:
    digest = server.push_blob("team/app", BODY)
    os.truncate(store.paths.blob(digest), 10)
    server.push_blob("team/app", BODY)
    assert server.ask("GET", f"/v2/team/app/blobs/{digest}").body == BODY


def test_a_manifest_that_has_rotted_is_not_served(store: Store, server: Server) -> None:
    content = image()
    digest = content.push(server, "team/app", "v1")
    path = store.paths.blob(digest)
    path.write_bytes(content.manifest.replace(b"2", b"3", 1))
    fresh = store.serve()  # no bytes at hand
    assert fresh.ask("GET", "/v2/team/app/manifests/v1").status == 404
    assert content.push(server, "team/app", "v1") == digest
    assert fresh.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest


def test_a_blob_cut_short_while_it_is_served_ends_its_connection(store: Store, server: Server) -> None:
    body = os.urandom(64_000_000)
    digest = server.push_blob("team/app", body)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = len(client.recv(1000))
        os.truncate(store.paths.blob(digest), 1_000_000)
        try:
            while piece := client.recv(1_000_000):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < len(body)
    assert Digest.of(body) == digest
