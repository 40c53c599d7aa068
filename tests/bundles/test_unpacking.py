"""Unpacking: an OCI image layout that stock tools read, or nothing at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from bundles import build
from bundles.errors import CancelledError, FailedError, IncompleteError, LockgateError, RefusedError, UsageError
from bundles.format.manifest import Required
from bundles.format.oci_layout import LayoutFolder
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.signing.trust import TrustFolder
from bundles.unpack import unpack
from bundles.unpack_forms import DIR, DOCKER_ARCHIVE, Written
from tests.bundles.docker_types import TypedBundle
from tests.bundles.small import LATER, SmallBundle, content_of, sign, trust_of
from tests.peer_tools import require
from tests.peers.stock import run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"), media=2)


@pytest.fixture
def trust(bundle: SmallBundle, tmp_path: Path) -> TrustFolder:
    return trust_of(tmp_path / "trust", bundle.key)


def test_every_blob_is_there_and_parts_are_joined(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    unpack(bundle.folders[::-1], trust, LATER, tmp_path / "layout", no_progress)
    found = {str(path.relative_to(tmp_path / "layout/blobs")) for path in (tmp_path / "layout/blobs").glob("*/*")}
    assert found == {digest.path for digest in bundle.store.blobs}
    for digest, data in bundle.store.blobs.items():
        assert (tmp_path / "layout/blobs" / digest.path).read_bytes() == data


def test_the_layout_is_the_one_that_the_volumes_carry(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    require("7z")
    unpack(bundle.folders, trust, LATER, tmp_path / "layout", no_progress)
    subprocess.run(
        ["7z", "x", f"-o{tmp_path}/stock", bundle.folder / "volumes/0001.7z"], check=True, capture_output=True
    )
    for name in ("index.json", "oci-layout"):
        assert (tmp_path / "layout" / name).read_bytes() == (tmp_path / "stock" / name).read_bytes()


def test_our_own_reader_finds_every_artifact_by_its_name(
    bundle: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    unpack(bundle.folders, trust, LATER, tmp_path / "layout", no_progress)
    layout = LayoutFolder(tmp_path / "layout")
    found = {name: str(descriptor.digest) for name, descriptor in layout.entries()}
    assert found == {f"{artifact.repository}:{artifact.tags[0]}": artifact.digest for artifact in bundle.artifacts}
    for _, descriptor in layout.entries():
        layout.read_manifest(descriptor)


def test_skopeo_reads_every_artifact_by_its_name(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    require("skopeo")
    unpack(bundle.folders, trust, LATER, tmp_path / "layout", no_progress)
    for artifact in bundle.artifacts:
        name = f"oci:{tmp_path}/layout:{artifact.repository}:{artifact.tags[0]}"
        raw = subprocess.run(["skopeo", "inspect", "--raw", name], check=True, capture_output=True).stdout
        assert json.loads(raw)["artifactType"] == "application/vnd.lockgate.file.v1"


def test_a_delta_s_layout_is_there_and_what_it_lacks_is_said(
    bundle: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    base = Required(digest="sha256:" + "0" * 64, size=5)
    signed = sign(msgspec.structs.replace(bundle.manifest, requires=[base]), [bundle.key])
    folders = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        folders.append(tmp_path / str(number))
    media = build.write(signed, bundle.store, folders, no_progress)
    with pytest.raises(IncompleteError, match=f"delta.*1 blob is not in it.*{base.digest}"):
        unpack(media, trust, LATER, tmp_path / "layout", no_progress)
    assert LayoutFolder(tmp_path / "layout").entries()


def test_a_missing_medium_is_named_and_nothing_is_written(
    bundle: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    with pytest.raises(IncompleteError, match="insert medium 2 of 2"):
        unpack(bundle.folders[:1], trust, LATER, tmp_path / "layout", no_progress)
    assert not (tmp_path / "layout").exists()


def test_a_damaged_bundle_leaves_nothing_behind(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(folder, tmp_path / f"copy{n}")) for n, folder in enumerate(bundle.folders)]
    last = sorted((folders[1] / "volumes").iterdir())[-1]
    data = bytearray(last.read_bytes())
    data[100] ^= 1
    last.write_bytes(data)
    (tmp_path / "layout").mkdir()
    with pytest.raises(RefusedError, match=last.name):
        unpack(folders, trust, LATER, tmp_path / "layout", no_progress)
    assert list((tmp_path / "layout").iterdir()) == []


def test_cancelling_leaves_nothing_behind(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    def cancel(phase: str, done: int, total: int) -> None:
        assert phase == "unpack"
        if done * 2 > total:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        unpack(bundle.folders, trust, LATER, tmp_path / "layout", cancel)
    assert list((tmp_path / "layout").iterdir()) == []


def test_the_folder_that_it_goes_into_is_never_made(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path) -> None:
    """Where a medium is not mounted, its path would be made on the system's own disk."""
    with pytest.raises(UsageError, match=r"not there: .*/usb; mount the medium"):
        unpack(bundle.folders, trust, LATER, tmp_path / "usb/new", no_progress)
    assert not (tmp_path / "usb").exists()


@pytest.mark.parametrize("name", ["file", "folder/thing"])
def test_a_target_in_use_is_left_alone(bundle: SmallBundle, trust: TrustFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(LockgateError, match=r"not empty|Not a directory"):
        unpack(bundle.folders, trust, LATER, tmp_path / name.partition("/")[0], no_progress)
    assert (tmp_path / name).read_text() == "mine"


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> TypedBundle:
    return TypedBundle(tmp_path_factory.mktemp("typed"))


def unpack_typed(typed: TypedBundle, form: str, root: Path) -> Written:
    trust = trust_of(root / "trust", typed.key)
    _, written = unpack([typed.folder], trust, LATER, root / "out", no_progress, form)
    return written


def test_dir_folders_hold_every_artifact_as_skopeo_reads_it(typed: TypedBundle, tmp_path: Path) -> None:
    require("skopeo")
    written = unpack_typed(typed, DIR, tmp_path)
    (sbom,) = (f"team/app@{one['digest'].replace(':', '-')}" for one in typed.untagged.values())
    assert sorted(written.files) == sorted([sbom, *(name.replace(":", "@") for name in typed.tagged)])
    assert (written.left_out, written.incomplete) == ([], [])
    for name in typed.tagged:
        path = tmp_path / "out" / name.replace(":", "@")
        run("skopeo", "copy", "--quiet", "--all", "--preserve-digests", f"dir:{path}", f"dir:{tmp_path}/{path.name}")
        raw = (tmp_path / path.name / "manifest.json").read_bytes()
        assert Digest.of(raw) == typed.digest(name)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"team", "files"}


def test_archives_hold_each_image_as_docker_save_writes_it(typed: TypedBundle, tmp_path: Path) -> None:
    require("skopeo")
    written = unpack_typed(typed, DOCKER_ARCHIVE, tmp_path)
    indexes = [f"team/{name}@1@linux-{arch}.tar" for name in ("both", "list", "mixed") for arch in ("amd64", "arm64")]
    assert sorted(written.files) == sorted(["team/app@1.tar", "team/docker@1.tar", "team/docker@stable.tar", *indexes])
    (sbom,) = (f"team/app@{one['digest']}" for one in typed.untagged.values())
    assert sorted(name for name, _ in written.left_out) == sorted(["files/thing:1", sbom]), "nothing goes unsaid"
    for path in written.files:
        name = path.partition("@")[0] + (":stable" if "stable" in path else ":1")
        archive = f"docker-archive:{tmp_path}/out/{path}"
        shown = json.loads(run("skopeo", "inspect", "--override-arch", path[-9:-4], archive))
        config = json.loads(run("skopeo", "inspect", "--config", archive))
        assert config["architecture"] == ("arm64" if "arm64" in path else "amd64")
        assert name in run("skopeo", "list-tags", archive)
        assert len(shown["Layers"]) == 1


def test_what_is_no_image_is_named_where_nothing_else_is_there(
    bundle: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    with pytest.raises(FailedError, match="nothing in the bundle can be a docker-archive"):
        unpack(bundle.folders, trust, LATER, tmp_path / "out", no_progress, DOCKER_ARCHIVE)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("form", [DIR, DOCKER_ARCHIVE])
def test_of_a_delta_what_is_whole_is_written_and_the_rest_is_said(tmp_path: Path, form: str) -> None:
    typed = TypedBundle(tmp_path / "typed")
    config = json.loads(typed.store.blobs[typed.digest("team/docker:1")])["config"]
    base = Required(digest=config["digest"], size=config["size"])
    typed.store.blobs.pop(Digest.parse(base.digest))
    content = content_of(typed.store, typed.artifacts)
    laid_out = build.lay_out(content, build.plan_volumes(content, 5_000_000, [None]), typed.store, no_progress)
    manifest = msgspec.structs.replace(typed.manifest, requires=[base], blobs=laid_out.blobs, volumes=laid_out.volumes)
    (tmp_path / "delta").mkdir()
    folders = build.write(sign(manifest, [typed.key]), typed.store, [tmp_path / "delta"], no_progress)
    trust = trust_of(tmp_path / "trust", typed.key)
    with pytest.raises(IncompleteError, match="delta"):
        unpack(folders, trust, LATER, tmp_path / "out", no_progress, form)
    assert not list((tmp_path / "out").rglob("docker@*"))
    assert not (tmp_path / "out/.layout").exists()
    if form == DIR:
        assert (tmp_path / "out/files/thing@1/manifest.json").exists()
