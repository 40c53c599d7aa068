"""A bundle is defined before it is written, written once, and read back by us and by stock tools alike."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import py7zr
import pytest

from bundles import build
from bundles.errors import FailedError, IncompleteError, RefusedError, UsageError
from bundles.ports import no_progress
from bundles.unpack import unpack
from bundles.verify import verify
from tests.bundles.small import LATER, SmallBundle, trust_of
from tests.peer_tools import require


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"))


def test_a_bundle_verifies_where_its_key_is_pinned(bundle: SmallBundle, tmp_path: Path) -> None:
    verified = verify([bundle.folder], trust_of(tmp_path / "trust", bundle.key), LATER, no_progress)
    assert verified.opened.manifest == bundle.manifest
    assert str(verified.opened.digest) == "sha256:" + hashlib.sha256(bundle.signed.sums).hexdigest()


def test_a_medium_is_found_by_its_mount_point(bundle: SmallBundle, tmp_path: Path) -> None:
    verify([bundle.out[0]], trust_of(tmp_path / "trust", bundle.key), LATER, no_progress)


def test_a_blob_larger_than_a_volume_is_carried_in_parts(bundle: SmallBundle) -> None:
    parted = [blob for blob in bundle.manifest.blobs if blob.parts]
    assert [blob.size for blob in parted] == [3_000_000]
    assert max(volume.size for volume in bundle.manifest.volumes) <= 1_200_000


def test_the_same_plan_gives_the_same_volume_bytes(bundle: SmallBundle, tmp_path: Path) -> None:
    again = SmallBundle(tmp_path)
    assert again.laid_out == bundle.laid_out
    for volume in sorted((bundle.folder / "volumes").iterdir()):
        assert volume.read_bytes() == (again.folder / "volumes" / volume.name).read_bytes()


def test_a_volume_that_was_lost_is_cut_again_byte_for_byte(bundle: SmallBundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (folder,) = build.write(bundle.signed, bundle.store, [out], no_progress)
    before = (folder / "volumes/0002.7z").read_bytes()
    kept = (folder / "volumes/0001.7z").stat().st_ino
    (folder / "volumes/0002.7z").unlink()
    build.write(bundle.signed, bundle.store, [out], no_progress)
    assert (folder / "volumes/0002.7z").read_bytes() == before
    assert (folder / "volumes/0001.7z").stat().st_ino == kept


def test_a_damaged_volume_on_the_medium_is_cut_again(bundle: SmallBundle, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (folder,) = build.write(bundle.signed, bundle.store, [out], no_progress)
    good = (folder / "volumes/0001.7z").read_bytes()
    (folder / "volumes/0001.7z").write_bytes(b"\0" * len(good))
    build.write(bundle.signed, bundle.store, [out], no_progress)
    assert (folder / "volumes/0001.7z").read_bytes() == good


def test_another_bundle_of_the_same_name_on_the_medium_is_kept(bundle: SmallBundle, tmp_path: Path) -> None:
    folder = tmp_path / bundle.manifest.id
    (folder / "volumes").mkdir(parents=True)
    (folder / "SHA256SUMS").write_bytes(b"another")
    with pytest.raises(RefusedError, match="another bundle"):
        build.write(bundle.signed, bundle.store, [tmp_path], no_progress)
    assert (folder / "SHA256SUMS").read_bytes() == b"another"


def test_a_rotten_blob_is_found_before_anything_is_signed(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path)
    for digest, data in list(bundle.store.blobs.items()):
        bundle.store.blobs[digest] = data[:-1] + bytes([data[-1] ^ 1]) if data else data
    packing = build.plan_volumes(bundle.content, 1_200_000, [None])
    with pytest.raises(FailedError, match="rotted"):
        build.lay_out(bundle.content, packing, bundle.store, no_progress)


def test_progress_counts_every_byte_written_and_compared(bundle: SmallBundle, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    build.write(bundle.signed, bundle.store, [tmp_path], lambda *call: seen.append(call))
    total = 2 * sum(volume.size for volume in bundle.manifest.volumes)
    assert seen[0] == ("write", 0, total)
    assert seen[-1] == ("write", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_several_media_verify_together_and_name_what_is_missing_alone(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path, media=2)
    trust = trust_of(tmp_path / "trust", bundle.key)
    assert len(bundle.folders) == 2
    verify(bundle.folders, trust, LATER, no_progress)
    verify(bundle.folders[::-1], trust, LATER, no_progress)
    with pytest.raises(IncompleteError, match=r"volumes/0003\.7z.*medium 2"):
        verify(bundle.folders[:1], trust, LATER, no_progress)


def test_media_too_small_for_the_bundle_are_refused_with_the_missing_bytes(bundle: SmallBundle) -> None:
    with pytest.raises(FailedError, match="bytes more are needed"):
        build.plan_volumes(bundle.content, 1_200_000, [2_000_000])


def test_unpacking_joins_parts_and_makes_a_layout_that_skopeo_reads(bundle: SmallBundle, tmp_path: Path) -> None:
    require("skopeo")
    unpack([bundle.folder], trust_of(tmp_path / "trust", bundle.key), LATER, tmp_path / "layout", no_progress)
    for digest, data in bundle.store.blobs.items():
        assert (tmp_path / "layout/blobs" / digest.path).read_bytes() == data
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{tmp_path}/layout:files/big:1"], check=True, capture_output=True
    ).stdout
    assert json.loads(raw)["artifactType"] == "application/vnd.lockgate.file.v1"


def test_unpacking_into_a_folder_in_use_is_refused(bundle: SmallBundle, tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout/mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        unpack([bundle.folder], trust_of(tmp_path / "trust", bundle.key), LATER, tmp_path / "layout", no_progress)


def test_stock_7z_tests_and_unpacks_every_volume(bundle: SmallBundle, tmp_path: Path) -> None:
    require("7z")
    for volume in sorted((bundle.folder / "volumes").iterdir()):
        subprocess.run(["7z", "t", volume], check=True, capture_output=True)
        subprocess.run(["7z", "x", f"-o{tmp_path}", volume], check=True, capture_output=True)
    assert_unpacked(bundle, tmp_path)


def test_py7zr_unpacks_every_volume(bundle: SmallBundle, tmp_path: Path) -> None:
    for volume in sorted((bundle.folder / "volumes").iterdir()):
        with py7zr.SevenZipFile(volume) as archive:
            archive.extractall(tmp_path)
    assert_unpacked(bundle, tmp_path)


def assert_unpacked(bundle: SmallBundle, folder: Path) -> None:
    for digest, data in bundle.store.blobs.items():
        parts = sorted((folder / "parts" / digest.path).glob("*"))
        found = (
            b"".join(part.read_bytes() for part in parts) if parts else (folder / "blobs" / digest.path).read_bytes()
        )
        assert found == data
    assert (folder / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'


def test_openssl_and_sha256sum_confirm_the_bundle_as_the_readme_says(bundle: SmallBundle, tmp_path: Path) -> None:
    require("openssl", "sha256sum")
    (tmp_path / "pub.pem").write_bytes(bundle.key.public.to_pem())
    readme = (bundle.folder / "README.txt").read_text()
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    ") and "SHA256SUMS" in line]
    assert len(commands) == 2
    for command in commands:
        words = command.replace("pub.pem", str(tmp_path / "pub.pem")).split()
        subprocess.run(words, cwd=bundle.folder, check=True, capture_output=True)


def test_a_full_medium_is_one_clear_line_and_the_next_run_goes_on(bundle: SmallBundle, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(FailedError, match=r"No space left.*free some space"):
            build.write(bundle.signed, bundle.store, [tmp_path], no_progress)
        assert not list(tmp_path.rglob("SHA256SUMS"))
        (written,) = tmp_path.rglob("*.part")
        inode = written.stat().st_ino
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path], check=True)
        (folder,) = build.write(bundle.signed, bundle.store, [tmp_path], no_progress)
        assert (folder / "volumes/0001.7z").stat().st_ino == inode
    finally:
        subprocess.run(["umount", tmp_path], check=True)
