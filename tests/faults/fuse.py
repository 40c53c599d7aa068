"""One file of a FUSE file system, mounted over a file: its reads fail, or give other bytes, as a test tells it.

The kernel's protocol without a library (Linux, include/uapi/linux/fuse.h): the mount's root is the regular file itself.
Mounting takes root and /dev/fuse.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

import pytest

_IN: Final = struct.Struct("<IIQQIIIHH")
_OUT: Final = struct.Struct("<IiQ")
_ATTRIBUTES: Final = struct.Struct("<QII 6Q 10I")
_FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT, _INTERRUPT = (
    2, 3, 4, 14, 15, 17, 18, 20, 25, 26, 36,
)  # fmt: skip
_DETACH: Final = 2
_LARGEST: Final = 1 << 20

needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="mounting takes root and /dev/fuse"
)


class FailingFile:
    """`body` as a file mounted over `path` while the block runs.

    `on_open` and `on_read(offset, length)` raise OSError for an operation that is to fail; `on_read` may return other
    bytes than `body`'s.
    """

    def __init__(self, path: Path, body: bytes) -> None:
        self.path, self.body = path, body
        self.on_open: Callable[[], object] = lambda: None
        self.on_read: Callable[[int, int], bytes | None] = lambda offset, length: None
        self.opened = 0
        self._changed = time.time_ns()

    def __enter__(self) -> FailingFile:
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=100644,user_id=0,group_id=0,allow_other"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"lockgate-test", os.fsencode(self.path), b"fuse", 0, options.encode()):
            os.close(self._device)
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(self.path), _DETACH)
        self._thread.join(10)
        os.close(self._device)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # ENODEV: it was unmounted
            while request := os.read(self._device, _LARGEST + 4096):
                _, operation, unique, *_ = _IN.unpack_from(request)
                if operation in (_FORGET, _INTERRUPT):
                    continue
                try:
                    number, answer = 0, self._answer(operation, request[_IN.size :])
                except OSError as failed:
                    number, answer = -(failed.errno or errno.EIO), b""
                with contextlib.suppress(FileNotFoundError):  # it was interrupted meanwhile
                    os.write(self._device, _OUT.pack(_OUT.size + len(answer), number, unique) + answer)

    def _answer(self, operation: int, asked: bytes) -> bytes:
        if operation == _INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 128 << 10, 0, 16, 12, 128 << 10, 1, 0, 0, 0)
        if operation in (_GETATTR, _SETATTR):
            if operation == _SETATTR:
                self._changed = time.time_ns()
            return self._attributes()
        if operation == _OPEN:
            self.opened += 1
            self.on_open()
            return struct.pack("<QIi", 1, 0, 0)
        if operation == _READ:
            _, offset, length = struct.unpack_from("<QQI", asked)
            other = self.on_read(offset, length)
            return self.body[offset : offset + length] if other is None else other
        if operation == _STATFS:
            return struct.pack("<5Q4I24x", 1000, 1000, 1000, 1000, 1000, 4096, 255, 4096, 0)
        if operation in (_RELEASE, _FSYNC, _FLUSH):
            return b""
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def _attributes(self) -> bytes:
        seconds, rest = divmod(self._changed, 10**9)
        mode = stat.S_IFREG | 0o644
        return _ATTRIBUTES.pack(
            0, 0, 0, 1, len(self.body), len(self.body) // 512 + 1, 1, 1, seconds, 0, 0, rest, mode, 1, 0, 0, 0, 4096, 0
        )


def failing(number: int) -> OSError:
    """The system's error of that number."""
    return OSError(number, os.strerror(number))
