"""What does not fit is refused when it is announced: nothing of it is sent, read or written."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.store.reserve import NoRoomError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.conformance.shapes import LAYER, descriptor
from tests.outgoing.outside import Outside
from tests.registry_server import Server, Store

HUGE = 10**15
DIGEST = Digest.of(b"never sent")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as made:
        yield made


def announced(server: Server, method: str, path: str, **headers: object) -> int:
    """The status that answers a request whose body does not come."""
    fields = {"Host": server.host, "Content-Length": HUGE} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return int(connection.recv(4096).split()[1])


def test_a_push_of_more_than_the_disk_holds_is_answered_before_its_body(store: Store) -> None:
    server = store.serve()
    uploads = "/v2/team/app/blobs/uploads/"
    assert announced(server, "POST", f"{uploads}?digest={DIGEST}") == 507
    location = server.ask("POST", uploads).headers["Location"]
    assert announced(server, "PATCH", location) == 507
    assert announced(server, "PATCH", location, Content_Range=f"0-{HUGE - 1}") == 507
    assert announced(server, "PUT", f"{location}?digest={DIGEST}") == 507
    assert server.ask("GET", location).status == 204, "the upload may go on with less"
    assert server.push_blob("team/app", bytes(2 << 20))
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        head = f"PATCH {location} HTTP/1.1\r\nHost: {server.host}\r\nTransfer-Encoding: chunked\r\n"
        connection.sendall(f"{head}Content-Range: 0-{HUGE - 1}\r\n\r\n".encode())
        assert connection.recv(4096).split()[1] == b"507"


def test_a_blob_that_does_not_fit_is_not_begun(store: Store) -> None:
    with pytest.raises(NoRoomError):
        store.blobs.begin_blob(DIGEST, HUGE)
    assert list(store.blobs.uploads.iterdir()) == []


@pytest.mark.parametrize("deep", [False, True])
def test_a_collect_of_a_layer_that_does_not_fit_takes_none_of_its_blobs(tmp_path: Path, deep: bool) -> None:
    layout = tmp_path / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)

    def put(body: bytes) -> bytes:
        (layout / "blobs/sha256" / Digest.of(body).hex).write_bytes(body)
        return body

    huge = {"mediaType": LAYER, "digest": str(DIGEST), "size": HUGE}
    put(b"never sent")
    manifest = put(json.dumps({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(put(b"{}"), OCI_CONFIG),
        "layers": [descriptor(put(b"a small layer"), LAYER), huge],
    }).encode())  # fmt: skip
    root, kind = manifest, OCI_MANIFEST
    if deep:
        manifests = [descriptor(manifest, OCI_MANIFEST)]
        root = put(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode())
        kind = OCI_INDEX
    named = descriptor(root, kind, annotations={"org.opencontainers.image.ref.name": "1"})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    with Outside(tmp_path / "alpha") as outside:
        with pytest.raises(NoRoomError):
            outside.collect_layout(layout, as_="team/app:1")
        assert outside.station.metadata.totals() == (0, 0)
        assert not any(path.is_file() for path in outside.station.paths.blobs.rglob("*"))
