"""An archive and a table of contents in step: each entry of the one beside the same of the other."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from appliance.archives.table_document import Chunk, Listed
from appliance.archives.tar_fields import XATTR, gives_power, number
from appliance.archives.tar_stream import Member
from appliance.limits import archives as limits
from bundles.errors import MalformedError

_WORDS: Final = {
    "0": "reg", "7": "reg", "1": "hardlink", "2": "symlink", "3": "char", "4": "block", "5": "dir", "6": "fifo",
}  # fmt: skip
_KINDS: Final = {word: kind for kind, word in _WORDS.items() if kind != "7"}
_AHEAD: Final = 8
"""Entries of the table among which the archive's next one is looked for: both are in one order."""
_NOTHING: Final = f"sha256:{hashlib.sha256().hexdigest()}"

Differs = Callable[[str, str, Member | None], object]
"""Told the path, the reason, and the entry as the table lists it."""


def plain(name: str) -> str:
    """A path as runtimes resolve it, but for `..`: that may lead through a link, and stays. One that is too long for
    any system stays as it is."""
    if len(name) > limits.LAYER_PATH:
        return name
    return "/".join(part for part in name.split("/") if part not in ("", "."))


class Comparison:
    """Is given the archive's entries, each followed by its data, and tells what the table lists otherwise."""

    def __init__(self, listed: Iterator[Listed], differs: Differs) -> None:
        self._listed, self._differs = listed, differs
        self._ahead: deque[Listed] = deque()
        self._data: _Data | None = None

    def member(self, member: Member | None) -> None:
        """The archive's next entry; None for one that no table lists."""
        self._end_data()
        if member is None:
            return
        entry = self._find(plain(member.names[0]))
        if entry is None:
            self._differs(member.names[0], "not in the table of contents", None)
            return
        reasons = _differences(member, entry)
        if reasons:
            self._differs(entry.name, f"listed with another {' and '.join(reasons)}", as_member(entry))
        self._data = _Data(entry, member.size if _WORDS.get(member.kind) == "reg" else 0)

    def take(self, data: bytes) -> None:
        """Data of the entry that was given last."""
        if self._data is not None:
            self._data.take(data)

    def end(self) -> None:
        """The archive is over: what the table still lists is not in it."""
        self._end_data()
        while (entry := self._next()) is not None:
            self._extra(entry)

    def _find(self, name: str) -> Listed | None:
        while len(self._ahead) < _AHEAD and (entry := next(self._listed, None)) is not None:
            self._ahead.append(entry)
        for place, entry in enumerate(self._ahead):
            if plain(entry.name) == name:
                for _ in range(place):
                    self._extra(self._ahead.popleft())
                return self._ahead.popleft()
        return None

    def _next(self) -> Listed | None:
        return self._ahead.popleft() if self._ahead else next(self._listed, None)

    def _extra(self, entry: Listed) -> None:
        self._differs(entry.name, "in the table of contents alone", as_member(entry))

    def _end_data(self) -> None:
        if self._data is not None and (reason := self._data.objection()):
            self._differs(self._data.entry.name, reason, None)
        self._data = None


class _Data:
    """A file's data, held against the digests of its entry."""

    def __init__(self, entry: Listed, size: int) -> None:
        self.entry, self._size = entry, size
        self._whole = hashlib.sha256()
        self._chunks = deque(entry.chunks)
        self._chunk = hashlib.sha256()
        self._at, self._in_chunk, self._zeros = 0, 0, True
        self._wrong = ""

    def take(self, data: bytes) -> None:
        self._whole.update(data)
        start = 0
        while self._chunks and not self._wrong and start < len(data):
            size = self._size_of(self._chunks[0])
            if size <= 0:
                self._wrong = "listed in other chunks"
                break
            piece = data[start : start + size - self._in_chunk]
            self._chunk.update(piece)
            self._zeros = self._zeros and not piece.strip(b"\0")
            self._in_chunk += len(piece)
            start += len(piece)
            if self._in_chunk == size:
                self._end_chunk(self._chunks.popleft(), size)

    def _size_of(self, chunk: Chunk) -> int:
        return chunk.size or self._size - self._at

    def _end_chunk(self, chunk: Chunk, size: int) -> None:
        found = f"sha256:{self._chunk.hexdigest()}"
        if chunk.offset != self._at:
            self._wrong = "listed in other chunks"
        elif (chunk.digest and chunk.digest != found) or (chunk.zeros and not self._zeros):
            self._wrong = "a chunk is listed with another digest"
        elif not chunk.digest and not chunk.zeros:
            self._wrong = "a chunk is listed without a digest"
        self._at += size
        self._in_chunk, self._chunk, self._zeros = 0, hashlib.sha256(), True

    def objection(self) -> str:
        """What is wrong with the data, or ""."""
        if not self._size:
            held = self.entry.chunks
            if self.entry.digest not in ("", _NOTHING) or any(one.size or one.digest or one.zeros for one in held):
                return "listed with data that it does not have"
            return ""
        if self.entry.digest != f"sha256:{self._whole.hexdigest()}":
            return "listed with another digest" if self.entry.digest else "listed without a digest"
        short = self._chunks or (self.entry.chunks and self._at != self._size)
        return self._wrong or ("listed in other chunks" if short else "")


def as_member(entry: Listed) -> Member:
    """An entry as the table lists it, as if the archive held it."""
    powers = tuple(name for name in entry.xattrs if gives_power(name))
    return Member((entry.name,), (entry.target,), entry.mode, _KINDS.get(entry.kind, "0"), powers)


def _differences(member: Member, entry: Listed) -> list[str]:
    """In which fields the table differs from the archive."""
    word = _WORDS.get(member.kind, "")
    target, listed = member.targets[0], entry.target
    if word == "hardlink":
        target, listed = plain(target), plain(listed)
    xattrs = {key[len(XATTR) :]: value for key, value in member.records.items() if key.startswith(XATTR)}
    found = [
        ("type", entry.kind == word),
        ("mode", entry.mode & 0o7777 == member.mode & 0o7777),
        ("target", listed == target if word in ("hardlink", "symlink") else not listed),
        ("owner", entry.owner == _owner(member)),
        ("size", entry.size == member.size if word == "reg" else not entry.size),
        ("device", entry.device == _device(member) if word in ("char", "block") else True),
        ("attributes", entry.xattrs == xattrs),
    ]
    return [name for name, equal in found if not equal]


def _owner(member: Member) -> tuple[int, int]:
    return (
        _of_record(member.records.get("uid"), member.header[108:116]),
        _of_record(member.records.get("gid"), member.header[116:124]),
    )


def _of_record(record: str | None, own: bytes) -> int:
    """A number by its pax record, else by the header's own field; -1 where readers may differ."""
    if record:
        return int(record) if record.isascii() and record.isdigit() and len(record) < 20 else -1
    return _number(own)


def _device(member: Member) -> tuple[int, int]:
    return _number(member.header[329:337]), _number(member.header[337:345])


def _number(field: bytes) -> int:
    try:
        return number(field)
    except MalformedError:
        return -1
