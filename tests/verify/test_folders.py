"""The files around the verdict: which folder is meant, several media as one bundle, and volumes wherever they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import FailedError, IncompleteError, RefusedError, UsageError
from bundles.ports import no_progress
from bundles.signing.trust import TrustFolder
from bundles.verify import examine, find_folders, open_bundle, verify
from tests.vectors.known import HERE, KEYS, MEDIA, NOW, ONE, signature_name

BUNDLES = HERE / "bundles"


@pytest.fixture(scope="session")
def trust() -> TrustFolder:
    return TrustFolder.load(HERE / "trust")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A copy of alpha.bravo-000001 in a medium of its own."""
    return Path(shutil.copytree(BUNDLES / ONE, tmp_path / "medium" / Path(ONE).name))


@pytest.fixture
def media(tmp_path: Path) -> list[Path]:
    """Copies of the two media of alpha.bravo-000002."""
    return [Path(shutil.copytree(BUNDLES / name, tmp_path / name)) for name in MEDIA]


def test_a_bundle_is_meant_by_its_folder_or_by_its_mount_point(one: Path) -> None:
    assert find_folders([one]) == find_folders([one.parent]) == (one,)


def test_other_things_on_a_medium_are_not_in_the_way(one: Path) -> None:
    (one.parent / "System Volume Information").mkdir()
    (one.parent / "holiday.jpg").touch()
    (one.parent / "linked").symlink_to(one)
    assert find_folders([one.parent]) == (one,)


def test_short_names_that_a_reader_of_fat_shows_in_capitals_are_the_bundle_s(one: Path, trust: TrustFolder) -> None:
    for path in (*one.glob("volumes/*.7z"), one / "volumes", one / "README.txt"):
        path.rename(path.with_name(path.name.upper()))
    assert verify([one], trust, NOW, no_progress).opened.manifest.id == ONE.rpartition("/")[2]


@pytest.mark.parametrize("name", ["README.TXT", "VOLUMES", "volumes/0001.7Z", "MANIFEST.JSON", "sha256sums"])
def test_a_name_in_two_spellings_or_in_any_other_one_is_refused(one: Path, trust: TrustFolder, name: str) -> None:
    place = one / name
    known = {path.name.upper(): path for path in one.rglob("*")}[place.name.upper()]
    shutil.copytree(known, place) if known.is_dir() else shutil.copy(known, place)
    with pytest.raises(RefusedError, match="(?i)does not belong.*" + place.name):
        open_bundle([one], trust, NOW)


def test_several_bundles_on_a_medium_are_listed_and_none_is_chosen(one: Path) -> None:
    shutil.copytree(BUNDLES / MEDIA[0], one.parent / "alpha.bravo-000002")
    with pytest.raises(UsageError, match=r"2 bundles are here.*alpha\.bravo-000001 or .*alpha\.bravo-000002"):
        find_folders([one.parent])


def test_no_bundle_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bundle is here"):
        find_folders([tmp_path])
    with pytest.raises(FailedError, match=r"No such file.*medium is mounted"):
        find_folders([tmp_path / "nowhere"])
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        find_folders([tmp_path / "file"])


def test_a_medium_that_was_cut_off_while_it_was_written_says_what_it_lacks(one: Path, trust: TrustFolder) -> None:
    (one / "SHA256SUMS").unlink()
    for path in (one, one.parent):
        with pytest.raises(RefusedError, match=r"lacks a file: .*SHA256SUMS"):
            open_bundle([path], trust, NOW)


def test_no_folders_are_usage(trust: TrustFolder) -> None:
    with pytest.raises(UsageError, match="no folder was given"):
        open_bundle([], trust, NOW)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_media_make_one_bundle_in_any_order(media: list[Path], trust: TrustFolder, order: slice) -> None:
    bundle = open_bundle(media[order], trust, NOW)
    assert (sorted(bundle.volumes), bundle.missing_volumes, bundle.copies) == ([1, 2, 3], (), ())


def test_a_volume_may_lie_on_another_medium_than_it_was_written_to(media: list[Path], trust: TrustFolder) -> None:
    (media[1] / "volumes/0003.7z").rename(media[0] / "volumes/0003.7z")
    assert verify(media, trust, NOW, no_progress).missing_volumes == ()


def test_a_medium_alone_is_good_so_far_and_names_what_is_to_come(media: list[Path], trust: TrustFolder) -> None:
    bundle = open_bundle(media[:1], trust, NOW)
    assert bundle.missing_volumes == (2, 3)
    with pytest.raises(IncompleteError, match=r"volumes/0002\.7z, volumes/0003\.7z; insert medium 2 of 2"):
        bundle.require_volumes()


def test_a_folder_that_is_named_twice_is_read_once(one: Path, trust: TrustFolder) -> None:
    bundle = open_bundle([one, one.parent], trust, NOW)
    assert (bundle.folders, bundle.copies) == ((one,), ())


def test_a_second_copy_of_a_medium_is_checked_like_the_first(one: Path, trust: TrustFolder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(one, tmp_path / "copy"))
    assert [index for index, _ in verify([one, copy], trust, NOW, no_progress).copies] == [1, 2, 3]
    data = (copy / "volumes/0002.7z").read_bytes()
    (copy / "volumes/0002.7z").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(RefusedError, match=r"volumes/0002\.7z"):
        verify([one, copy], trust, NOW, no_progress)


def test_a_co_signature_that_joined_one_medium_counts_for_all(media: list[Path], trust: TrustFolder) -> None:
    (media[1] / signature_name("reviewer")).unlink()
    verify(media, trust, NOW, no_progress)
    with pytest.raises(RefusedError, match="a signature is missing"):
        verify(media[1:], trust, NOW, no_progress)


def test_media_that_differ_in_a_signature_are_refused(media: list[Path], trust: TrustFolder) -> None:
    (media[1] / signature_name("engineer")).write_bytes(KEYS["engineer"].sign(b"another"))
    with pytest.raises(RefusedError, match="differ in a signature"):
        open_bundle(media, trust, NOW)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "README.txt"])
def test_media_agree_to_the_byte(media: list[Path], trust: TrustFolder, name: str) -> None:
    with (media[1] / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(RefusedError, match=f"not of one bundle: .*{name}"):
        open_bundle(media, trust, NOW)


def test_recovery_data_is_neither_read_nor_in_the_way(one: Path, trust: TrustFolder) -> None:
    (one / "recovery").mkdir()
    (one / "recovery/odd").symlink_to("/etc/passwd")
    verify([one], trust, NOW, no_progress)


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: (folder / "sub").mkdir(),
        lambda folder: (folder / "volumes/sub").mkdir(),
        lambda folder: (folder / "recovery").symlink_to("/tmp"),
        lambda folder: (folder / "recovery").touch(),
        lambda folder: (folder / "volumes/0001.7z.part").touch(),
        lambda folder: (folder / "SHA256SUMS.0123456789abcdef.asc").touch(),
        lambda folder: (folder / "readme.txt").touch(),
    ],
    ids=["folder", "folder in volumes", "linked recovery", "recovery file", "partial", "unknown kind", "other case"],
)
def test_what_does_not_belong_is_refused_by_name(one: Path, trust: TrustFolder, place: Callable[[Path], None]) -> None:
    place(one)
    with pytest.raises(RefusedError, match="does not belong"):
        open_bundle([one], trust, NOW)


def test_sizes_are_compared_before_any_byte_is_hashed(one: Path, trust: TrustFolder) -> None:
    with (one / "volumes/0003.7z").open("ab") as volume:
        volume.truncate(1 << 40)
    with pytest.raises(RefusedError, match=r"the volume has 1099511627776 bytes.*volumes/0003\.7z"):
        open_bundle([one], trust, NOW)


def test_progress_counts_every_byte_once_however_many_threads_read(media: list[Path], trust: TrustFolder) -> None:
    seen: list[tuple[str, int, int]] = []
    bundle = verify(media, trust, NOW, lambda *call: seen.append(call))
    total = sum(volume.size for volume in bundle.opened.manifest.volumes)
    assert seen[0] == ("verify", 0, total)
    assert seen[-1] == ("verify", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_a_medium_is_examined_against_itself_without_any_trust(media: list[Path]) -> None:
    for signature in media[1].glob("*.sig"):
        signature.unlink()
    assert examine(media[1], no_progress).manifest.id == "alpha.bravo-000002"
    data = (media[1] / "volumes/0002.7z").read_bytes()
    (media[1] / "volumes/0002.7z").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(RefusedError, match=r"volumes/0002\.7z"):
        examine(media[1], no_progress)
