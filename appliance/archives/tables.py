"""Tables of contents in a layer, found and held against its archive.

zstd:chunked keeps one in a skippable frame, eStargz in the archive's last entry. Runtimes that know the formats take
names, modes, owners and attributes from the table and never look at the archive's headers, so a table that says
something else is another layer. A skippable frame that is neither a table, nor tar-split, nor a footer holds what
nobody has looked through (containers/storage, pkg/chunked; containerd/stargz-snapshotter, docs/estargz.md and
docs/zstd-chunked; RFC 8878, section 3.1.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, Final

from appliance.archives.findings import Looked
from appliance.archives.table_compare import Comparison, plain
from appliance.archives.table_document import PIECE, Document, Table
from appliance.archives.tar_stream import Member, Oddity, members
from appliance.archives.unpacking import Frame, Members, Stream, Unwrapped, compression_of, stretch
from appliance.limits import archives as limits
from bundles.errors import LockgateError, MalformedError

_NAME: Final = "stargz.index.json"
_FOOTER_MAGIC: Final = (b"GNUlInUx", b"GnUlInUx")
"""Of the footer of zstd:chunked, today and until 2023."""
_FOOTER_SIZES: Final = (64, 40)
_STARGZ: Final = re.compile(rb"([-+0-9a-fA-F][0-9a-fA-F]{15})STARGZ.{13}\Z", re.DOTALL)
_ELSEWHERE: Final = b"STARGZEXTERNALTOC"
_SPLIT_KEYS: Final = re.compile(rb'\s*\{\s*"(?:type|name|name_raw|size|payload|position)"')
_SPLIT_TYPES: Final = (1, 2)
_CHUNKED: Final = ("io.github.containers.zstd-chunked.", "io.containers.zstd-chunked.")

Findings = Callable[[Member], Iterator[tuple[str, dict[str, Any]]]]
"""What an entry gives, by rule."""


def is_index(member: Member) -> bool:
    """Whether an entry is eStargz's table of contents."""
    return member.kind not in "123456" and any(plain(name) == _NAME for name in member.names)


def has_footer(file: BinaryIO, size: int) -> bool:
    """Whether a blob ends as one with a table of contents does."""
    tail = _tail(file, size)
    return tail.endswith(_FOOTER_MAGIC) or _STARGZ.search(tail) is not None or _ELSEWHERE in tail


def look_into(
    file: BinaryIO, size: int, deadline: float, frames: list[Frame], indexes: int, looked: Looked, findings: Findings
) -> None:
    """Hold every table of contents of a blob against its archive, and give what differs as `mislisted`.

    `frames` are its skippable frames, `indexes` counts entries that are eStargz's table. Raises MalformedError for
    what is not understood: then the blob was not looked through.
    """
    Look(file, size, deadline, looked, findings).into(frames, indexes)


class Look:
    """One look at the tables of one blob. Reads it anew from its beginning for each."""

    def __init__(self, file: BinaryIO, size: int, deadline: float, looked: Looked, findings: Findings) -> None:
        self._file, self._size, self._deadline = file, size, deadline
        self._looked, self._findings = looked, findings
        self._layout = ""
        self._splits: list[str] = []
        self._told = 0

    def into(self, frames: list[Frame], indexes: int) -> None:
        """All tables, then the footers that lead to them."""
        kinds = {frame: self._kind_of(frame) for frame in frames}
        tables = [frame for frame, kind in kinds.items() if kind == "table"]
        splits = [frame for frame, kind in kinds.items() if kind == "tar-split"]
        if len(tables) + indexes > limits.LAYER_TABLES or len(splits) > 1:
            raise MalformedError("a layer has too many tables of contents", thing=str(len(tables) + indexes))
        for frame in tables:
            self._frame(frame)
        for number in range(indexes):
            self._entry(number)
        for frame in splits:
            self._split(frame)
        named = {split for split in self._splits if split}
        known = {one["checksum"] for one in self._looked.tables if one["form"] == "tar-split"}
        if named - known:
            self._differs("", "the table names a tar-split that the layer does not hold")
        footers = [frame for frame, kind in kinds.items() if kind == "footer"]
        self._check_footers(footers)

    def _kind_of(self, frame: Frame) -> str:
        """table, tar-split, footer or empty. Raises MalformedError for a frame that is none of these."""
        head = self._read(frame.offset, min(frame.size, 64))
        if frame.size in _FOOTER_SIZES and head.endswith(_FOOTER_MAGIC):
            return "footer"
        if compression_of(head) == "zstd":
            with ExitStack() as closing:
                start = self._unpacked(frame, closing).peek(PIECE)
            return "tar-split" if _SPLIT_KEYS.match(start) else "table"
        if not head.strip(b"\0") and not any(piece.strip(b"\0") for piece in self._pieces(frame)):
            return "empty"
        raise MalformedError("a frame that decompressors skip holds something", thing=f"{frame.size} bytes")

    def _frame(self, frame: Frame) -> None:
        """zstd:chunked's table."""
        with ExitStack() as closing:
            stream = self._unpacked(frame, closing)
            self._compare(stream.read, self._checksum(frame), frame)

    def _entry(self, number: int) -> None:
        """eStargz's table, the archive's entry of that name that is number `number`."""
        with self._archive() as unwrapped:
            stream, size = _index_in(unwrapped.stream, number)
            if size > limits.LAYER_TABLE:
                raise MalformedError("a table of contents is too large", thing=f"{size} bytes")
            left = size

            def read(count: int) -> bytes:
                nonlocal left
                data = stream.read(min(count, left))
                left -= len(data)
                return data

            self._compare(read, "", Frame(-1, size))

    def _compare(self, read: Callable[[int], bytes], checksum: str, frame: Frame) -> None:
        digest, total = hashlib.sha256(), 0

        def fetch() -> bytes:
            nonlocal total
            data = read(PIECE)
            digest.update(data)
            total += len(data)
            return data

        table = Table(Document(fetch))
        with self._archive() as unwrapped:
            layout = hashlib.sha256()
            unwrapped.stream.read_hash = layout
            comparison = Comparison(table.listed(), self._differs)
            for member in members(unwrapped.stream, comparison.take):
                if isinstance(member, Oddity):
                    continue
                comparison.member(None if is_index(member) else member)
            comparison.end()
        self._layout = layout.hexdigest()
        self._splits.append(table.tar_split)
        self._looked.tables.append(
            {
                "form": "table", "offset": frame.offset, "length": frame.size, "size": total, "checksum": checksum,
                "digest": f"sha256:{digest.hexdigest()}",
            }
        )  # fmt: skip

    def _differs(self, path: str, reason: str, as_listed: Member | None = None) -> None:
        self._told += 1
        if self._told > limits.FINDINGS:  # it fails already: a small blob is not to cost minutes
            raise MalformedError("a table of contents lists something else than the archive too often")
        cut = path[: limits.FINDING_PATH]
        self._looked.add("mislisted", path=_visible(cut), reason=reason)
        if as_listed is not None:
            for rule, what in self._findings(as_listed):
                self._looked.add(rule, path=_visible(cut), **{key: _visible(value) for key, value in what.items()})

    def _split(self, frame: Frame) -> None:
        """tar-split: the archive's bytes without its files' data, from which Podman makes the archive again to push
        it (vbatts/tar-split, tar/storage)."""
        laid, total = hashlib.sha256(), 0
        if not self._layout:
            raise MalformedError("tar-split without a table of contents", thing=f"{frame.size} bytes")
        with ExitStack() as closing:
            stream = self._unpacked(frame, closing)

            def fetch() -> bytes:
                nonlocal total
                data = stream.read(PIECE)
                total += len(data)
                return data

            document = Document(fetch)
            while document.next():
                laid.update(_segment(document.value()))
        if laid.hexdigest() != self._layout:
            self._differs("", "tar-split holds other headers than the archive")
        self._looked.tables.append(
            {"form": "tar-split", "offset": frame.offset, "length": frame.size, "size": total,
             "checksum": self._checksum(frame), "digest": ""}
        )  # fmt: skip

    def _check_footers(self, footers: list[Frame]) -> None:
        tail = _tail(self._file, self._size)
        for frame in footers:
            if not self._leads(self._read(frame.offset, frame.size)):
                self._differs("", "a footer leads to another table of contents")
        if tail.endswith(_FOOTER_MAGIC) and not any(frame.offset + frame.size == self._size for frame in footers):
            self._differs("", "a footer that is no frame of its own")
        if _ELSEWHERE in tail:
            self._differs("", "the table of contents is kept elsewhere")
        elif (found := _STARGZ.search(tail)) is not None and not self._is_index_at(int(found[1], 16)):
            self._differs("", "a footer leads to another table of contents")

    def _leads(self, footer: bytes) -> bool:
        """Whether a footer of zstd:chunked names a table of this blob, and its tar-split where it names one."""
        words = [int.from_bytes(footer[at : at + 8], "little") for at in range(0, len(footer) - 8, 8)]
        known = {(one["form"], one["offset"], one["length"], one["size"]) for one in self._looked.tables}
        split = tuple(words[4:7])
        return (
            ("table", *words[:3]) in known
            and words[3] == 1
            and (not any(split) or ("tar-split", *split) in known)
        )  # fmt: skip

    def _is_index_at(self, offset: int) -> bool:
        """Whether what stands at an offset is a table of this blob (eStargz's footer)."""
        if not 0 <= offset < self._size:
            return False
        try:
            with self._archive(offset) as unwrapped:
                stream, size = _index_in(unwrapped.stream, 0, first=True)
                digest = hashlib.sha256()
                whole = stream.pass_on(size, digest.update) == size
        except LockgateError:
            return False
        known = {one["digest"] for one in self._looked.tables if one["form"] == "table"}
        return whole and f"sha256:{digest.hexdigest()}" in known

    def _unpacked(self, frame: Frame, closing: ExitStack) -> Stream:
        """A frame's content, decompressed. Whatever stands behind its first member is a member, too."""
        raw = Stream(stretch(self._file, frame.offset, frame.size), frame.size, self._deadline)
        decoder = Members("zstd", raw, closing, None, limits.LAYER_WINDOW_TABLE)
        return Stream(decoder.next, limits.LAYER_TABLE, self._deadline)

    def _archive(self, offset: int = 0) -> Unwrapped:
        window = limits.LAYER_WINDOW_TABLE
        return Unwrapped(self._file, self._size - offset, self._deadline, offset, window)

    def _pieces(self, frame: Frame) -> Iterator[bytes]:
        return iter(stretch(self._file, frame.offset, frame.size), b"")

    def _checksum(self, frame: Frame) -> str:
        digest = hashlib.sha256()
        for piece in self._pieces(frame):
            digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


def unmatched(annotations: Mapping[str, str], looked: Looked) -> str:
    """Why the annotations of a layer lead to a table of contents that was not compared, or "".

    A runtime goes by them alone: a table is authenticated by its digest, wherever it stands.
    """
    tables = [one for one in looked.tables if one["form"] == "table"]
    splits = [one for one in looked.tables if one["form"] == "tar-split"]
    for prefix in _CHUNKED:
        sum_, position = annotations.get(f"{prefix}manifest-checksum"), annotations.get(f"{prefix}manifest-position")
        if (sum_ is not None or position is not None) and not any(
            (sum_, position) == (one["checksum"], f"{one['offset']}:{one['length']}:{one['size']}:1") for one in tables
        ):
            return "annotations name a table of contents that the layer does not hold"
        split = annotations.get(f"{prefix}tarsplit-position")
        if split is not None and split not in [f"{one['offset']}:{one['length']}:{one['size']}" for one in splits]:
            return "an annotation names a tar-split that the layer does not hold"
    digest = annotations.get("containerd.io/snapshot/stargz/toc.digest")
    if digest is not None and digest not in [one["digest"] for one in tables]:
        return "an annotation names a table of contents that the layer does not hold"
    return ""


def _index_in(stream: Stream, number: int, *, first: bool = False) -> tuple[Stream, int]:
    """The stream at the data of an archive's table of contents, and its size. `first`: its first entry must be it."""
    for member in members(stream):
        if isinstance(member, Oddity):
            continue
        if is_index(member):
            if not number:
                return stream, member.size
            number -= 1
        elif first:
            break
    raise MalformedError("there is no table of contents")


def _segment(line: Any) -> bytes:
    """The raw bytes of a line of tar-split; nothing for a file. Raises MalformedError."""
    if isinstance(line, dict) and line.get("type") in _SPLIT_TYPES:
        if line["type"] == 1:
            return b""
        try:
            return base64.b64decode(line.get("payload") or "", validate=True)
        except (TypeError, ValueError, binascii.Error):
            pass
    raise MalformedError("tar-split is malformed", thing=repr(line)[:60])


def _tail(file: BinaryIO, size: int) -> bytes:
    start = max(0, size - 80)
    file.seek(start)
    return file.read(size - start)


def _visible(value: Any) -> Any:
    """Text without halves of surrogate pairs, which JSON can name and no report could hold."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
