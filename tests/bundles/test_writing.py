"""Cutting volumes onto media: streamed, synced, compared, resumed; a medium's failure is one clear line."""

from __future__ import annotations

import errno
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from bundles import build
from bundles.errors import CancelledError, FailedError, NotFoundError, RefusedError, UsageError
from bundles.format.manifest import volume_path
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.volumes import cache
from bundles.volumes import write as writing
from bundles.volumes.write import cut_volume
from tests.bundles.small import MemoryStore, SmallBundle, content_of, sign


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    return SmallBundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A medium of two megabytes with nothing behind it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def write(bundle: SmallBundle, out: Path, **options: object) -> Path:
    (folder,) = build.write(bundle.signed, bundle.store, [out], no_progress, **options)  # type: ignore[arg-type]
    return folder


def volumes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "volumes").iterdir())}


def test_one_volume_is_cut_alone_byte_for_byte(bundle: SmallBundle, tmp_path: Path) -> None:
    layout = build.layouts_of(bundle.manifest)
    for volume in bundle.manifest.volumes:
        path = tmp_path / Path(volume_path(volume.index)).name
        cut_volume(layout(volume.index), volume.sha256, bundle.store, path, lambda _: None)
    assert volumes_of(bundle.folder) == {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}


def test_a_volume_that_is_there_and_compares_is_kept(bundle: SmallBundle, tmp_path: Path) -> None:
    folder = write(bundle, tmp_path)
    before = [path.stat().st_ino for path in sorted((folder / "volumes").iterdir())]
    write(bundle, tmp_path)
    assert [path.stat().st_ino for path in sorted((folder / "volumes").iterdir())] == before


def test_a_volume_that_was_written_and_not_yet_compared_is_compared_and_kept(
    bundle: SmallBundle, tmp_path: Path
) -> None:
    folder = write(bundle, tmp_path)
    volume = folder / "volumes/0001.7z"
    inode = volume.stat().st_ino
    volume.rename(volume.with_name("0001.7z.part"))
    write(bundle, tmp_path)
    assert volume.stat().st_ino == inode


@pytest.mark.parametrize("name", ["volumes/0001.7z.part", ".SHA256SUMS.4711.part", ".manifest.json.1.part"])
def test_what_a_power_cut_left_half_written_goes(bundle: SmallBundle, tmp_path: Path, name: str) -> None:
    folder = tmp_path / bundle.manifest.id
    (folder / "volumes").mkdir(parents=True)
    (folder / name).write_bytes(b"7z\xbc\xaf")
    write(bundle, tmp_path)
    assert not list(folder.rglob("*.part"))
    assert volumes_of(folder) == volumes_of(bundle.folder)


def test_a_cancelled_write_leaves_no_torn_volume_and_goes_on(bundle: SmallBundle, tmp_path: Path) -> None:
    def cancel(phase: str, done: int, total: int) -> None:
        if done > bundle.manifest.volumes[0].size:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        build.write(bundle.signed, bundle.store, [tmp_path], cancel)
    folder = tmp_path / bundle.manifest.id
    assert not (folder / "SHA256SUMS").exists()
    sizes = {f"{volume.index:04d}.7z.part": volume.size for volume in bundle.manifest.volumes}
    assert all(path.stat().st_size == sizes[path.name] for path in (folder / "volumes").iterdir())
    assert volumes_of(write(bundle, tmp_path)) == volumes_of(bundle.folder)


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from bundles import build

signed, store = pickle.loads(Path(sys.argv[1]).read_bytes())
calls = 0

def progress(phase, done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

build.write(signed, store, [Path(sys.argv[2])], progress)
"""


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 6, 8])
def test_a_write_that_was_killed_goes_on_to_the_same_bytes(bundle: SmallBundle, tmp_path: Path, moment: int) -> None:
    (tmp_path / "job").write_bytes(pickle.dumps((bundle.signed, bundle.store)))
    out = tmp_path / "out"
    out.mkdir()
    arguments = [str(tmp_path / "job"), str(out), str(moment)]
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    folder = write(bundle, out)
    assert volumes_of(folder) == volumes_of(bundle.folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in bundle.folder.iterdir())


@pytest.mark.parametrize(
    "name", ["notes.txt", "volumes/0099.7z", "volumes/x", "SHA256SUMS.bak", "volumes/0001.7z.part.part"]
)
def test_another_s_file_in_the_folder_is_kept_and_named(bundle: SmallBundle, tmp_path: Path, name: str) -> None:
    folder = tmp_path / bundle.manifest.id
    (folder / "volumes").mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(RefusedError, match=Path(name).name):
        write(bundle, tmp_path)
    assert (folder / name).read_text() == "mine"
    assert not (folder / "manifest.json").exists()


def test_another_bundle_that_was_never_finished_is_recognised_by_its_manifest(
    bundle: SmallBundle, tmp_path: Path
) -> None:
    folder = tmp_path / bundle.manifest.id
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(RefusedError, match="another bundle of this name"):
        write(bundle, tmp_path)


def test_signatures_that_joined_and_recovery_files_stay(bundle: SmallBundle, tmp_path: Path) -> None:
    folder = write(bundle, tmp_path)
    joined = folder / f"SHA256SUMS.{'a' * 16}.sig"
    joined.write_bytes(b"signature")
    (folder / "recovery").mkdir()
    write(bundle, tmp_path)
    assert joined.read_bytes() == b"signature"


@pytest.mark.parametrize("name", ["", "volumes", "manifest.json", "SHA256SUMS", "volumes/0001.7z"])
def test_links_on_the_medium_are_not_followed(bundle: SmallBundle, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if name in ("", "volumes"):
        elsewhere.mkdir()
    else:
        elsewhere.write_bytes(b"precious")
    out = tmp_path / "out"
    folder = out / bundle.manifest.id
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(RefusedError, match="not a"):
        write(bundle, out)
    assert list(elsewhere.iterdir()) == [] if elsewhere.is_dir() else elsewhere.read_bytes() == b"precious"


def test_a_medium_is_finished_when_sha256sums_is_there(bundle: SmallBundle, tmp_path: Path) -> None:
    folder = tmp_path / bundle.manifest.id
    present: list[bool] = []
    build.write(bundle.signed, bundle.store, [tmp_path], lambda *_: present.append((folder / "SHA256SUMS").exists()))
    assert not any(present)
    assert (folder / "SHA256SUMS").read_bytes() == bundle.signed.sums


def test_every_medium_is_looked_at_before_the_first_is_written(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path / "two", media=2)
    one, two = tmp_path / "one", tmp_path / "gone"
    one.mkdir()
    with pytest.raises(FailedError, match=r"No such file.*gone.*mounted"):
        build.write(bundle.signed, bundle.store, [one, two], no_progress)
    assert not list(one.rglob("*.7z*"))


def test_two_media_in_one_folder_are_a_usage_error(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path / "two", media=2)
    with pytest.raises(UsageError, match="a folder of its own"):
        build.write(bundle.signed, bundle.store, [tmp_path, tmp_path], no_progress)


def test_a_read_only_medium_is_one_clear_line(bundle: SmallBundle, tmpfs: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tmpfs], check=True)
    with pytest.raises(FailedError, match=r"Read-only file system.*write-protection"):
        write(bundle, tmpfs)


def test_a_medium_that_changes_bytes_is_refused_by_name(
    bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache.drop_pages

    def spoil(descriptor: int) -> None:
        """A faulty stick: a byte turns between the write and the read."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.name == "0002.7z.part":
            os.truncate(path, path.stat().st_size - 1)
            with path.open("ab") as file:
                file.write(b"\xff")
        real(descriptor)

    monkeypatch.setattr(writing, "drop_pages", spoil)
    with pytest.raises(FailedError, match=r"other bytes than were written.*0002\.7z.*medium is faulty"):
        write(bundle, tmp_path)
    left = [path.name for path in (tmp_path / bundle.manifest.id / "volumes").iterdir()]
    assert "0001.7z" in left
    assert not any(name.startswith("0002") for name in left)


def test_a_stick_that_claims_more_room_than_it_has_is_found(
    bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its later volumes lie over its first: only a comparison after the last write sees it."""
    real = writing.write_volume

    def wrap(layout: object, source: object, path: Path, advance: object) -> None:
        real(layout, source, path, advance)  # type: ignore[arg-type]
        if path.name == "0003.7z":
            with path.with_name("0001.7z.part").open("r+b") as first:
                first.write(b"wrapped around")

    monkeypatch.setattr(build, "write_volume", wrap)
    with pytest.raises(FailedError, match=r"0001\.7z"):
        write(bundle, tmp_path)


def test_a_blob_that_rots_after_the_signature_is_not_blamed_on_the_medium(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path / "one")
    victim = next(digest for digest, data in bundle.store.blobs.items() if data == b"hello across the gap\n")
    bundle.store.blobs[victim] = b"HELLO across the gap\n"
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(FailedError, match=f"rotted: {victim}"):
        write(bundle, out)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_blob_of_another_size_than_planned_is_found_while_writing(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    bundle = SmallBundle(tmp_path / "one")
    victim = next(digest for digest, data in bundle.store.blobs.items() if data == b"hello across the gap\n")
    bundle.store.blobs[victim] = change(bundle.store.blobs[victim])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(FailedError, match=str(victim)):
        write(bundle, out)
    assert not list(out.rglob("*.7z"))


class Spoiled(MemoryStore):
    """A store whose records or disk are not to be relied on."""

    def __init__(self, blobs: dict[Digest, bytes]) -> None:
        super().__init__()
        self.blobs = dict(blobs)
        self.wrong_crc: set[Digest] = set()
        self.unreadable: set[Digest] = set()

    def crc32(self, digest: Digest) -> int:
        return super().crc32(digest) ^ (digest in self.wrong_crc)

    def open_blob(self, digest: Digest) -> BinaryIO:
        if digest not in self.unreadable:
            return super().open_blob(digest)

        class Broken(io.BytesIO):
            def read(self, *_: object) -> bytes:
                raise OSError(errno.EIO, "Input/output error")

        return Broken()


def lay_out(bundle: SmallBundle, store: MemoryStore) -> build.LaidOut:
    content = content_of(bundle.store, bundle.artifacts)
    return build.lay_out(content, build.plan_volumes(content, 1_200_000, [None]), store, no_progress)


def chosen(bundle: SmallBundle, *, parts: bool) -> Digest:
    """A blob of the bundle that is carried in parts, or whole."""
    return Digest.parse(next(b.digest for b in bundle.manifest.blobs if bool(b.parts) is parts and b.size > 2))


def turned(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def shorter(data: bytes) -> bytes:
    return data[:-1]


def longer(data: bytes) -> bytes:
    return data + b"x"


@pytest.mark.parametrize(
    ("parts", "change"), [(False, turned), (False, shorter), (False, longer), (True, turned), (True, shorter)]
)
def test_what_has_rotted_is_found_before_anything_is_signed(
    bundle: SmallBundle, parts: bool, change: Callable[[bytes], bytes]
) -> None:
    store = Spoiled(bundle.store.blobs)
    victim = chosen(bundle, parts=parts)
    store.blobs[victim] = change(store.blobs[victim])
    with pytest.raises(FailedError, match=f"rotted: {victim}"):
        lay_out(bundle, store)


def test_a_wrong_record_of_a_crc_is_found_before_anything_is_signed(bundle: SmallBundle) -> None:
    store = Spoiled(bundle.store.blobs)
    store.wrong_crc.add(chosen(bundle, parts=False))
    with pytest.raises(FailedError, match="CRC-32 on record of a blob is not that of its bytes, which are whole"):
        lay_out(bundle, store)


def test_an_empty_blob_under_a_wrong_digest_is_found_before_anything_is_signed(bundle: SmallBundle) -> None:
    store = Spoiled(bundle.store.blobs)
    liar = Digest("sha256", "e" * 64)
    store.blobs[liar] = b""
    content = build.Content([], [(liar, 0)])
    with pytest.raises(FailedError, match=f"rotted: {liar}"):
        build.lay_out(content, build.plan_volumes(content, 1_200_000, [None]), store, no_progress)


@pytest.mark.parametrize("parts", [False, True])
def test_a_disk_that_cannot_read_a_blob_names_the_blob(bundle: SmallBundle, tmp_path: Path, parts: bool) -> None:
    store = Spoiled(bundle.store.blobs)
    victim = chosen(bundle, parts=parts)
    store.unreadable.add(victim)
    with pytest.raises(FailedError, match=f"cannot be read.*{victim}"):
        lay_out(bundle, store)
    with pytest.raises(FailedError, match=f"cannot be read.*{victim}"):
        build.write(bundle.signed, store, [tmp_path], no_progress)


def test_a_blob_that_is_gone_is_named(bundle: SmallBundle) -> None:
    store = Spoiled(bundle.store.blobs)
    victim = chosen(bundle, parts=False)
    recorded = {digest: store.crc32(digest) for digest in store.blobs}
    del store.blobs[victim]
    store.crc32 = recorded.__getitem__  # type: ignore[method-assign]
    with pytest.raises(NotFoundError, match=str(victim)):
        lay_out(bundle, store)


def test_where_nothing_lies_behind_the_page_cache_the_record_says_so(bundle: SmallBundle, tmpfs: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=16m", tmpfs], check=True)
    lines: list[str] = []
    write(bundle, tmpfs, note=lines.append)
    assert len(lines) == len(bundle.manifest.volumes)
    assert all("page cache" in line for line in lines)


def test_a_medium_given_in_another_order_takes_its_own_volumes(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path / "two", media=2)
    for folder, medium in zip(bundle.folders, (1, 2), strict=True):
        expected = {f"{volume.index:04d}.7z" for volume in bundle.manifest.volumes if volume.medium == medium}
        assert {path.name for path in (folder / "volumes").iterdir()} == expected


def test_the_plan_leaves_a_medium_room_for_the_small_files(tmp_path: Path) -> None:
    """What the plan says fits is what fits: all files of a medium stay within what was free on it."""
    store = MemoryStore()
    for number in range(400):
        store.add(number.to_bytes(4, "big") * 2_500, "sha512" if number % 2 else "sha256")
    content = content_of(store, [])
    free = 3_000_000
    packing = build.plan_volumes(content, 1_100_000, [free] * 3)
    laid_out = build.lay_out(content, packing, store, no_progress)
    probe = SmallBundle(tmp_path / "probe")
    manifest = msgspec.structs.replace(probe.manifest, artifacts=[], blobs=laid_out.blobs, volumes=laid_out.volumes)
    out = [tmp_path / str(number) for number in range(3)]
    for folder in out:
        folder.mkdir()
    for folder in build.write(sign(manifest, [probe.key]), store, out, no_progress):
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= free
        shutil.rmtree(folder)
