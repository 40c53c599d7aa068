"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import codecs
from typing import Final

from appliance.archives.tar_fields import BLOCK, is_header

_MAGIC: Final[tuple[tuple[str, bytes], ...]] = (
    ("elf", b"\x7fELF"), ("pe", b"MZ"), ("wasm", b"\0asm"), ("java-class", b"\xca\xfe\xba\xbe"),
    ("mach-o", b"\xfe\xed\xfa\xce"), ("mach-o", b"\xfe\xed\xfa\xcf"), ("mach-o", b"\xce\xfa\xed\xfe"),
    ("mach-o", b"\xcf\xfa\xed\xfe"), ("script", b"#!"), ("gzip", b"\x1f\x8b"), ("xz", b"\xfd7zXZ\0"),
    ("zstd", b"\x28\xb5\x2f\xfd"), ("bzip2", b"BZh"), ("zip", b"PK\x03\x04"), ("zip", b"PK\x05\x06"),
    ("7z", b"7z\xbc\xaf\x27\x1c"), ("rar", b"Rar!\x1a\x07"), ("cab", b"MSCF\0\0\0\0"), ("ar", b"!<arch>\n"),
    ("rpm", b"\xed\xab\xee\xdb"), ("cpio", b"070701"), ("cpio", b"070702"), ("cpio", b"070707"),
    ("sqlite", b"SQLite format 3\0"), ("pdf", b"%PDF-"), ("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff"),
    ("gif", b"GIF87a"), ("gif", b"GIF89a"), ("squashfs", b"hsqs"), ("qcow2", b"QFI\xfb"), ("luks", b"LUKS\xba\xbe"),
    ("java-keystore", b"\xfe\xed\xfe\xed"), ("java-keystore", b"\xce\xce\xce\xce"),
)  # fmt: skip
TYPES: Final = tuple(sorted({name for name, _ in _MAGIC} | {"tar", "text", "other"}))
"""Every type that a file can be of."""
EXECUTABLES: Final = frozenset({"elf", "pe", "mach-o"})
"""Programs and libraries of machines, whatever their mode."""
_JAVA_LEAST: Final = 43
"""The first version of class files; the same magic is Mach-O's for several machines, with their small number there."""
_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\f\x1b\x08"))


def type_of(head: bytes) -> str:
    """The type of a file by its first 512 bytes; `text` where these are UTF-8 without control characters, else
    `other`."""
    for name, magic in _MAGIC:
        if head.startswith(magic):
            if name == "java-class" and int.from_bytes(head[4:8], "big") < _JAVA_LEAST:
                return "mach-o"
            return name
    if len(head) >= BLOCK and is_header(head[:BLOCK]):
        return "tar"
    if head.translate(None, _CONTROLS) != head:
        return "other"
    try:  # a character may be cut at the end of a whole head
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < BLOCK)
    except UnicodeDecodeError:
        return "other"
    return "text"
