"""Bombs of every compression on the one walk that content rules and malware engines share: an end within its ceilings,
in little memory, and nothing clean that was not looked into."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from backports import zstd

from appliance.limits import archives as limits
from appliance.malware.findings import Scanned
from tests.content_rules.looking import KEY_PEM, found, look
from tests.little_memory import within
from tests.malware.files import seven_zip, tar, zipped
from tests.peer_tools import require

MIB: Final = 1 << 20
ROOM: Final = 24 * MIB
"""What a look may take beside what the process has: less than a bomb's content."""
CONTENT: Final = 32
CEILING: Final = 8 * MIB


def zeros(packer: Any) -> bytes:
    """32 MiB of zeros, packed without holding them."""
    return b"".join(packer.compress(bytes(MIB)) for _ in range(CONTENT)) + packer.flush()


PACKED: Final[dict[str, Callable[[], bytes]]] = {
    "gzip": lambda: zeros(zlib.compressobj(1, zlib.DEFLATED, 31)),
    "bzip2": lambda: zeros(bz2.BZ2Compressor(1)),
    "xz": lambda: zeros(lzma.LZMACompressor(preset=0)),
    "zstd": lambda: zeros(zstd.ZstdCompressor(level=1)),
}
XZ_WINDOW: Final = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 * MIB}]
ZSTD_WINDOW: Final = b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x03\x00\x80\x00" * 3 + b"\x01\x00\x00"
"""A frame that asks for a window of 2 GiB (RFC 8878, section 3.1.1.1.2)."""


def looked(data: bytes) -> tuple[bool, int, int]:
    """Whether a blob is clean, and how many files and reasons there are; in a process that may take `ROOM` more."""

    def act() -> tuple[bool, int, int]:
        limits.LAYER_FLOOR = CEILING  # type: ignore[misc]
        scanned: Scanned = look(data)[1]
        return scanned.is_clean, scanned.files, scanned.uninspected.count

    clean, files, reasons = within(ROOM, act)
    return clean, files, reasons


def unclean(data: bytes) -> None:
    clean, _, reasons = looked(data)
    assert (clean, 0 < reasons < 4) == (False, True)


@pytest.mark.parametrize("form", PACKED)
def test_a_bomb_of_each_compression_ends_at_its_ceiling_and_is_not_clean(form: str) -> None:
    bomb = PACKED[form]()
    unclean(bomb)
    unclean(tar({"a/b": bomb}))


def test_a_bomb_in_seven_zip_ends_at_its_ceiling_and_is_not_clean(tmp_path: Path) -> None:
    require("7z")
    for method in ("lzma2", "bzip2"):
        unclean(seven_zip(tmp_path, "zeros", bytes(CONTENT * MIB), "-mx1", f"-m0={method}"))
    unclean(seven_zip(tmp_path, "inner", PACKED["xz"](), "-mx0"))


def test_a_bomb_in_a_zip_archive_by_each_method_ends_at_its_ceiling_and_is_not_clean(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = tmp_path / f"{method}.zip"
        with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive, archive.open("zeros", "w") as entry:
            for _ in range(CONTENT):
                entry.write(bytes(MIB))
        unclean(file.read_bytes())
    unclean(zipped({"inner.bz2": PACKED["bzip2"]()}))


def test_windows_and_wrappings_without_end_are_not_looked_into() -> None:
    deep = b"x"
    for _ in range(60):
        deep = bz2.compress(deep, 1)
    for bomb in (lzma.compress(b"x", filters=XZ_WINDOW), ZSTD_WINDOW, deep, tar({"w.xz": deep, "z.zst": ZSTD_WINDOW})):
        unclean(bomb)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_members_without_number_take_no_memory(pack: Callable[[bytes], bytes]) -> None:
    """Each is a decoder anew; what they hold is one stream."""
    assert looked(pack(b"") * 20_000 + pack(b"x"))[:2] == (True, 1)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_entry_is_read_by_each_method_and_not_where_it_is_damaged(method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("key.pem", KEY_PEM)
        archive.writestr("noise", random.Random(method).randbytes(700_000) + bytes(600_000))
    whole = packed.getvalue()
    assert found("private-key", whole) == ["key.pem"]
    assert looked(whole) == (True, 3, 0)
    names = zipfile.ZipFile(packed).infolist()
    for place in (names[0].header_offset + 40, names[1].header_offset + 50, names[1].header_offset + 300_000):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        assert not looked(bytes(damaged))[0]


def test_a_zip_entry_that_asks_for_a_window_of_gigabytes_gets_none_of_it() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"harmless" * 100)
    data = bytearray(packed.getvalue())
    start = 30 + len("a") + 5
    data[start : start + 4] = b"\xff" * 4
    assert looked(bytes(data)) == (True, 2, 0)
    size = data.index(b"PK\x01\x02") + 24
    data[size : size + 4] = (1 << 30).to_bytes(4, "little")
    unclean(bytes(data))
