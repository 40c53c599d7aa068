"""7z archives, looked through by py7zr: every entry named, read to its end against its CRC-32, and looked into.

Nothing is written anywhere: an entry's bytes go to a sink that holds a few MiB of them at most. Methods whose memory
the archive decides without a bound, and encrypted archives, are not read: they are `unread`.
"""

from __future__ import annotations

import io
import posixpath
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

from appliance.archives.findings import Looked
from appliance.archives.tar_fields import BLOCK, ZEROS, is_header
from appliance.archives.tar_stream import Member
from appliance.archives.unpacking import compression_of
from appliance.limits import archives as limits
from bundles.errors import LockgateError, MalformedError
from bundles.io.seven_zip import check_header

MAGIC: Final = b"7z\xbc\xaf\x27\x1c"
_START: Final = 32
_TURN = threading.RLock()
"""One archive at a time in a process: a decoder may hold `limits.SEVEN_ZIP_WINDOW`."""
_LZMA: Final = b"\x03\x01\x01"
_LZMA2: Final = b"!"
_WITHOUT_WINDOW: Final = frozenset(
    {b"\x00", b"\x03", b"\x04", b"\x05", b"\x06", b"\x07", b"\x08", b"\x09", b"\x04\x01\x08", b"\x04\x02\x02"}
    | {b"\x03\x03\x01\x03", b"\x03\x03\x02\x05", b"\x03\x03\x04\x01", b"\x03\x03\x05\x01", b"\x03\x03\x07\x01"}
    | {b"\x03\x03\x08\x05"}
)
"""Copy, Delta, the branch filters, Deflate and BZip2 (7zFormat.txt, Methods.txt)."""
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_UNIX: Final = 0xF000_8000
"""Attributes with either the Unix extension or a type in the high half carry a Unix mode there: readers differ."""

Findings = Callable[[Member], Iterator[tuple[str, dict[str, Any]]]]
Look = Callable[[BinaryIO, int, float, int], Looked]


def is_seven_zip(file: BinaryIO) -> bool:
    """Whether a blob begins as a 7z archive does."""
    file.seek(0)
    head = file.read(len(MAGIC))
    file.seek(0)
    return head == MAGIC


def look_into_seven_zip(
    file: BinaryIO, size: int, deadline: float, looked: Looked, findings: Findings, look: Look, depth: int
) -> None:
    """Take in what a 7z archive of `size` bytes holds. `look` looks through what is in it, `depth` archives deep.

    Raises MalformedError with the reason where it is not read to its end: then it is `unread`.
    """
    if depth >= limits.SEVEN_ZIP_DEPTH:
        raise MalformedError("archives inside archives, too many of them", thing=f"{depth} levels")
    read_seven_zip(file, size, _Reading(looked, findings, look, deadline, size, depth))


@dataclass(slots=True)
class SevenZipEntry:
    """An entry by its place in the archive: names may be spelled in several ways. `size` is None until it was read."""

    name: str
    is_link: bool = False
    size: int | None = None
    held: bytearray = field(default_factory=bytearray)


class Reading(Protocol):
    """Who takes in what an archive holds, and sets its ceilings. Each method may raise MalformedError."""

    entries: list[SevenZipEntry]

    def begin(self, files: Sequence[Any]) -> None:
        """Note each of py7zr's files in `entries`, in their order."""

    def attend(self, count: int) -> None:
        """So many bytes of an entry were unpacked."""

    def feed(self, entry: SevenZipEntry, data: bytes) -> None:
        """The next bytes of an entry."""

    def finish(self, entry: SevenZipEntry) -> None:
        """The entry came to its end; its `size` is known now."""


class _Reading:
    """What is found in one archive, and the ceilings of reading it."""

    def __init__(self, looked: Looked, findings: Findings, look: Look, deadline: float, size: int, depth: int) -> None:
        self.looked, self._findings, self._look = looked, findings, look
        self._deadline, self._depth = deadline, depth
        self._left = max(limits.LAYER_FLOOR, min(limits.LAYER_BYTES, size * limits.LAYER_RATIO))
        self.entries: list[SevenZipEntry] = []

    def begin(self, files: Sequence[Any]) -> None:
        """Take in each entry's name, kind and mode."""
        _take_names(files, self)

    def feed(self, entry: SevenZipEntry, data: bytes) -> None:
        """Hold the beginning of an entry."""
        room = limits.SEVEN_ZIP_HELD - len(entry.held)
        entry.held += data[: max(room, 0)]

    def finish(self, entry: SevenZipEntry) -> None:
        """Look into an entry."""
        held, entry.held = bytes(entry.held), bytearray()
        self.take(entry, held, entry.size == len(held))

    def attend(self, count: int) -> None:
        """Count bytes of an entry. Raises MalformedError at a ceiling."""
        self._left -= count
        if self._left < 0:
            raise MalformedError("a 7z archive grows too large")
        if time.monotonic() > self._deadline:
            raise MalformedError("looking through the layers takes too long", thing=f"{limits.LAYERS_TIME:.0f} s")

    def member(self, name: str, kind: str, mode: int, target: str = "") -> None:
        """Take in what an entry's name, kind and mode give, as every reader of names would take them."""
        slashed = name.replace("\\", "/")
        names = tuple(dict.fromkeys((name, slashed, posixpath.normpath(slashed))))
        targets = tuple(dict.fromkeys((target, target.replace("\\", "/")))) if target else ()
        for rule, what in self._findings(Member(names, targets, mode, kind)):
            self.looked.add(rule, path=name[: limits.FINDING_PATH], **what)
        if _DRIVE.match(name):
            self.looked.add("absolute", path=name[: limits.FINDING_PATH], kind="name")
        if kind == "2" and (target.startswith(("/", "\\")) or _DRIVE.match(target)):
            what = {"kind": "symbolic link", "target": target[: limits.FINDING_PATH]}
            self.looked.add("absolute", path=name[: limits.FINDING_PATH], **what)

    def take(self, entry: SevenZipEntry, head: bytes, whole: bool) -> None:
        """Look into an entry, by all of its bytes or (`whole` is False) by its beginning. A link is looked into as a
        file, too: some readers make one of it."""
        name = entry.name
        if entry.is_link:
            self.member(name, "2", 0, head.decode(errors="backslashreplace")[: limits.LAYER_NAME])
        if not head:
            return
        if not whole:
            if _may_be_archive(head):
                reason = f"an archive of more than {limits.SEVEN_ZIP_HELD} bytes in a 7z archive"
                self.looked.add("unread", path=name[: limits.FINDING_PATH], reason=reason)
            return
        inner = self._look(io.BytesIO(head), len(head), self._deadline, self._depth + 1)
        if inner.failed:
            self.looked.add("unread", path=name[: limits.FINDING_PATH], reason=inner.failed[: limits.FINDING_PATH])
        self.looked.entries += inner.entries
        for rule, found in inner.found.items():
            for what in found.listed:
                path = f"{name}!{what.get('path', '')}"[: limits.FINDING_PATH]
                self.looked.add(rule, **(what | {"path": path}))
            for _ in range(found.count - len(found.listed)):
                self.looked.add(rule, path=name[: limits.FINDING_PATH])


def _may_be_archive(head: bytes) -> bool:
    """Whether a reader could take what begins so for an archive: behind zero blocks or other bytes, too."""
    if compression_of(head[:8]) or head.startswith(MAGIC):
        return True
    start = (len(head) - len(head.lstrip(b"\0"))) // BLOCK * BLOCK if head.startswith(ZEROS) else 0
    if start >= len(head) // BLOCK * BLOCK:
        return True  # zeros alone: what follows them is not held
    lead = head[start : start + limits.LAYER_LEAD]
    return any(is_header(lead[at : at + BLOCK]) for at in range(0, len(lead) - BLOCK + 1, BLOCK))


def read_seven_zip(file: BinaryIO, size: int, reading: Reading) -> None:
    """Read an archive to its end. Raises MalformedError with the reason where that cannot be done."""
    with _TURN:
        _read(file, size, reading)


def _read(file: BinaryIO, size: int, reading: Reading) -> None:
    import py7zr  # here: it is slow to load, and few blobs are 7z archives
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):
        def __init__(self, entry: SevenZipEntry) -> None:
            self._entry, self._size = entry, 0

        def write(self, s: bytes | bytearray) -> int:
            reading.attend(len(s))
            self._size += len(s)
            reading.feed(self._entry, bytes(s))
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            return

        def size(self) -> int:
            return self._size

        def close(self) -> None:
            if self._entry.size is not None:
                raise MalformedError("an entry of a 7z archive that is read twice")
            self._entry.size = self._size
            reading.finish(self._entry)

    class Factory(WriterFactory):
        def create(self, filename: str) -> Sink:
            return Sink(reading.entries[int(filename.removeprefix("/"))])

    _check_place(file, size)
    try:
        _check_folders(check_header(file, limits.SEVEN_ZIP_HEADER, limits.SEVEN_ZIP_HEADER_UNPACKED))
        file.seek(0)
        with py7zr.SevenZipFile(file, max_extract_size=None) as archive:
            _check_methods(archive)
            reading.begin(archive.files)
            _bind(archive)
            sizes = [int(entry.uncompressed) for entry in archive.files]
            archive.extract(path="/", factory=Factory())
        _check_all_read(sizes, reading)
    except LockgateError:
        raise
    except MemoryError:
        raise MalformedError("a 7z archive takes too much memory") from None
    except Exception as error:  # py7zr raises whatever a damaged archive makes it stumble over
        raise MalformedError("a damaged 7z archive", thing=f"{type(error).__name__}: {error}"[:120]) from None


def _check_place(file: BinaryIO, size: int) -> None:
    """The end header's place, before it is read (7zFormat.txt, SignatureHeader)."""
    file.seek(0)
    start = file.read(_START)
    offset, length = (int.from_bytes(start[at : at + 8], "little") for at in (12, 20))
    file.seek(0)
    if len(start) < _START or _START + offset + length > size:
        raise MalformedError("a 7z archive that is cut off")


def _check_methods(archive: Any) -> None:
    """Whether every method is one that is read, within its window. Raises MalformedError."""
    if archive.needs_password():
        raise MalformedError("an encrypted 7z archive")
    streams = archive.header.main_streams
    _check_folders(streams.unpackinfo.folders if streams is not None else ())


def _check_folders(folders: Iterable[Any]) -> None:
    for folder in folders:
        for coder in folder.coders:
            method, properties = bytes(coder["method"]), bytes(coder.get("properties") or b"")
            if method not in _WITHOUT_WINDOW | {_LZMA, _LZMA2}:
                raise MalformedError("a 7z archive by a method that is not read", thing=method.hex())
            if (window := _window(method, properties)) > limits.SEVEN_ZIP_WINDOW:
                raise MalformedError("a 7z archive with a window that is too large", thing=f"{window} bytes")


def _window(method: bytes, properties: bytes) -> int:
    """What a decoder holds (lzma-specification.txt; xz file format, 5.3.1)."""
    if method == _LZMA:
        return int.from_bytes(properties[1:5], "little")
    if method == _LZMA2 and properties:
        bits = properties[0]
        return 2**32 - 1 if bits >= 40 else (2 | (bits & 1)) << (bits // 2 + 11)
    return 0


def _take_names(files: Sequence[Any], reading: _Reading) -> None:
    """Take in each entry's name, kind and mode; two of one name are read differently."""
    seen: set[str] = set()
    for entry in files:
        reading.attend(0)
        reading.looked.entries += 1
        if reading.looked.entries > limits.LAYER_ENTRIES:
            raise MalformedError("a 7z archive has too many entries")
        name = str(entry.filename)
        same = posixpath.normpath(name.replace("\\", "/").lstrip("/"))
        if same in seen:
            reading.looked.add("ambiguous", path=name[: limits.FINDING_PATH], reason="two entries of one name")
        seen.add(same)
        if len(reading.looked.names) < limits.SEVEN_ZIP_LISTED:
            reading.looked.names.append(name[: limits.FINDING_PATH])
        attributes = int(entry.file_properties().get("attributes") or 0)
        unix = attributes >> 16 if attributes & _UNIX else 0
        is_link = stat.S_ISLNK(unix) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)
        reading.entries.append(SevenZipEntry(name, is_link))
        if is_link and (not unix or (stat.S_ISLNK(unix) and not unix & (stat.S_ISUID | stat.S_ISGID))):
            continue  # its name is taken in with its target
        reading.member(name, _kind(entry, attributes, unix), stat.S_IMODE(unix))


def _kind(entry: Any, attributes: int, unix: int) -> str:
    """An entry with a data stream is a file, whatever its attributes say; only one without may be a folder."""
    is_folder = attributes & stat.FILE_ATTRIBUTE_DIRECTORY and stat.S_IFMT(unix) in (0, stat.S_IFDIR)
    return "5" if is_folder and entry.emptystream else "0"


def _bind(archive: Any) -> None:
    """Make py7zr deliver every entry, by its place: it passes over what its attributes call a folder or a socket,
    numbers the entries of a later folder as if no empty one stood among them, and gives names in another spelling."""
    held: dict[int, list[Any]] = {}
    for place, entry in enumerate(archive.files):
        entry.file_properties().update(filename=str(place), attributes=None)
        if entry.folder is not None:
            held.setdefault(id(entry.folder), []).append(entry)
            entry.folder.files = held[id(entry.folder)]


def _check_all_read(sizes: list[int], reading: Reading) -> None:
    """Whether each entry came with all of its bytes. Raises MalformedError."""
    for size, entry in zip(sizes, reading.entries, strict=True):
        if entry.size != size:
            raise MalformedError("an entry of a 7z archive that is not read", thing=entry.name[: limits.FINDING_PATH])
