"""The 7z frame: bytes that follow from names, lengths and CRC-32s alone, and that stock 7z and py7zr read back."""

from __future__ import annotations

import io
import os
import subprocess
import zlib
from pathlib import Path

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles.format.volume_frame import Entry, Piece, VolumeLayout, lay_out_volume, number, number_length
from bundles.oci.digest import Digest
from tests.peer_tools import require

names = st.text("abcdef0123456789", min_size=1, max_size=80).map("blobs/sha256/".__add__)
contents = st.dictionaries(names, st.binary(max_size=2_000), min_size=1, max_size=12)


def layout_of(files: dict[str, bytes]) -> VolumeLayout:
    return lay_out_volume([Entry.literal(name, data) for name, data in files.items()])


def archive_of(files: dict[str, bytes]) -> bytes:
    """The volume's bytes, put together by the layout."""
    layout = layout_of(files)
    data = [files[entry.name] for entry in layout.entries]
    head, tail = layout.ends([zlib.crc32(content) for content in data])
    return head + b"".join(data) + tail


def test_the_frame_of_one_entry_byte_by_byte() -> None:
    assert archive_of({"a": b"hello"}).hex(" ") == (
        "37 7a bc af 27 1c 00 04"  # signature, version 0.4
        " 63 1e 8d e9 05 00 00 00 00 00 00 00 3c 00 00 00 00 00 00 00 e2 60 47 74"  # CRC, T, header length, its CRC
        " 68 65 6c 6c 6f"
        " 01 04 06 00 01 09 05 00"  # one packed stream of 5 bytes at 0
        " 07 0b 01 00 01 01 00 0c 05 00"  # one folder, COPY, 5 bytes
        " 08 0d 01 0a 01 86 a6 10 36 00 00"  # one substream with its CRC-32
        " 05 01 11 05 00 61 00 00 00"  # one file, named a
        " 14 0a 01 00 00 00 5a f6 4c f5 d4 01"  # its time
        " 15 06 01 00 01 80 24 81 00 00"  # its attributes
    )


@given(contents)
def test_each_entry_lies_at_its_offset_and_the_size_is_the_file_s(files: dict[str, bytes]) -> None:
    layout, raw = layout_of(files), archive_of(files)
    assert len(raw) == layout.size
    for entry, offset in zip(layout.entries, layout.offsets, strict=True):
        assert raw[offset : offset + entry.size] == files[entry.name]


@given(contents)
def test_entries_are_ordered_bytewise_whatever_order_they_came_in(files: dict[str, bytes]) -> None:
    assert archive_of(files) == archive_of(dict(reversed(files.items())))
    found = [entry.name for entry in layout_of(files).entries]
    assert found == sorted(found, key=str.encode)


@settings(max_examples=50)
@given(contents)
def test_py7zr_reads_back_what_was_laid_out(files: dict[str, bytes]) -> None:
    raw = archive_of(files)
    with py7zr.SevenZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
    with py7zr.SevenZipFile(io.BytesIO(raw)) as archive:
        factory = py7zr.io.BytesIOFactory(1_000_000)
        archive.extractall(factory=factory)
        assert {name: file.read() for name, file in factory.products.items()} == files
        assert not any(entry.is_directory for entry in archive.list())


@pytest.mark.parametrize(
    "files",
    [
        {"a": b""},
        {"a": b"", "b": b""},
        {"a": b"x", "b": b"", "c": b"y"},
        {"blobs/sha256/" + "0" * 64: os.urandom(100_000), "oci-layout": b"{}"},
        {f"blobs/sha256/{n:064x}": bytes([n % 256]) * n for n in range(300)},
    ],
    ids=["one empty", "all empty", "an empty one between", "a large one", "three hundred"],
)
def test_stock_7z_tests_lists_and_unpacks_it(files: dict[str, bytes], tmp_path: Path) -> None:
    require("7z")
    (tmp_path / "volume.7z").write_bytes(archive_of(files))
    tested = subprocess.run(["7z", "t", "volume.7z"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Everything is Ok" in tested.stdout
    assert "Warning" not in tested.stdout
    subprocess.run(["7z", "x", "-oout", "volume.7z"], cwd=tmp_path, capture_output=True, check=True)
    found = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == files
    assert {path.stat().st_mode & 0o777 for path in found.values()} == {0o444}
    assert {path.stat().st_mtime for path in found.values()} == {1_555_526_400.0}


def test_py7zr_finds_an_empty_entry_to_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "volume.7z").write_bytes(archive_of({"a": b"", "b": b"x"}))
    with py7zr.SevenZipFile(tmp_path / "volume.7z") as archive:
        archive.extractall(tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == b""
    assert (tmp_path / "out/b").read_bytes() == b"x"


def test_a_layout_reads_no_blob() -> None:
    piece = Piece(Digest.of(b"nowhere to be found"), 0, 10**15)
    layout = lay_out_volume([Entry.piece(piece)])
    head, tail = layout.ends([0xDEADBEEF])
    assert layout.size == len(head) + 10**15 + len(tail)


def test_pieces_are_named_by_digest_and_part() -> None:
    digest = Digest.of(b"", "sha512")
    assert Piece(digest, 0, 0).name == f"blobs/sha512/{digest.hex}"
    assert Piece(digest, 5, 7, 12).name == f"parts/sha512/{digest.hex}/0012"


def read_number(data: bytes) -> int:
    """A NUMBER as 7zFormat.txt defines reading one."""
    first, mask, value = data[0], 0x80, 0
    for index in range(8):
        if not first & mask:
            return value | (first & (mask - 1)) << (8 * index)
        value |= data[1 + index] << (8 * index)
        mask >>= 1
    return value


@given(st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda bits: 1 << bits))
def test_numbers_are_written_as_7z_reads_them(value: int) -> None:
    for near in (max(value - 1, 0), value):
        assert read_number(number(near)) == near
        assert len(number(near)) == number_length(near)
