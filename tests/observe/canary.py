"""A closed station that serves a canary, for tests."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.access.live import PASSWORD, Live

TAG = "/v2/base/canary/manifests/1"
LAYER = b"a layer of a canary" * 1000
CONFIG = b'{"architecture":"amd64","os":"linux"}'


def described(raw: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": str(Digest.of(raw)), "size": len(raw)}


IMAGE = json.dumps({
    "schemaVersion": 2, "mediaType": OCI_MANIFEST,
    "config": described(CONFIG, "application/vnd.oci.image.config.v1+json"),
    "layers": [described(LAYER, "application/vnd.oci.image.layer.v1.tar")],
}).encode()  # fmt: skip


@contextlib.contextmanager
def canary_station(folder: Path) -> Iterator[Live]:
    """A closed station with the canary base/canary:1, which `robot-canary` may pull."""
    station = Live(folder / "bravo", folder)
    station.make()
    station.configure(push='["base/**"]', image='"base/canary:1"', account='"robot-canary"', minutes="0")
    station.start()
    try:
        station.call("user", "login", "ada", password=PASSWORD)
        for name in ("robot-canary", "robot-push"):
            made = json.loads(station.call("token", "create", name, "--json"))
            file = station.root / "keys" / f"{name}.secret"
            file.write_text(made["secret"])
            file.chmod(0o600)
        station.call("role", "grant", "robot-canary", "reader", "--on", "base/canary")
        station.call("role", "grant", "robot-push", "writer", "--on", "base/**")
        push(station)
        yield station
    finally:
        station.stop()


def push(station: Live) -> None:
    secret = (station.root / "keys/robot-push.secret").read_text()
    sent = {"Authorization": f"Basic {b64encode(f'robot-push:{secret}'.encode()).decode()}"}
    connection = http.client.HTTPSConnection("localhost", station.port, context=station.trusting(), timeout=20)
    with contextlib.closing(connection):
        for method, path, body, kind in (
            ("POST", f"/v2/base/canary/blobs/uploads/?digest=sha256:{hashlib.sha256(CONFIG).hexdigest()}", CONFIG, ""),
            ("POST", f"/v2/base/canary/blobs/uploads/?digest=sha256:{hashlib.sha256(LAYER).hexdigest()}", LAYER, ""),
            ("PUT", TAG, IMAGE, OCI_MANIFEST),
        ):
            connection.request(method, path, body, sent | {"Content-Type": kind or "application/octet-stream"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (201, b"")
