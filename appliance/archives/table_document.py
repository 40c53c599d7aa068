"""A layer's table of contents, read entry by entry: what runtimes take in place of the archive's own headers.

Formats: zstd:chunked (containers/storage, pkg/chunked) and eStargz (containerd/stargz-snapshotter, docs/estargz.md)
share one JSON document. Readers in Go match keys without regard to case and take the last of two, so keys are exact and
stand once here. The document is never held: what is held is one entry, and the chunks of one file.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from appliance.limits import archives as limits
from bundles.errors import MalformedError

PIECE: Final = 64 * 1024
_BLANK: Final = re.compile(r"[ \t\r\n]*+")
_TOP: Final = frozenset({"version", "entries", "tarSplitDigest"})
_TEXTS: Final = ("name", "type", "linkName", "digest", "chunkDigest", "chunkType")
_NUMBERS: Final = ("mode", "size", "uid", "gid", "devMajor", "devMinor", "chunkSize", "chunkOffset")
_UNUSED: Final = ("modtime", "accesstime", "changetime", "offset", "endOffset", "innerOffset", "userName", "groupName")
_FIELDS: Final = frozenset((*_TEXTS, *_NUMBERS, *_UNUSED, "xattrs"))
_INTEGER: Final = 2**63


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file: its first byte, its size (0 in the last one: to the end), its digest, and whether it is said
    to hold zeros alone."""

    offset: int
    size: int
    digest: str
    zeros: bool


@dataclass(slots=True)
class Listed:
    """An entry of a table. `kind` is its word for the type; `xattrs` are one character a byte; `device` is major and
    minor; `chunks` are all of the file's, none where it is in one piece without a digest of its own."""

    name: str
    kind: str
    target: str
    mode: int
    size: int
    owner: tuple[int, int]
    device: tuple[int, int]
    xattrs: dict[str, str]
    digest: str
    chunks: list[Chunk]


class Document:
    """JSON that comes piece by piece: values are decoded one at a time."""

    def __init__(self, fetch: Callable[[], bytes]) -> None:
        """`fetch` gives the next bytes, b"" at the end."""
        self._fetch, self._ended = fetch, False
        self._text, self._at = "", 0
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def next(self) -> str:
        """The next character that is no blank, which stays; "" at the end. Raises MalformedError."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Read one character. Raises MalformedError for another one."""
        if self.next() != character:
            raise MalformedError("a table of contents is no JSON", thing=repr(self._text[self._at : self._at + 20]))
        self._at += 1

    def value(self) -> Any:
        """Read one value. Raises MalformedError for what is no JSON, and for one beyond `limits.LAYER_TABLE_ENTRY`."""
        self.next()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise MalformedError("a table of contents is nested too deep") from None
            except ValueError as error:
                if self._ended:
                    raise MalformedError("a table of contents is no JSON", thing=str(error)[:80]) from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return found
            if len(self._text) - self._at > limits.LAYER_TABLE_ENTRY:
                raise MalformedError("a table of contents is no JSON, or an entry of it is too large")
            self._more()

    def _more(self) -> bool:
        data = b"" if self._ended else self._fetch()
        try:
            text = self._utf8.decode(data, final=not data)
        except UnicodeDecodeError:
            raise MalformedError("a table of contents is no UTF-8") from None
        self._ended = self._ended or not data
        self._text, self._at = self._text[self._at :] + text, 0
        return bool(data)


class Table:
    """A table of contents. `tar_split` is the digest that it names of the archive's raw headers, once it was read."""

    def __init__(self, document: Document) -> None:
        self._document, self.tar_split = document, ""
        self._held: dict[str, Any] | None = None

    def listed(self) -> Iterator[Listed]:
        """Each entry, with the chunks of its file. Raises MalformedError."""
        entries = self._entries()
        held = next(entries, None)
        while held is not None:
            if held["type"] == "chunk":
                raise MalformedError("a table of contents lists a chunk of no file", thing=held["name"][:80])
            chunks = [_chunk(held)]
            while (following := next(entries, None)) is not None and following["type"] == "chunk":
                if held["type"] != "reg" or following["name"] not in ("", held["name"]):
                    raise MalformedError("a table of contents lists a chunk of no file", thing=following["name"][:80])
                if len(chunks) == limits.LAYER_CHUNKS:
                    raise MalformedError("a table of contents lists too many chunks", thing=held["name"][:80])
                chunks.append(_chunk(following))
            yield _listed(held, chunks)
            held = following

    def _entries(self) -> Iterator[dict[str, Any]]:
        document = self._document
        seen: dict[str, Any] = {}
        document.expect("{")
        while document.next() != "}":
            if seen:
                document.expect(",")
            key = document.value()
            if not isinstance(key, str) or key not in _TOP or key in seen:
                raise MalformedError("a table of contents has a field that is not known", thing=repr(key)[:60])
            document.expect(":")
            seen[key] = None
            if key == "entries" and document.next() == "[":
                document.expect("[")
                first = True
                while document.next() != "]":
                    if not first:
                        document.expect(",")
                    first = False
                    yield _fields(document.value())
                document.expect("]")
            else:
                seen[key] = document.value()
        document.expect("}")
        if document.next():
            raise MalformedError("a table of contents has something behind its end")
        if seen.get("version") != 1 or isinstance(seen["version"], bool) or seen.get("entries") is not None:
            raise MalformedError("a table of contents is of a version that is not known")
        split = seen.get("tarSplitDigest") or ""
        if not isinstance(split, str):
            raise MalformedError("a table of contents names no digest of its tar-split")
        self.tar_split = split


def _fields(entry: Any) -> dict[str, Any]:
    """An entry's fields, each of its type; null is Go's zero value."""
    if not isinstance(entry, dict) or not entry.keys() <= _FIELDS:
        raise MalformedError("an entry of a table of contents has a field that is not known", thing=repr(entry)[:80])
    fields: dict[str, Any] = {}
    for names, kind, zero in ((_TEXTS, str, ""), (_NUMBERS, int, 0), (("xattrs",), dict, {})):
        for name in names:
            value = entry.get(name)
            fields[name] = value = zero if value is None else value
            if not isinstance(value, kind) or isinstance(value, bool):
                raise MalformedError("an entry of a table of contents is malformed", thing=f"{name}: {value!r}"[:80])
    return fields


def _listed(fields: dict[str, Any], chunks: list[Chunk]) -> Listed:
    whole = len(chunks) == 1 and not chunks[0].digest and not chunks[0].zeros
    return Listed(
        name=fields["name"],
        kind=fields["type"],
        target=fields["linkName"],
        mode=fields["mode"],
        size=fields["size"],
        owner=(fields["uid"], fields["gid"]),
        device=(fields["devMajor"], fields["devMinor"]),
        xattrs={name: _bytes(value) for name, value in fields["xattrs"].items()},
        digest=fields["digest"],
        chunks=[] if whole else chunks,
    )


def _chunk(part: dict[str, Any]) -> Chunk:
    if part["chunkType"] not in ("", "zeros"):
        raise MalformedError("a chunk of a type that is not known", thing=part["chunkType"][:60])
    return Chunk(part["chunkOffset"], part["chunkSize"], part["chunkDigest"], part["chunkType"] == "zeros")


def _bytes(value: Any) -> str:
    try:
        return base64.b64decode("" if value is None else value, validate=True).decode("latin-1")
    except (TypeError, ValueError, binascii.Error):
        raise MalformedError("an extended attribute is no base64", thing=repr(value)[:60]) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedError("a table of contents has a field twice", thing=repr(pairs)[:80])
    return fields


def _integer(text: str) -> int:
    if len(text) > 20 or not -_INTEGER <= int(text) < _INTEGER:
        raise MalformedError("a number in a table of contents is too large", thing=text[:40])
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise MalformedError("a number in a table of contents is no integer", thing=text[:40])


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number
)
