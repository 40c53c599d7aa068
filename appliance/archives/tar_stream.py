"""A tar archive read as a stream of headers: nothing is unpacked, and nothing in it decides how much is held.

Old tar, ustar, star, GNU (long names, sparse files, base-256 numbers) and pax. Readers differ in corners: Go's
archive/tar (containerd, Docker, Podman) ignores global headers and fails at a lone zero block, GNU tar stops there,
`tar -i` goes on, Python takes the first of two extended headers and Go the last. Every entry that any of them would
make is given, under every name that one of them would give it, and each such corner is an `Oddity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from appliance.archives.tar_fields import (
    BLOCK,
    OCTAL_SIZE,
    ZEROS,
    check_sum,
    is_header,
    number,
    pax_records,
    pax_size,
    powers,
    text,
)
from appliance.archives.unpacking import Stream
from appliance.limits import archives as limits
from bundles.errors import MalformedError

_USTAR: Final = b"ustar\x0000"
_GNU: Final = b"ustar  \0"
_STAR: Final = b"tar\0"
_TYPES: Final = "01234567S"
"""Types that every reader knows: file, links, devices, folder, fifo, contiguous file, GNU sparse file."""
_WITHOUT_DATA: Final = "123456"
_PAX: Final = "xX"
_SKIP: Final = 1024 * 1024
_HARMLESS: Final = frozenset({"comment", "hdrcharset", "mtime", "atime", "ctime"})
"""Keys of a global header that change nothing of what is looked for; Git writes a `comment`."""


@dataclass(slots=True)
class Member:
    """An entry. `names` and `targets` are every reading of it, the runtimes' first; `kind` is tar's type: 0 a file,
    1 a hard link, 2 a symbolic link, 3 and 4 devices, 5 a folder; `powers` are extended attributes that give power;
    `size` is of its data, `header` its block and `records` its pax records, for whoever wants more of it."""

    names: tuple[str, ...]
    targets: tuple[str, ...]
    mode: int
    kind: str
    powers: tuple[str, ...] = ()
    size: int = 0
    header: bytes = b""
    records: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that readers take differently, at the entry `path` or, where that is empty, in the archive."""

    path: str
    reason: str


@dataclass(slots=True)
class _Ahead:
    """What extended headers say of the entry that follows."""

    records: list[dict[str, str]] = field(default_factory=list)
    long_names: list[str] = field(default_factory=list)
    long_targets: list[str] = field(default_factory=list)
    solaris: bool = False

    def __len__(self) -> int:
        return len(self.records) + len(self.long_names) + len(self.long_targets)


def members(stream: Stream, take: Callable[[bytes], None] | None = None) -> Iterator[Member | Oddity]:
    """Every entry of an archive, and every oddity, to the end of the stream. Raises MalformedError.

    `take` gets the data of each entry, between that entry and the next one.
    """
    ahead = _Ahead()
    seen, zeros, told = 0, False, False
    while block := stream.read(BLOCK):
        if block == ZEROS[: len(block)]:
            zeros = True
            continue
        if zeros and not is_header(block):
            yield Oddity("", "bytes behind the end of the archive")
            while stream.skip(_SKIP):
                pass
            return
        if zeros and not told:
            told = True
            yield Oddity("", "entries behind a zero block")
        if len(block) < BLOCK:
            raise MalformedError("a layer ends in the middle of a header")
        seen += 1
        if seen > limits.LAYER_ENTRIES:
            raise MalformedError("a layer has too many entries", thing=str(seen))
        check_sum(block)
        kind = chr(block[156]) if block[156] else "0"
        if kind in "xXgLK":
            yield from _extended(ahead, kind, _content(stream, number(block[124:136])))
            continue
        yield from _entry(stream, block, kind, ahead, take)
        if ahead:
            ahead = _Ahead()
    if ahead:
        yield Oddity("", "an extended header without an entry")


def _extended(ahead: _Ahead, kind: str, data: bytes) -> Iterator[Member | Oddity]:
    """Take in an extended header; a global one is looked at by itself."""
    if len(ahead) == limits.LAYER_EXTENDED:
        raise MalformedError("a layer has too many extended headers before one entry")
    if kind in _PAX:
        ahead.records.append(pax_records(data))
        ahead.solaris |= kind == "X"
    elif kind == "L":
        ahead.long_names.append(text(data))
    elif kind == "K":
        ahead.long_targets.append(text(data))
    else:
        records = pax_records(data)
        strange = sorted(records.keys() - _HARMLESS)
        if strange:
            yield Oddity("", f"a global header with {', '.join(strange)}")
            names = _given(records, "path", "GNU.sparse.name")
            targets = _given(records, "linkpath")
            yield Member(names or ("",), targets, 0, "2" if targets else "0", powers(records))


def _given(records: dict[str, str], *keys: str) -> tuple[str, ...]:
    return tuple(records[key] for key in keys if records.get(key))


def _entry(
    stream: Stream, block: bytes, kind: str, ahead: _Ahead, take: Callable[[bytes], None] | None
) -> Iterator[Member | Oddity]:
    size = number(block[124:136])
    names, reasons = names_of(block)
    targets: tuple[str, ...] = (text(block[157:257]),)
    records: dict[str, str] = {}
    if ahead:
        names, targets, size, records, more = _overridden(names, targets, size, ahead)
        reasons += more
    if block[156] == 0 and names[0].endswith("/"):
        kind = "5"  # as archives from before ustar have folders
    if kind not in _TYPES:
        reasons.append(f"a type that readers take differently: {kind!r}")
    if kind in _WITHOUT_DATA and size:
        reasons.append("a link, folder or device with a size")
    yield Member(names, targets, number(block[100:108]), kind, powers(records), size, block, records)
    for reason in reasons:
        yield Oddity(names[0], reason)
    if kind == "S":
        if block[257:265] != _GNU:
            yield Oddity(names[0], "a GNU sparse file without GNU's magic")
        extended = block[482]
        while extended:
            extension = stream.read(BLOCK)
            if len(extension) < BLOCK:
                raise MalformedError("a layer ends in the middle of a header")
            extended = extension[504]
    if kind not in _WITHOUT_DATA and size:
        _pass_data(stream, size, take)


def _pass_data(stream: Stream, size: int, take: Callable[[bytes], None] | None) -> None:
    padded = -(-size // BLOCK) * BLOCK
    passed = stream.skip(padded) if take is None else stream.pass_on(size, take) + len(stream.read(padded - size))
    if passed < padded:
        raise MalformedError("a layer ends in the middle of a file")


def names_of(block: bytes) -> tuple[tuple[str, ...], list[str]]:
    """The names that readers make of a header's own fields, and what is odd about them."""
    name, magic = text(block[:100]), block[257:265]
    if not block[345]:
        return (name,), []
    prefix = text(block[345:500])
    joined = f"{prefix}/{name}"
    if magic == _USTAR:
        if block[508:512] == _STAR and block[475]:
            return (f"{text(block[345:476])}/{name}", joined), []
        return (joined,), []
    if magic == _GNU and not block[345:369].strip(b"01234567 \0"):
        return (name,), []  # access and change times
    return (name, joined), ["a name with a prefix that only some readers take"]


def _overridden(
    names: tuple[str, ...], targets: tuple[str, ...], size: int, ahead: _Ahead
) -> tuple[tuple[str, ...], tuple[str, ...], int, dict[str, str], list[str]]:
    """An entry by its extended headers: names, targets, size, pax records, and what is odd."""
    reasons = ["a pax header of Solaris"] if ahead.solaris else []
    if any(len(entries) > 1 for entries in (ahead.records, ahead.long_names, ahead.long_targets)):
        reasons.append("several extended headers of one kind")
    records = {key: value for one in ahead.records for key, value in one.items()}
    sparse = records.get("GNU.sparse.name", "")
    if sparse and "GNU.sparse.major" not in records and "GNU.sparse.map" not in records:
        reasons.append("a sparse name without a sparse file")
    if any(not records.get(key, "-") for key in ("path", "linkpath", "size", "GNU.sparse.name")):
        reasons.append("a pax header that takes a field away")
    paths = [one["path"] for one in ahead.records if one.get("path")]
    links = [one["linkpath"] for one in ahead.records if one.get("linkpath")]
    for long, pax in ((ahead.long_names, paths), (ahead.long_targets, links)):
        if long and pax and {*long} != {*pax}:
            reasons.append("two extended headers with different names")
    # A header's own name is cut short where an extended header has the whole: it is no reading beside that one.
    names = _distinct(ahead.long_names[-1:], [sparse], paths[-1:], ahead.long_names, paths) or names
    targets = _distinct(ahead.long_targets[-1:], links[-1:], ahead.long_targets, links) or targets
    sizes = {one["size"] for one in ahead.records if one.get("size")}
    if sizes:
        if len(sizes) > 1:
            raise MalformedError("an entry whose size cannot be told", thing=", ".join(sorted(sizes))[:80])
        size, own = pax_size(records.get("size", "")), size
        if size != own and size < OCTAL_SIZE:
            reasons.append("a size in a pax header that is not the header's own")
    return names, targets, size, records, reasons


def _distinct(*lists: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names if name))


def _content(stream: Stream, size: int) -> bytes:
    if size > limits.LAYER_NAME:
        raise MalformedError("a name in a layer is too long", thing=f"{size} bytes")
    data = stream.read(-(-size // BLOCK) * BLOCK)
    if len(data) < size:
        raise MalformedError("a layer ends in the middle of a name")
    return data[:size]
