"""Other system accounts in this process: a thread that has their rights, by system calls that change it alone."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

NOBODY = 65_534
STRANGER = 61_234
"""A uid that nobody has."""

T = TypeVar("T")
_CALLS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}
"""setgroups, setresgid, setresuid (the system calls, not the C library's functions)."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() not in _CALLS, reason="only root can be somebody else"
)


def as_uid(uid: int, work: Callable[[], T], groups: Sequence[int] = ()) -> T:
    """What `work` returns, done by a thread that is `uid`, in the group of that number and in `groups`. Whoever is not
    root is themselves alone, and changes nothing."""
    if os.geteuid() and uid == os.geteuid() and not groups:
        return work()
    libc, (setgroups, setresgid, setresuid) = ctypes.CDLL(None), _CALLS[platform.machine()]
    done: list[Any] = []

    def run() -> None:
        array = (ctypes.c_uint32 * len(groups))(*groups)
        try:
            assert libc.syscall(setgroups, len(groups), array) == 0
            assert libc.syscall(setresgid, -1, uid, -1) == 0
            assert libc.syscall(setresuid, -1, uid, -1) == 0
            done.append((work(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    ((result, error),) = done
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]
