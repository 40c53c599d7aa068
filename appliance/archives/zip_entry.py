"""The bytes of a ZIP archive's entry, piece by piece, in memory that its compression does not choose.

`zipfile` bounds what deflate gives at once. Of bzip2 and LZMA it takes all that a piece unpacks to, which may be a
million times the piece, and LZMA's window as the entry asks for it: both are unpacked here.
"""

from __future__ import annotations

import bz2
import copy
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from appliance.limits import archives as limits

_IN: Final = 16 * 1024
_OUT: Final = 256 * 1024
_LZMA_HEAD: Final = 9
"""Version (2 bytes), the properties' length (2), and these (APPNOTE.TXT, 5.8.8)."""
_PROPERTIES: Final = 5
"""lc, lp and pb in one byte, and the window (lzma-specification.txt)."""
_WINDOW_LEAST: Final = 4096


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """What an entry holds, in pieces of 256 KiB at most. Raises what zipfile raises at damage, BadZipFile for a window
    above `limits.SEVEN_ZIP_WINDOW`, and where length or checksum are not the listed ones."""
    if entry.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with archive.open(entry) as data:
            while chunk := data.read(_OUT):
                yield chunk
        return
    size = crc = 0
    with archive.open(_stored(entry)) as data:
        decoder = bz2.BZ2Decompressor() if entry.compress_type == zipfile.ZIP_BZIP2 else _lzma(data, entry)
        while size < entry.file_size and not decoder.eof:
            piece = data.read(_IN) if decoder.needs_input else b""
            if decoder.needs_input and not piece:
                break
            try:
                chunk = decoder.decompress(piece, _OUT)
            except (lzma.LZMAError, OSError, ValueError) as error:
                raise zipfile.BadZipFile(str(error)) from None
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            yield chunk
    if (size, crc) != (entry.file_size, entry.CRC):
        raise zipfile.BadZipFile("length or checksum differ from the listed ones")


def _stored(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The same entry, whose compressed bytes are read as they stand."""
    raw = copy.copy(entry)
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, entry.compress_size
    del raw.CRC  # of what is unpacked
    return raw


def _lzma(data: IO[bytes], entry: zipfile.ZipInfo) -> lzma.LZMADecompressor:
    """A decoder behind an entry's LZMA header. Its window holds no more than the entry does, whatever it asks for."""
    head = data.read(_LZMA_HEAD)
    if len(head) < _LZMA_HEAD or int.from_bytes(head[2:4], "little") != _PROPERTIES:
        raise zipfile.BadZipFile("an LZMA header of another form")
    packed, window = head[4], int.from_bytes(head[5:], "little")
    window = max(_WINDOW_LEAST, min(window, entry.file_size))
    if window > limits.SEVEN_ZIP_WINDOW:
        raise zipfile.BadZipFile(f"its compression needs too much memory (a window of {window} bytes)")
    chain = {"id": lzma.FILTER_LZMA1, "lc": packed % 9, "lp": packed // 9 % 5, "pb": packed // 45, "dict_size": window}
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chain])
    except (lzma.LZMAError, ValueError) as error:
        raise zipfile.BadZipFile(str(error)) from None
