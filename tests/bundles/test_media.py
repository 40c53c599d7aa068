"""Packing: every byte once, never a byte over, in the plan's order, and the same each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import limits
from bundles.errors import FailedError, UsageError
from bundles.format.media import PROFILES, Packing, capacity, disc_of, pack
from bundles.format.volume_frame import Entry, FrameSize, lay_out_volume
from bundles.oci.digest import Digest

INDEX = [("index.json", 300), ("oci-layout", 30)]
Blobs = list[tuple[Digest, int]]


def blobs_of(sizes: Sequence[int]) -> Blobs:
    return [(Digest.of(str(number).encode()), size) for number, size in enumerate(sizes)]


def size_of(packing: Packing, index: int, first: Sequence[tuple[str, int]] = ()) -> int:
    """The real size of a volume, from its real layout."""
    literals = [Entry.literal(name, bytes(size)) for name, size in (first if index == 0 else ())]
    return lay_out_volume([*map(Entry.piece, packing.volumes[index]), *literals]).size


def assert_every_byte_once(packing: Packing, blobs: Blobs) -> None:
    found: dict[Digest, list[tuple[int, int, int | None]]] = {}
    for pieces in packing.volumes:
        for piece in pieces:
            found.setdefault(piece.digest, []).append((piece.offset, piece.length, piece.part))
    assert found.keys() == {digest for digest, _ in blobs}
    for digest, size in blobs:
        places = found[digest]
        if len(places) == 1:
            assert places == [(0, size, None)]
        else:
            assert [part for _, _, part in places] == list(range(1, len(places) + 1))
            assert [offset for offset, _, _ in places] == [sum(n for _, n, _ in places[:i]) for i in range(len(places))]
            assert sum(length for _, length, _ in places) == size


sizes = st.lists(st.integers(0, 20_000) | st.integers(0, 200) | st.just(0), max_size=60)


@given(sizes, st.integers(1_100, 30_000))
def test_every_blob_is_packed_once_and_no_volume_is_too_large(sizes: list[int], volume_size: int) -> None:
    blobs = blobs_of(sizes)
    packing = pack(blobs, volume_size, (None,), INDEX)
    assert_every_byte_once(packing, blobs)
    for index in range(len(packing.volumes)):
        assert size_of(packing, index, INDEX) <= volume_size
    assert set(packing.media) == {1}


@given(sizes, st.integers(1_100, 30_000), st.lists(st.integers(1_100, 60_000), min_size=1, max_size=8))
def test_media_are_filled_in_order_and_never_over(sizes: list[int], volume_size: int, media: list[int]) -> None:
    blobs = blobs_of(sizes)
    try:
        packing = pack(blobs, volume_size, media, INDEX)
    except FailedError:
        return
    assert_every_byte_once(packing, blobs)
    assert list(packing.media) == sorted(packing.media)
    assert set(packing.media) == set(range(1, max(packing.media) + 1))
    for medium, free in enumerate(media, 1):
        held = [size_of(packing, i, INDEX) for i, number in enumerate(packing.media) if number == medium]
        assert sum(held) <= free


@given(sizes, st.integers(1_100, 30_000))
def test_the_same_input_gives_the_same_packing(sizes: list[int], volume_size: int) -> None:
    media = [200_000, None]
    assert pack(blobs_of(sizes), volume_size, media) == pack(blobs_of(sizes), volume_size, media)


@given(st.lists(st.integers(0, 300_000_000_000_000_000), min_size=1, max_size=40, unique=True), st.randoms())
def test_a_volume_s_size_is_known_exactly_while_it_grows(sizes: list[int], random: Random) -> None:
    names = [str(number) * (1 + number % 40) for number in range(len(sizes))]
    random.shuffle(names)
    frame = FrameSize()
    entries = []
    for name, size in zip(names, sizes, strict=True):
        entries.append(Entry(name, size, b""))
        foreseen = frame.size_with(name, size)
        frame.add(name, size)
        layout = lay_out_volume(entries)
        head, tail = layout.ends([0] * len(entries))
        assert frame.size == foreseen == layout.size == len(head) + sum(sizes[: len(entries)]) + len(tail)


@given(st.integers(0, 50), st.integers(1_000, 10**12))
def test_the_room_for_a_part_is_used(count: int, ceiling: int) -> None:
    frame = FrameSize()
    for number in range(count):
        frame.add(f"{number:02d}", number)
    room = frame.room_for("part", ceiling)
    if room > 0:
        assert ceiling - 16 <= frame.size_with("part", room) <= ceiling


def test_blobs_that_fit_stay_whole_and_together() -> None:
    packing = pack(blobs_of([3_000] * 6), 10_000)
    assert [len(pieces) for pieces in packing.volumes] == [3, 3]
    assert [piece.digest for pieces in packing.volumes for piece in pieces] == [d for d, _ in blobs_of([0] * 6)]
    assert all(piece.part is None for pieces in packing.volumes for piece in pieces)


def test_a_small_blob_fills_what_a_large_one_left() -> None:
    packing = pack(blobs_of([7_000, 9_500, 2_000]), 10_000)
    assert [[piece.length for piece in pieces] for pieces in packing.volumes] == [[7_000, 2_000], [9_500]]


def test_a_blob_larger_than_a_volume_fills_volumes_with_its_parts() -> None:
    size = 4 * 1024**3
    packing = pack(blobs_of([1_000, 10_000_000_000]), size - 1)
    assert [pieces[-1].part for pieces in packing.volumes] == [1, 2, 3]
    assert [size_of(packing, index) for index in (0, 1)] == [size - 1, size - 1]


def test_a_blob_is_cut_where_a_medium_ends_rather_than_not_carried() -> None:
    packing = pack(blobs_of([6_000_000, 6_000_000, 6_000_000]), 10_000_000, [10_000_000, 10_000_000])
    assert packing.media == (1, 2)
    assert [len(pieces) for pieces in packing.volumes] == [2, 2]


def test_a_blob_goes_whole_to_the_next_medium_where_the_first_is_full_enough() -> None:
    packing = pack(blobs_of([9_910_000, 6_000_000]), 10_000_000, [10_000_000, 10_000_000])
    assert packing.media == (1, 2)
    assert all(piece.part is None for pieces in packing.volumes for piece in pieces)


def test_a_blob_is_cut_rather_than_leave_a_medium_half_empty() -> None:
    packing = pack(blobs_of([6_000_000, 6_000_000]), 10_000_000, [10_000_000, 10_000_000])
    assert packing.media == (1, 2)
    assert size_of(packing, 0) > 9_900_000
    assert_every_byte_once(packing, blobs_of([6_000_000, 6_000_000]))


GB = 10**9
artifacts = st.lists(st.lists(st.integers(200, 30 * GB), min_size=1, max_size=6), min_size=1, max_size=25)
capacities = st.lists(st.sampled_from([4 * GB, 8 * GB, 25 * GB, 32 * GB, 64 * GB]), min_size=40, max_size=40)


@given(artifacts, capacities, st.sampled_from([PROFILES["fat32"], PROFILES["dvd"], 40 * GB, 1 * GB]))
def test_media_are_filled_to_95_percent_while_an_artifact_stays_on_few(
    artifacts: list[list[int]], media: list[int], volume_size: int
) -> None:
    blobs = blobs_of([size for sizes in artifacts for size in sizes])
    try:
        packing = pack(blobs, volume_size, media, INDEX)
    except FailedError:  # more than forty media take
        assert sum(size for _, size in blobs) > 0.95 * sum(media)
        return
    held: Counter[int] = Counter()
    of_blob: dict[Digest, set[int]] = {}
    for pieces, medium in zip(packing.volumes, packing.media, strict=True):
        for piece in pieces:
            held[medium] += piece.length
            of_blob.setdefault(piece.digest, set()).add(medium)
    for medium in range(1, packing.media[-1]):
        assert held[medium] >= 0.95 * media[medium - 1]
    start = 0
    for sizes in artifacts:
        named = set().union(*(of_blob[digest] for digest, _ in blobs[start : start + len(sizes)]))
        first, last = min(named), max(named)
        assert named == set(range(first, last + 1)), "neighbours"
        assert sum(media[first : last - 1]) <= sum(sizes), "no medium between its first and its last holds another's"
        start += len(sizes)


@pytest.mark.parametrize("profile", ["dvd", "dvd-dl", "bd25", "bd50", "bd100"])
def test_a_medium_of_a_disc_s_profile_takes_a_disc(profile: str) -> None:
    disc = disc_of(profile.upper())
    assert disc is not None
    assert capacity(profile) < disc
    blobs = blobs_of([3 * GB] * 40)
    packing = pack(blobs, capacity(profile), [disc] * 30)
    for medium in range(1, packing.media[-1] + 1):
        held = sum(size_of(packing, i) for i, number in enumerate(packing.media) if number == medium)
        assert held <= disc
        assert held >= 0.95 * disc or medium == packing.media[-1]


@pytest.mark.parametrize("text", ["fat32", "40MB", ""])
def test_what_is_no_disc_is_as_large_as_it_is(text: str) -> None:
    assert disc_of(text) is None


def test_a_stick_larger_than_a_file_may_be_takes_several_volumes() -> None:
    packing = pack(blobs_of([3_000_000_000] * 5), PROFILES["fat32"], [16_000_000_000])
    assert packing.media == (1,) * len(packing.volumes)


def test_media_that_do_not_suffice_are_refused_with_the_bytes_that_are_missing() -> None:
    with pytest.raises(FailedError, match="media are too small") as caught:
        pack(blobs_of([5_000_000] * 4), 10_000_000, [8_000_000, 7_000_000])
    missing = int(caught.value.thing.split()[0])
    assert 5_000_000 <= missing <= 5_001_000


def test_a_medium_without_room_for_a_volume_is_named() -> None:
    with pytest.raises(FailedError, match=r"medium 2 \(70000 bytes are free\)"):
        pack(blobs_of([5_000_000] * 4), 10_000_000, [6_000_000, 70_000, 90_000_000])


def test_a_full_medium_that_is_not_needed_is_no_obstacle() -> None:
    assert pack(blobs_of([1_000]), 10_000_000, [2_000_000, 0]).media == (1,)


def test_an_index_larger_than_a_volume_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="choose a larger --volume"):
        pack([], 10_000, (None,), [("index.json", 20_000)])


def test_more_volumes_than_names_are_refused() -> None:
    with pytest.raises(UsageError, match="choose a larger --volume"):
        pack(blobs_of([30_000_000]), 2_000)


def test_a_hundred_thousand_blobs_are_packed_in_one_pass() -> None:
    blobs = blobs_of([1_000 + number % 5_000 for number in range(100_000)])
    packing = pack(blobs, 40_000_000)
    assert sum(len(pieces) for pieces in packing.volumes) == len(blobs)
    assert len(packing.volumes) == 10


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("fat32", 4_294_967_295),
        ("40MB", 40_000_000),
        ("40mb", 40_000_000),
        ("40MiB", 41_943_040),
        ("2 GiB", 2_147_483_648),
        ("1TB", 10**12),
        ("1048576", 1_048_576),
        ("1048576B", 1_048_576),
    ],
)
def test_sizes_are_decimal_unless_they_say_otherwise(text: str, size: int) -> None:
    assert capacity(text) == size


@pytest.mark.parametrize(
    ("profile", "disc"),
    [
        ("dvd", 4_700_372_992),
        ("dvd-dl", 8_543_666_176),
        ("bd25", 25_025_314_816),
        ("bd50", 50_050_629_632),
        ("BD100", 100_103_356_416),
    ],
)
def test_a_volume_of_a_disc_leaves_room_for_the_small_files_and_the_file_system(profile: str, disc: int) -> None:
    assert disc - 2 * limits.BUNDLE_MANIFEST < capacity(profile) < disc - limits.BUNDLE_MANIFEST


@pytest.mark.parametrize(
    "text", ["", "usb", "-1", "1.5GB", "40 M B", "MB", "1MB extra", "١MB", "9" * 16, "999999999TB"]
)
def test_what_is_no_size_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        capacity(text)


def test_a_volume_that_would_be_all_header_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="1048576"):
        capacity("1MB")
