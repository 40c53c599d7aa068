"""skopeo pushes, pulls, lists, mounts and deletes, and every digest stays what it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundles.oci.digest import Digest
from tests.peers.stock import Layout, run
from tests.registry_server import Server

pytestmark = pytest.mark.peer

TLS = ("--src-tls-verify=false", "--dest-tls-verify=false")


def push(server: Server, layout: Layout, name: str, target: str, *options: str) -> str:
    run("skopeo", "copy", "--quiet", *TLS, *options, f"oci:{layout.folder}:{name}", f"docker://{server.host}/{target}")
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{server.host}/{target}")
    return str(Digest.of(raw.encode()))


def test_an_image_is_pushed_and_keeps_its_digest(server: Server, layout: Layout) -> None:
    assert push(server, layout, "amd64", "team/app:1") == layout.digest("amd64")


def test_an_index_is_pushed_with_both_platforms(server: Server, layout: Layout) -> None:
    assert push(server, layout, "both", "team/index:1", "--all") == layout.digest("both")
    for name in ("amd64", "arm64"):
        answer = server.ask("HEAD", f"/v2/team/index/manifests/{layout.digest(name)}")
        assert answer.status == 200


def test_an_image_comes_back_as_it_went(server: Server, layout: Layout, tmp_path: Path) -> None:
    push(server, layout, "both", "team/back:1", "--all")
    run("skopeo", "copy", "--quiet", "--all", *TLS, f"docker://{server.host}/team/back:1", f"oci:{tmp_path}:back")
    back = json.loads((tmp_path / "index.json").read_text())["manifests"][0]
    assert back["digest"] == layout.digest("both")
    for blob in (tmp_path / "blobs/sha256").iterdir():
        assert blob.read_bytes() == (layout.folder / "blobs/sha256" / blob.name).read_bytes()


def test_an_image_is_pushed_in_dockers_format(server: Server, layout: Layout) -> None:
    push(server, layout, "amd64", "team/docker:1", "--format", "v2s2")
    answer = server.ask("HEAD", "/v2/team/docker/manifests/1")
    assert answer.headers["Content-Type"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_an_image_is_copied_from_one_repository_to_another(server: Server, layout: Layout) -> None:
    push(server, layout, "both", "team/source:1", "--all")
    source, target = (f"docker://{server.host}/team/{name}:1" for name in ("source", "target"))
    run("skopeo", "copy", "--quiet", "--all", *TLS, source, target)
    answer = server.ask("HEAD", "/v2/team/target/manifests/1")
    assert answer.headers["Docker-Content-Digest"] == layout.digest("both")


def test_tags_are_listed_and_images_inspected(server: Server, layout: Layout) -> None:
    for tag in ("1", "2", "latest"):
        push(server, layout, "amd64", f"team/listed:{tag}")
    where = f"docker://{server.host}/team/listed"
    listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", where))
    inspected = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"{where}:1"))
    assert listed["Tags"] == ["1", "2", "latest"]
    assert (inspected["Digest"], inspected["Architecture"]) == (layout.digest("amd64"), "amd64")


def test_a_deleted_image_is_gone(server: Server, layout: Layout) -> None:
    push(server, layout, "amd64", "team/deleted:1")
    run("skopeo", "delete", "--tls-verify=false", f"docker://{server.host}/team/deleted:1")
    assert server.ask("HEAD", "/v2/team/deleted/manifests/1").status == 404


def test_a_repository_is_synced_to_a_folder(server: Server, layout: Layout, tmp_path: Path) -> None:
    push(server, layout, "amd64", "team/synced:1")
    run(
        "skopeo", "sync", "--src-tls-verify=false", "--src", "docker", "--dest", "dir",
        f"{server.host}/team/synced", tmp_path,
    )  # fmt: skip
    manifest = next(tmp_path.rglob("manifest.json"))
    assert str(Digest.of(manifest.read_bytes())) == layout.digest("amd64")
