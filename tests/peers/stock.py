"""What peer tests share: running a stock tool, and an OCI layout that none of them has made."""

from __future__ import annotations

import gzip
import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bundles.oci.digest import Digest
from tests.peer_tools import require

OCI = "application/vnd.oci.image"


def run(*command: object, folder: Path | None = None) -> str:
    """A stock tool's stdout; its stderr where it fails."""
    require(str(command[0]))
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@contextmanager
def docker_registry_in(folder: Path) -> Iterator[str]:
    """Docker's own registry, empty, over plain HTTP on loopback: its host and port."""
    require("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{host}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n"
    )
    process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urlopen(f"http://{host}/v2/", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield host
    finally:
        process.kill()
        process.wait()


HTPASSWD = "ada:$2b$05$abcdefghijklmnopqrstuucoBHxrOz1JPhvMP97TeQ3r1OHQFXeau\n"
"""The account `ada` with the password `registry password`, as htpasswd -B writes it: bcrypt is in no library here."""


@contextmanager
def closed_registry_in(folder: Path, certificate: Path) -> Iterator[str]:
    """Docker's own registry, empty, over TLS on loopback and with the account of HTPASSWD alone: its host and port.
    `certificate` holds the chain and the key."""
    require("docker-registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\n"
        f"http: {{addr: '127.0.0.1:{port}', tls: {{certificate: '{certificate}', key: '{certificate}'}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}'}}}}\n"
        f"auth: {{htpasswd: {{realm: test, path: '{folder}/htpasswd'}}}}\n"
    )
    process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Layout:
    """An OCI layout written by hand, so that no tool under test has made what it is tested with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: list[dict[str, Any]] = []
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, body: bytes, media_type: str) -> dict[str, Any]:
        """Its descriptor."""
        digest = Digest.of(body)
        (self.folder / "blobs" / digest.path).write_bytes(body)
        return {"mediaType": media_type, "digest": str(digest), "size": len(body)}

    def image(self, files: Mapping[str, bytes], architecture: str) -> dict[str, Any]:
        """An image of one layer for each file."""
        layers, diffs = [], []
        for name, body in files.items():
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w") as tar:
                member = tarfile.TarInfo(name)
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
            diffs.append(str(Digest.of(stream.getvalue())))
            layers.append(self.blob(gzip.compress(stream.getvalue(), mtime=0), f"{OCI}.layer.v1.tar+gzip"))
        config = {"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diffs}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": layers,
        }
        described = self.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
        return described | {"platform": {"os": "linux", "architecture": architecture}}

    def artifact(self, blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """An artifact of one blob for each name; no image, so nothing describes it."""
        return self.manifest([self.blob(body, "application/octet-stream") for body in blobs.values()])

    def manifest(self, layers: list[dict[str, Any]]) -> dict[str, Any]:
        """An artifact of blobs that are there."""
        fields = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "artifactType": "application/vnd.example.model",
            "config": self.blob(b"{}", f"{OCI}.empty.v1+json"),
            "layers": layers,
        }
        return self.blob(json.dumps(fields).encode(), f"{OCI}.manifest.v1+json")

    def index(self, children: list[dict[str, Any]]) -> dict[str, Any]:
        fields = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": children}
        return self.blob(json.dumps(fields).encode(), f"{OCI}.index.v1+json")

    def tag(self, name: str, described: Mapping[str, Any]) -> None:
        entry = {key: described[key] for key in ("mediaType", "digest", "size")}
        self._entries.append(entry | {"annotations": {"org.opencontainers.image.ref.name": name}})
        fields = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": self._entries}
        (self.folder / "index.json").write_text(json.dumps(fields))

    def digest(self, name: str) -> str:
        return next(
            entry["digest"]
            for entry in self._entries
            if entry["annotations"]["org.opencontainers.image.ref.name"] == name
        )
