"""The regular files of a tar archive, each read where it stands: what `docker save` and `podman save` write.

Nothing is unpacked and no name of the archive reaches the file system: a file is looked up by its exact name. What
readers of tar take differently is refused.
"""

from __future__ import annotations

import io
import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from appliance.archives.tar_fields import BLOCK, OCTAL_SIZE, ZEROS, check_sum, number, pax_records, pax_size, text
from appliance.archives.tar_stream import names_of
from appliance.archives.unpacking import compression_of
from appliance.limits import archives as archives_limits
from bundles.errors import FailedError, MalformedError, RefusedError, UsageError
from bundles.io.files import failures_named, open_regular

_LINKS: Final = 8
"""Links that lead to links, at most: old Docker writes one for a layer that two images share."""
_HARMLESS: Final = frozenset({"comment", "hdrcharset", "mtime", "atime", "ctime"})


class TarFiles:
    """An archive, opened; a file that stands in it is read by its name."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError for what is compressed or no archive, MalformedError, RefusedError, FailedError."""
        self.path = path
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        with failures_named(path, "the archive cannot be read"):
            self._file = os.fdopen(open_regular(path), "rb", buffering=0)
        try:
            self._index(os.fstat(self._file.fileno()).st_size)
        except MalformedError as error:
            self.close()
            raise MalformedError(error.what, thing=f"{path}: {error.thing}" if error.thing else str(path)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def open(self, name: str) -> BinaryIO | None:
        """A file of the archive, None where there is none. Links inside the archive are followed inside it."""
        for _ in range(_LINKS):
            if name in self._files:
                return io.BufferedReader(_Part(self._file.fileno(), *self._files[name]))
            if name not in self._links:
                return None
            name = self._links[name]
        raise RefusedError("links lead in a circle", thing=f"{self.path}: {name}"[:200])

    def read_small(self, name: str, ceiling: int) -> bytes:
        """A file's bytes. Raises UsageError where it is not there, RefusedError where it is larger than `ceiling`."""
        file = self.open(name)
        if file is None:
            raise UsageError(f"the archive holds no {name}", thing=str(self.path), remedy="see what it is: tar tf")
        with file:
            raw = file.read(ceiling + 1)
        if len(raw) > ceiling:
            raise RefusedError(
                "a file of the archive is too large", thing=f"{self.path}: {name}", remedy=f"the ceiling is {ceiling}"
            )
        return raw

    def _read(self, position: int, count: int) -> bytes:
        with failures_named(self.path, "the archive cannot be read"):
            return os.pread(self._file.fileno(), count, position)

    def _index(self, size: int) -> None:
        head = self._read(0, BLOCK)
        if compression_of(head[:8]):
            raise UsageError(
                "the archive is compressed",
                thing=str(self.path),
                remedy="unpack it first (gunzip, xz -d, zstd -d), and give what comes out",
            )
        position, seen = 0, 0
        pax: dict[str, str] = {}
        long: dict[str, str] = {}
        while (block := self._read(position, BLOCK)) != ZEROS:
            if len(block) < BLOCK or block[257:262] != b"ustar":
                what = "the archive is cut off" if seen else "not a tar archive"
                raise UsageError(what, thing=str(self.path), remedy="save the image again")
            self._check(seen := seen + 1)
            check_sum(block)
            kind, length = chr(block[156] or 0x30), number(block[124:136])
            if kind in "xgLK":
                self._check_small(length)
                data = self._read(position + BLOCK, length)
                if kind == "g" and (pax or long):  # Go's archive/tar forgets them there
                    raise self._strange("a global header between an extended header and its entry")
                if kind == "x":
                    if pax:
                        raise self._strange("several extended headers of one kind")
                    pax = pax_records(data)
                elif kind != "g":
                    if kind in long:
                        raise self._strange("several extended headers of one kind")
                    long[kind] = text(data)
                elif strange := sorted(pax_records(data).keys() - _HARMLESS):
                    raise self._strange(f"a global header with {strange[0]}")
            else:
                name = self._name(block, pax, long)
                length = self._size(name, length, pax)
                self._add(block, kind, name, position + BLOCK, length, pax, long)
                pax, long = {}, {}
                length = length if kind in "07" else 0
            position += BLOCK + -(-length // BLOCK) * BLOCK
            if position > size:
                raise UsageError("the archive is cut off", thing=str(self.path), remedy="save the image again")

    def _name(self, block: bytes, pax: dict[str, str], long: dict[str, str]) -> str:
        """An entry's name, as every reader takes it. Raises RefusedError where readers take different ones."""
        own, odd = names_of(block)
        name = pax.get("path") or long.get("L") or own[0]
        for field, kind in (("path", "L"), ("linkpath", "K")):
            if not pax.get(field, "-") or (kind in long and field in pax and long[kind] != pax[field]):
                raise self._strange(f"{name!r}: two extended headers give it different names")
        if (odd or len(own) > 1) and not (pax.get("path") or long.get("L")):
            raise self._strange(f"{name!r}: a prefix that only some readers take")
        return name

    def _size(self, name: str, own: int, pax: dict[str, str]) -> int:
        """An entry's size: the header's own, or the pax header's where the former cannot hold it. Raises
        RefusedError."""
        if "size" not in pax:
            return own
        try:
            size = pax_size(pax["size"])
        except MalformedError:
            raise self._strange(f"{name!r}: its pax header holds no size in digits") from None
        if size != own and size < OCTAL_SIZE:
            raise self._strange(f"{name!r}: its pax header and its own header give different sizes")
        return size

    def _add(
        self, block: bytes, kind: str, name: str, start: int, length: int, pax: dict[str, str], long: dict[str, str]
    ) -> None:
        if any(key.startswith("GNU.sparse.") for key in pax) or kind not in "01234567":
            raise self._strange(f"an entry of the kind {kind!r}, or a sparse file")
        name = _plain(name)
        if kind in "3456" or not name or (kind == "0" and name.endswith("/")):
            return
        if name in self._files or name in self._links:
            raise self._strange(f"two entries of the name {name!r}")
        if kind in "07":
            self._files[name] = (start, length)
            return
        target = pax.get("linkpath") or long.get("K") or text(block[157:257])
        self._links[name] = _plain(target if kind == "1" else str(PurePosixPath(name).parent / target))

    def _check(self, count: int) -> None:
        if count > archives_limits.ARCHIVE_ENTRIES:
            raise RefusedError("the archive has too many entries", thing=str(self.path))

    def _check_small(self, length: int) -> None:
        if length > archives_limits.LAYER_NAME:
            raise MalformedError("a name in the archive is too long")

    def _strange(self, what: str) -> RefusedError:
        return RefusedError(
            "readers of tar take the archive differently", thing=f"{self.path}: {what[:240]}",
            remedy="save the image again with docker save or podman save",
        )  # fmt: skip


def _plain(name: str) -> str:
    """A name without `.` and `..`, which lead nowhere but inside the archive."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class _Part(io.RawIOBase):
    """A stretch of a file, read by position: others read the same descriptor."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor, self._at, self._end = descriptor, start, start + length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = os.pread(self._descriptor, min(len(buffer), self._end - self._at), self._at)
        if not data and self._at < self._end:
            raise FailedError("the archive has become shorter while it was read")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
