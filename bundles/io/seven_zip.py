"""The header of a 7z archive, held to its ceilings before py7zr reads it (7zFormat.txt of the 7-Zip source)."""

from __future__ import annotations

import io
import zlib
from typing import Any, BinaryIO, Final

from bundles import limits
from bundles.errors import RefusedError

_START: Final = 32
_ENCODED: Final = b"\x17"


def check_header(file: BinaryIO, stored: int, unpacked: int, name: str = "") -> list[Any]:
    """The folders (of py7zr) that a compressed header is packed in; none where it is plain. Sizes are bytes.

    Sets py7zr's ceilings of what a header may list, too. `name` is the archive's, for people. Raises RefusedError where
    the header is larger than `stored` bytes or unpacks to more than `unpacked`, ValueError or an error of py7zr where
    it is damaged.
    """
    from py7zr import archiveinfo  # here: it is slow to load

    archiveinfo.MAX_NUMFILES = archiveinfo.MAX_SUBSTREAMS = limits.SEVEN_ZIP_FILES
    archiveinfo.MAX_NUMFOLDERS, archiveinfo.MAX_CODERS = limits.SEVEN_ZIP_FOLDERS, limits.SEVEN_ZIP_CODERS
    file.seek(0)
    start = file.read(_START)
    if len(start) < _START or zlib.crc32(start[12:]) != int.from_bytes(start[8:12], "little"):
        raise ValueError("a damaged start header")
    offset, length = (int.from_bytes(start[at : at + 8], "little") for at in (12, 20))
    _check(length, stored, name)
    file.seek(_START + offset)
    header = file.read(length)
    if not header.startswith(_ENCODED):
        return []
    streams = archiveinfo.HeaderStreamsInfo.retrieve(io.BytesIO(header[1:]))
    _check(sum(streams.packinfo.packsizes), stored, name)
    folders: list[Any] = streams.unpackinfo.folders
    _check(sum(max(folder.unpacksizes, default=0) for folder in folders), unpacked, name)
    return folders


def _check(size: int, ceiling: int, name: str) -> None:
    if size > ceiling:
        raise RefusedError(
            "a 7z archive with a header that is too large",
            thing=f"{name}: {size} bytes" if name else f"{size} bytes",
            remedy=f"the ceiling is {ceiling} bytes; leave this archive out",
        )
