"""Bytes out of a blob, decompressed by what they are: gzip, zstd, bzip2 and xz by their first bytes, also nested.

These are the forms that container runtimes detect (containers/storage, pkg/archive: DetectCompression). Whatever a
blob's media type says, its content decides. Nothing is held but buffers of fixed size and, for zstd and xz, a window:
one window above `limits.LAYER_WINDOW_EACH` at a time in a process.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import BinaryIO, Final, NamedTuple, Protocol

from backports import zstd

from appliance.limits import archives as limits
from bundles.errors import MalformedError

_IN: Final = 16 * 1024
"""Compressed bytes handed to a decoder at once: what it leaves over is copied, once a member."""
_OUT: Final = 256 * 1024
_GZIP: Final = 31
"""zlib's window bits for gzip with a window of 32 KiB."""
_Z_MEM_ERROR: Final = -4
"""zlib.h."""
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_FRAME_HEAD: Final = 18
"""Magic, descriptor, window, dictionary and content size of a zstd frame (RFC 8878, section 3.1.1.1)."""
_FRAME_LEAST: Final = 8
"""A skippable frame of fewer bytes holds neither a compressed document nor a header of anything."""
_MAGIC: Final = {"gzip": b"\x1f\x8b", "zstd": _ZSTD_MAGIC, "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_LARGE_WINDOW = threading.RLock()


class Hash(Protocol):
    """What takes bytes in, as hashlib's hashes do."""

    def update(self, data: bytes, /) -> None: ...


class Frame(NamedTuple):
    """The content of a skippable frame: where it stands in the blob, and its bytes' number."""

    offset: int
    size: int


class Stream:
    """Bytes in order, no more of them than `ceiling`, and none after `deadline` (time.monotonic)."""

    def __init__(self, fetch: Callable[[], bytes], ceiling: int, deadline: float) -> None:
        self._fetch, self._ceiling, self._deadline = fetch, ceiling, deadline
        self._buffer, self._given, self._ended = bytearray(), 0, False
        self.read_hash: Hash | None = None
        """Takes in what `read` gives, not what is skipped."""

    @property
    def position(self) -> int:
        """How many bytes were read or skipped."""
        return self._given - len(self._buffer)

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end, which stay to be read. Raises MalformedError at a ceiling."""
        self._fill(count)
        return bytes(self._buffer[:count])

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end. Raises MalformedError at a ceiling."""
        self._fill(count)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        if self.read_hash is not None:
            self.read_hash.update(data)
        return data

    def pass_on(self, count: int, take: Callable[[bytes], None]) -> int:
        """As `skip`, and hand the bytes over piece by piece."""
        left = count
        while left:
            self._fill(1)
            piece = bytes(self._buffer[: min(left, _OUT)])
            if not piece:
                break
            del self._buffer[: len(piece)]
            take(piece)
            left -= len(piece)
        return count - left

    def skip(self, count: int) -> int:
        """Drop the next `count` bytes; returns how many there were. Raises MalformedError at a ceiling."""
        left = count
        while left:
            self._fill(1)
            gone = min(left, len(self._buffer))
            if not gone:
                break
            del self._buffer[:gone]
            left -= gone
        return count - left

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count and not self._ended:
            data = self._fetch()
            self._ended = not data
            self._buffer += data
            self._given += len(data)
            if self._given > self._ceiling:
                raise MalformedError("a layer grows too large", thing=f"over {self._ceiling} bytes")
            if time.monotonic() > self._deadline:
                raise MalformedError("looking through the layers takes too long", thing=f"{limits.LAYERS_TIME:.0f} s")


def stretch(file: BinaryIO, start: int, size: int) -> Callable[[], bytes]:
    """Reads a part of a seekable file piece by piece, wherever others read it meanwhile; b"" at its end."""
    at, end = start, start + size

    def fetch() -> bytes:
        nonlocal at
        file.seek(at)
        data = file.read(min(_OUT, end - at))
        at += len(data)
        return data

    return fetch


def compression_of(head: bytes) -> str:
    """gzip, zstd, bzip2, xz, or "" for anything else, by the first 8 bytes."""
    if is_skippable(head):
        return "zstd"
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), "")


def is_skippable(head: bytes) -> bool:
    """Whether a skippable zstd frame begins here (RFC 8878, section 3.1.2)."""
    return len(head) >= 8 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50


class Unwrapped:
    """A blob's content behind every compression that is around it; a context manager.

    `wrappers` names them, the outermost first. `frames` are the skippable frames met so far that could hold something;
    a file list that runtimes read stands in one.
    """

    def __init__(
        self, file: BinaryIO, size: int, deadline: float, start: int = 0, window: int = limits.LAYER_WINDOW
    ) -> None:
        """The `size` bytes of a seekable file from `start` on, which the ceilings follow from; the file stays open.
        `window`: what a decoder may hold.

        Raises MalformedError for damaged compression, and for one compressed more often than anything real is."""
        self._closing = ExitStack()
        self.wrappers: tuple[str, ...] = ()
        self.frames: list[Frame] = []
        self._most = window
        self.stream = Stream(stretch(file, start, size), size, deadline)
        ceiling = max(limits.LAYER_FLOOR, min(limits.LAYER_BYTES, size * limits.LAYER_RATIO))
        try:
            while form := compression_of(self.stream.peek(8)):
                self._unwrap(form, ceiling, deadline)
        except BaseException:
            self.close()
            raise

    def _unwrap(self, form: str, ceiling: int, deadline: float) -> None:
        if len(self.wrappers) == limits.LAYER_WRAPPERS:
            raise MalformedError("a layer is compressed too many times", thing=", ".join(self.wrappers))
        frames, window = (None, limits.LAYER_WINDOW_NESTED) if self.wrappers else (self.frames, self._most)
        decoder = Members(form, self.stream, self._closing, frames, window)
        self.stream = Stream(decoder.next, ceiling, deadline)
        self.wrappers = (*self.wrappers, form)

    def close(self) -> None:
        """Give a large window back."""
        self._closing.close()

    def __enter__(self) -> Unwrapped:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lacks_memory(error: Exception) -> bool:
    """Whether a decoder got no memory for its window, which is no fault of the layer. zlib and zstd say it in words."""
    words = str(error)
    return (
        (isinstance(error, zlib.error) and words.startswith(f"Error {_Z_MEM_ERROR} "))
        or (isinstance(error, zstd.ZstdError) and "not enough memory" in words)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


class _Decoder(Protocol):
    """A decoder of one member or frame, as bz2, lzma and zstd have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decoder in that shape."""

    def __init__(self) -> None:
        self._inflate, self._rest = zlib.decompressobj(_GZIP), b""

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._inflate.decompress(self._rest + data, max_length)
        self._rest = self._inflate.unconsumed_tail
        return found


class Members:
    """Members or frames one behind the other, until the compressed bytes end (RFC 1952, RFC 8878)."""

    def __init__(self, form: str, source: Stream, closing: ExitStack, frames: list[Frame] | None, window: int) -> None:
        """`frames` takes up the skippable frames; None: where no reader would look into them, and there must be none.
        `window` is what the decoder may hold, in bytes."""
        self._form, self._source, self._frames, self._most = form, source, frames, window
        self._decoder: _Decoder | None = None
        self._pending = b""
        self._window = closing.enter_context(ExitStack())

    def next(self) -> bytes:
        """The next bytes, b"" at the end. Raises MalformedError for what is damaged, cut, or of another form."""
        while True:
            if self._decoder is None:
                self._decoder = self._begin()
                if self._decoder is None:
                    return b""
            data = b""
            if self._decoder.needs_input:
                data, self._pending = self._pending or self._source.read(_IN), b""
                if not data:
                    raise MalformedError("a layer's compression ends early")
            try:
                found = self._decoder.decompress(data, _OUT)
            except (zlib.error, zstd.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError) as error:
                if _lacks_memory(error):
                    raise MemoryError from error
                raise MalformedError("a layer's compression is damaged", thing=str(error)[:80]) from None
            if self._decoder.eof:
                self._pending = self._decoder.unused_data
                self._decoder = None
                self._window.close()
            if found:
                return found

    def _begin(self) -> _Decoder | None:
        """The decoder of the next member, None where there is none. Raises MalformedError for what is no member."""
        while True:
            if len(self._pending) < _FRAME_HEAD:
                self._pending += self._source.read(_IN)
            if not self._pending:
                return None
            if self._form != "zstd" or not is_skippable(self._pending):
                break
            size = 8 + int.from_bytes(self._pending[4:8], "little")
            self._note_frame(self._source.position - len(self._pending) + 8, size - 8)
            if len(self._pending) < size and self._source.skip(size - len(self._pending)) < size - len(self._pending):
                raise MalformedError("a layer's compression ends early")
            self._pending = self._pending[size:]
        if not self._pending.startswith(_MAGIC[self._form]):
            raise MalformedError(
                "bytes behind the end of a layer's compression", thing=f"{self._pending[:8].hex()} in hex"
            )
        if self._form == "gzip":
            return _Gzip()
        if self._form == "bzip2":
            return bz2.BZ2Decompressor()
        if self._form == "xz":
            self._take_window(self._most)
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=self._most)
        return self._zstd()

    def _note_frame(self, offset: int, size: int) -> None:
        """Note a skippable frame, unless it is too short to hold anything (pzstd writes four bytes into each)."""
        if size < _FRAME_LEAST:
            return
        if self._frames is None or len(self._frames) == limits.LAYER_FRAMES:
            raise MalformedError("a layer's compression has frames that nothing reads", thing=f"{size} bytes")
        self._frames.append(Frame(offset, size))

    def _zstd(self) -> zstd.ZstdDecompressor:
        window = _window_of(self._pending)
        if window > self._most:
            raise MalformedError("a layer's compression needs too much memory", thing=f"a window of {window} bytes")
        self._take_window(window)
        options = {int(zstd.DecompressionParameter.window_log_max): max(10, (self._most - 1).bit_length())}
        return zstd.ZstdDecompressor(options=options)

    def _take_window(self, size: int) -> None:
        if size > limits.LAYER_WINDOW_EACH:
            self._window.enter_context(_LARGE_WINDOW)


def _window_of(frame: bytes) -> int:
    """The window that a zstd frame needs, by its header (RFC 8878, section 3.1.1.1). Raises MalformedError."""
    if len(frame) < 6:
        raise MalformedError("a layer's compression ends early")
    descriptor = frame[4]
    if not descriptor & 0x20:
        base = 1 << (10 + (frame[5] >> 3))
        return base + (base >> 3) * (frame[5] & 7)
    start = 5 + (0, 1, 2, 4)[descriptor & 3]
    length = (1, 2, 4, 8)[descriptor >> 6]
    return int.from_bytes(frame[start : start + length], "little") + (256 if length == 2 else 0)
