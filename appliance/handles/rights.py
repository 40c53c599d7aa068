"""What a caller may do with an opened file, as the kernel decides it: owner, mode and POSIX ACL (acl(5)).

Where this process is root, a thread can also take the caller's rights for a while, and the kernel itself decides.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

READ: Final = 4
WRITE: Final = 2
SEARCH: Final = 1

_ACL: Final = "system.posix_acl_access"
_ACL_VERSION: Final = 2
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Tags of the extended attribute (linux/posix_acl_xattr.h)."""

_SYS_SETGROUPS: Final = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "ppc64le": 81, "s390x": 206}
"""setgroups(2) by machine: the system call changes one thread, the C library's function changes all of them."""

_STATFS: Final = 256
"""More than a struct statfs of any machine, in bytes."""

_KERNEL: Final = frozenset({
    0x9FA0, 0x62656572, 0x64626720, 0x74726163, 0x73636673, 0x27E0EB, 0x63677270, 0xCAFE4A11, 0x62656570, 0x1CD1,
})  # fmt: skip
"""proc, sysfs, debugfs, tracefs, securityfs, cgroup, cgroup2, bpf, configfs and devpts (linux/magic.h)."""

_libc: Final = ctypes.CDLL(None, use_errno=True)
_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Person:
    """A system account at the other end of a socket: its uid, gid and further groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def is_in(self, gid: int) -> bool:
        """Whether it is a member of the group."""
        return gid == self.gid or gid in self.groups


def may(person: Person, descriptor: int, wanted: int) -> bool:
    """Whether the person may use an opened file or folder: `wanted` is READ, WRITE and SEARCH, or-ed. Root may all.

    Raises OSError where the file cannot be looked at.
    """
    if person.uid == 0:
        return True
    status = os.fstat(descriptor)
    mode = status.st_mode
    if status.st_uid == person.uid:
        return mode >> 6 & wanted == wanted
    acl = _acl(descriptor)
    if acl:
        return _by_acl(person, status.st_gid, acl, wanted)
    granted = mode >> 3 if person.is_in(status.st_gid) else mode
    return granted & wanted == wanted


def _acl(descriptor: int) -> list[tuple[int, int, int]]:
    """The entries of the file's ACL, each (tag, permissions, id); empty where it has none."""
    try:
        raw = os.getxattr(f"/proc/self/fd/{descriptor}", _ACL)  # by its name, for descriptors of O_PATH
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY):
            return []
        raise
    if len(raw) % 8 != 4 or struct.unpack_from("<I", raw)[0] != _ACL_VERSION:
        raise OSError(errno.EINVAL, "an access control list that is not understood")
    return list(struct.iter_unpack("<HHI", raw[4:]))


def _by_acl(person: Person, owning_group: int, acl: list[tuple[int, int, int]], wanted: int) -> bool:
    """The access check algorithm of acl(5), from the second step on: the owner was asked before."""
    mask = next((permissions for tag, permissions, _ in acl if tag == _MASK), READ | WRITE | SEARCH)
    for tag, permissions, account in acl:
        if tag == _USER and account == person.uid:
            return permissions & mask & wanted == wanted
    groups = [
        permissions & mask
        for tag, permissions, account in acl
        if (tag == _GROUP_OBJ and person.is_in(owning_group)) or (tag == _GROUP and person.is_in(account))
    ]
    if groups:
        return any(permissions & wanted == wanted for permissions in groups)
    other = next((permissions for tag, permissions, _ in acl if tag == _OTHER), 0)
    return other & wanted == wanted


def is_of_the_kernel(descriptor: int) -> bool:
    """Whether an opened file is on a file system that holds no files, but what the kernel tells. Raises OSError."""
    room = ctypes.create_string_buffer(_STATFS)
    if _libc.fstatfs(descriptor, room) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    kind = ctypes.c_ulong.from_buffer(room).value & 0xFFFFFFFF  # f_type comes first (statfs(2))
    return kind in _KERNEL


@contextlib.contextmanager
def acting_as(person: Person) -> Iterator[None]:
    """While it is open, this thread's file operations are the person's (setfsuid(2)), where this process is root and
    the machine allows it; elsewhere nothing changes. What is made then belongs to the person. May be nested."""
    if os.geteuid() != 0 or person.uid == 0 or getattr(_thread, "acting", False):
        yield
        return
    number = _SYS_SETGROUPS.get(platform.machine())
    if number is None:
        yield
        return
    before = os.getgroups()
    _thread.acting = True
    try:
        _set_groups(number, list(person.groups))
        _libc.setfsgid(person.gid)
        _libc.setfsuid(person.uid)
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(os.getegid())
        _set_groups(number, before)
        _thread.acting = False


def _set_groups(number: int, groups: list[int]) -> None:
    """This thread's supplementary groups. Raises OSError."""
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if _libc.syscall(number, len(groups), array) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
