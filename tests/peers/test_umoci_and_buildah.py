"""Images made by umoci go in, images pulled by buildah come out, and their files are the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.peers.stock import Layout, run
from tests.registry_server import Server

pytestmark = pytest.mark.peer


def test_an_image_made_by_umoci_comes_back_and_unpacks_to_the_same_files(server: Server, tmp_path: Path) -> None:
    made, back = tmp_path / "made", tmp_path / "back"
    payload = tmp_path / "payload"
    payload.write_bytes(os.urandom(200_000))
    run("umoci", "init", "--layout", made)
    run("umoci", "new", "--image", f"{made}:1")
    run("umoci", "insert", "--rootless", "--image", f"{made}:1", payload, "/opt/payload")
    where = f"docker://{server.host}/umoci/app:1"
    run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{made}:1", where)
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", where, f"oci:{back}:1")
    run("umoci", "unpack", "--rootless", "--image", f"{back}:1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/opt/payload").read_bytes() == payload.read_bytes()


def test_buildah_pulls_builds_upon_and_pushes(server: Server, layout: Layout, tmp_path: Path) -> None:
    storage = ("--root", tmp_path / "root", "--runroot", tmp_path / "run", "--storage-driver", "vfs")
    base, built = (f"docker://{server.host}/buildah/{name}:1" for name in ("base", "built"))
    run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout.folder}:amd64", base)
    container = run("buildah", *storage, "from", "--tls-verify=false", "--isolation", "chroot", base).strip()
    added = tmp_path / "added"
    added.write_text("added by buildah")
    run("buildah", *storage, "add", container, added, "/added")
    run("buildah", *storage, "commit", "--tls-verify=false", "--quiet", container, built)
    answer = server.ask("GET", "/v2/buildah/built/manifests/1")
    assert answer.status == 200
    assert len(answer.json["layers"]) == 3
