"""OCI image layouts are read as hostile folders, and index.json names its manifests `repository:tag`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import LockgateError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.format.manifest import Artifact
from bundles.format.oci_layout import LAYOUT, LayoutFolder, index_bytes
from bundles.oci.digest import Digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
RAW = b'{"schemaVersion":2}'


def artifact(repository: str, content: bytes, *tags: str) -> Artifact:
    digest = str(Digest.of(content))
    return Artifact(
        repository=repository, digest=digest, mediaType=MANIFEST, kind="image", size=len(content), tags=list(tags)
    )


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A layout of one manifest, `team/app:1`."""
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "oci-layout").write_bytes(LAYOUT)
    (tmp_path / "index.json").write_bytes(index_bytes([artifact("team/app", RAW, "1")]))
    (tmp_path / "blobs" / Digest.of(RAW).path).write_bytes(RAW)
    return tmp_path


def test_a_manifest_stands_once_a_tag_and_once_where_it_has_none() -> None:
    raw = index_bytes([artifact("b", b"two"), artifact("a", b"one", "1", "latest")])
    document = json.loads(raw)
    names = [entry.get("annotations") for entry in document["manifests"]]
    key = "org.opencontainers.image.ref.name"
    assert names == [{key: "a:1"}, {key: "a:latest"}, None]
    assert (document["schemaVersion"], document["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")


def test_the_same_artifacts_give_the_same_bytes_in_any_order() -> None:
    one, two = artifact("b", b"two"), artifact("a", b"one", "1")
    assert index_bytes([one, two]) == index_bytes([two, one])


def test_entries_come_with_their_names(layout: Path) -> None:
    ((name, descriptor),) = LayoutFolder(layout).entries()
    assert name == "team/app:1"
    assert LayoutFolder(layout).read_manifest(descriptor) == RAW


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_folder_without_the_files_of_a_layout_is_none(layout: Path, name: str) -> None:
    (layout / name).unlink()
    with pytest.raises(UsageError, match="not an OCI image layout"):
        LayoutFolder(layout)


@pytest.mark.parametrize("raw", [b'{"imageLayoutVersion":"2.0.0"}', b"[]", b"{}", b"not json"])
def test_a_layout_of_another_version_is_not_read(layout: Path, raw: bytes) -> None:
    (layout / "oci-layout").write_bytes(raw)
    with pytest.raises(MalformedError):
        LayoutFolder(layout)


@pytest.mark.parametrize(
    "index",
    [
        [],
        {},
        {"manifests": {}},
        {"manifests": [1]},
        {"manifests": [{"mediaType": MANIFEST, "digest": "sha256:../../../etc/passwd", "size": 1}]},
        {"manifests": [{"mediaType": MANIFEST, "digest": str(Digest.of(RAW)), "size": -1}]},
    ],
)
def test_a_malformed_index_is_named(layout: Path, index: Any) -> None:
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(MalformedError):
        LayoutFolder(layout).entries()


def test_a_blob_that_is_not_there_is_named(layout: Path) -> None:
    with pytest.raises(NotFoundError, match=str(Digest.of(b"x"))):
        LayoutFolder(layout).open_blob(Digest.of(b"x"))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_regular_file_is_a_blob(layout: Path, kind: str) -> None:
    path = layout / "blobs" / Digest.of(RAW).path
    path.unlink()
    if kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(LockgateError, match="not a regular file"):
        LayoutFolder(layout).open_blob(Digest.of(RAW))


def test_a_link_in_the_index_s_place_is_not_followed(layout: Path, tmp_path: Path) -> None:
    (layout / "index.json").rename(layout / "real.json")
    (layout / "index.json").symlink_to(layout / "real.json")
    with pytest.raises(RefusedError, match="not a regular file"):
        LayoutFolder(layout).entries()


@pytest.mark.parametrize("raw", [RAW + b" ", RAW[:-1], RAW.replace(b"2", b"3")])
def test_a_manifest_that_is_not_its_descriptor_s_is_refused(layout: Path, raw: bytes) -> None:
    (layout / "blobs" / Digest.of(RAW).path).write_bytes(raw)
    ((_, descriptor),) = LayoutFolder(layout).entries()
    with pytest.raises(RefusedError, match="not what its descriptor says"):
        LayoutFolder(layout).read_manifest(descriptor)
