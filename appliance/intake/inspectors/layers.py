"""Layers: what in an image's file system gives power or leads out of it: setuid and setgid bits, device nodes, and
links and names that are absolute or escape.

Layers are streamed through, decompressed under ceilings of size, ratio, entries and time; nothing is unpacked by its
path (threats: zip-slip while scanning layers, decompression bomb).
"""

from __future__ import annotations

import contextlib
import posixpath
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from backports import zstd

from appliance import limits
from appliance.intake.inspectors.notebook import Looked
from appliance.intake.inspectors.port import Subject, listed
from appliance.intake.inspectors.tar_stream import Member, members
from bundles.documents import Section
from bundles.errors import LockgateError, MalformedError
from bundles.lanes import at_once
from bundles.oci.descriptor import Descriptor

_GZIP: Final = 31
_WINDOW: Final[Mapping[int, int]] = {int(zstd.DecompressionParameter.window_log_max): 27}
"""128 MiB, what a zstd decoder must be ready for at most (RFC 8878, section 3.1.1.1.2 recommends 8 MiB)."""
_CHUNK: Final = 256 * 1024
_LANES: Final = 2
"""Layers that are unpacked at once; the machine's smallest size has two cores."""
_SETID: Final = 0o6000
_FILE: Final = ("0", "7")
_HARD: Final = "1"
_SYMBOLIC: Final = "2"
_DEVICES: Final = {"3": "character device", "4": "block device"}


def inspect(subject: Subject) -> Section:
    """Every distinct layer of every image. `fail` where something escapes, or a layer could not be looked through;
    `note` where something gives power."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("setuid", "devices", "absolute", "escaping", "unread")
    }
    distinct: dict[str, tuple[str, Descriptor]] = {}
    for checked in subject.checked:
        if checked.artifact.kind == "image":
            for layer in checked.manifest.layers:
                if ".tar" in layer.media_type:
                    distinct.setdefault(str(layer.digest), (checked.name, layer))
    seen = _look_through(subject, [layer for _, layer in distinct.values()])
    for digest, (name, _) in distinct.items():
        where, looked = {"image": name, "layer": digest}, seen[digest]
        for kind, items in looked.found.items():
            found[kind] += [{**where, **what} for what in items]
        if looked.failed:
            found["unread"].append({**where, "reason": looked.failed})
    entries = sum(looked.entries for looked in seen.values())
    bad = len(found["escaping"]) + len(found["unread"])
    some = sum(map(len, found.values()))
    counted = ", ".join(f"{len(items)} {name}" for name, items in found.items() if items)
    details: dict[str, Any] = {"layers": len(seen), "entries": entries}
    for name, items in found.items():
        details |= listed(name, items)
    return Section(
        inspector="layers",
        outcome="fail" if bad else "note" if some else "ok",
        summary=f"{len(seen)} layers, {entries} entries: {counted or 'nothing that gives power or leads out'}",
        details=details,
    )


def _look_through(subject: Subject, layers: Sequence[Descriptor]) -> dict[str, Looked]:
    """What is in each layer, by digest: as an earlier inspection of the same bytes found it, or found now, in lanes."""
    deadline = time.monotonic() + limits.LAYERS_TIME
    known = {str(layer.digest): subject.notebook.recall(str(layer.digest), layer.media_type) for layer in layers}
    seen = {digest: looked or Looked() for digest, looked in known.items()}
    fresh = [layer for layer in layers if known[str(layer.digest)] is None]

    def look(layer: Descriptor) -> None:
        looked = seen[str(layer.digest)]
        try:
            with contextlib.closing(_Stream(subject, layer, deadline)) as stream:
                for member in members(stream.read):
                    looked.entries += 1
                    for name, what in _findings(member):
                        looked.found.setdefault(name, []).append({"path": member.name[:300], **what})
        except LockgateError as error:
            looked.failed = error.diagnostics()

    at_once(look, fresh, _LANES)
    for layer in fresh:
        if not seen[str(layer.digest)].failed:
            subject.notebook.keep(str(layer.digest), layer.media_type, seen[str(layer.digest)])
    return seen


def _findings(member: Member) -> Iterator[tuple[str, dict[str, Any]]]:
    if member.kind in _FILE and member.mode & _SETID:
        yield "setuid", {"mode": f"{member.mode & 0o7777:04o}"}
    if member.kind in _DEVICES:
        yield "devices", {"kind": _DEVICES[member.kind]}
    if _escapes(member.name.lstrip("/")):
        yield "escaping", {"kind": "name"}
    elif member.name.startswith("/"):
        yield "absolute", {"kind": "name"}
    if member.kind == _HARD and _escapes(member.target.lstrip("/")):
        yield "escaping", {"kind": "hard link", "target": member.target[:300]}
    if member.kind == _SYMBOLIC:
        if member.target.startswith("/"):
            name = "escaping" if _escapes(member.target.lstrip("/")) else "absolute"
            yield name, {"kind": "symbolic link", "target": member.target[:300]}
        elif _escapes(posixpath.join(posixpath.dirname(member.name.lstrip("/")), member.target)):
            yield "escaping", {"kind": "symbolic link", "target": member.target[:300]}


def _escapes(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


class _Stream:
    """A layer's uncompressed bytes, no more of them than the ceilings allow."""

    def __init__(self, subject: Subject, layer: Descriptor, deadline: float) -> None:
        self._layer, self._deadline = layer, deadline
        self._file = subject.blobs.open_blob(layer.digest)
        self._ceiling = max(limits.LAYER_FLOOR, min(limits.LAYER_BYTES, layer.size * limits.LAYER_RATIO))
        self._buffer, self._given, self._ended = bytearray(), 0, False
        self._inflate, self._rest = zlib.decompressobj(_GZIP), b""
        self._frame, self._begun = zstd.ZstdDecompressor(options=_WINDOW), False
        self._more = self._source(layer.media_type)

    def _source(self, media_type: str) -> Callable[[], bytes]:
        head = self._file.read(4)
        self._file.seek(0)
        if head[:2] == b"\x1f\x8b":
            return self._gzip
        if head == b"\x28\xb5\x2f\xfd":
            return self._zstd
        if "+" in media_type and "tar+" in media_type:
            raise MalformedError("a layer is not compressed as its type says", thing=media_type)
        return lambda: self._file.read(_CHUNK)

    def _gzip(self) -> bytes:
        """RFC 1952: one member behind the other."""
        while True:
            raw = self._rest or self._file.read(_CHUNK)
            if not raw:
                if not self._inflate.eof:
                    raise MalformedError("a layer's compression ends early")
                return b""
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                data = self._inflate.decompress(raw, _CHUNK)
            except zlib.error as error:
                raise MalformedError("a layer's compression is damaged", thing=str(error)[:80]) from None
            self._rest = self._inflate.unconsumed_tail or self._inflate.unused_data
            if data:
                return data

    def _zstd(self) -> bytes:
        """RFC 8878: one frame behind the other."""
        while True:
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, zstd.ZstdDecompressor(options=_WINDOW)
            raw = b""
            if self._frame.needs_input:
                raw, self._rest = self._rest or self._file.read(_CHUNK), b""
                if not raw:
                    if self._begun:
                        raise MalformedError("a layer's compression ends early")
                    return b""
            try:
                data = self._frame.decompress(raw, _CHUNK)
            except zstd.ZstdError as error:
                raise MalformedError("a layer's compression is damaged", thing=str(error)[:80]) from None
            self._begun = not self._frame.eof
            if data:
                return data

    def close(self) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end. Raises MalformedError where a ceiling is met."""
        while len(self._buffer) < count and not self._ended:
            data = self._more()
            self._ended = not data
            self._buffer += data
            self._given += len(data)
            if self._given > self._ceiling:
                raise MalformedError(
                    "a layer grows too large", thing=f"over {self._ceiling} bytes from {self._layer.size}"
                )
            if time.monotonic() > self._deadline:
                raise MalformedError("looking through the layers takes too long", thing=f"{limits.LAYERS_TIME:.0f} s")
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data
