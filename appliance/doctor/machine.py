"""The machine under a station: its disk, its clock, the media that are mounted, and the programs that are called."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from appliance.control.health import BUILT
from appliance.doctor.examined import Examined
from appliance.intake.overrides import trusted_now
from appliance.limits import station as limits
from appliance.mounts import Mount, mounts
from appliance.paths import StationPaths
from appliance.store.database import open_reader
from appliance.store.reserve import Reserve, Room
from bundles.errors import RefusedError
from bundles.processes import start

_MB: Final = 10**6
_TIMEX: Final = 256
"""Bytes that hold a struct timex (adjtimex(2)): 208 on 64-bit machines."""
_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""
_NODEV: Final = 4
"""ST_NODEV of statvfs(3), for which Python has no name on every system."""
_OTHERS_WRITE: Final = 0o022
PROGRAMS: Final = {
    "ssh-keygen": "keys in an SSH agent or on a security key cannot sign here",
    "ssh-add": "keys in an SSH agent are not found here",
}
"""Programs of the system that are called, and what is missing without them."""


def look_at_disk(paths: StationPaths) -> Iterator[Examined]:
    """The check `disk`: read-only, full, or without its reserve; and `disk of the store` where that is another one."""
    yield _disk("disk", paths.root, Reserve(paths.reserve))
    if paths.blobs.exists() and paths.blobs.stat().st_dev != paths.root.stat().st_dev:
        yield _disk("disk of the store", paths.blobs, None)


def _disk(name: str, folder: Path, reserve: Reserve | None) -> Examined:
    room = Room.of(folder)
    detail = f"{room.free / _MB:,.0f} MB of {room.total / _MB:,.0f} MB free"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return Examined(
            name=name, state="wrong", detail=f"the file system of {folder} is read-only",
            remedy="see the kernel's log, stop the station, check the file system, and mount it again",
        )  # fmt: skip
    most, share = limits.HEALTH_FREE
    free_some = "free some space: lockgate gc; lockgate repo delete REF"
    if reserve is not None and (why := reserve.read_only()):
        detail = f"{detail}; no content is taken in: {why}"
        return Examined(name=name, state="wrong", detail=detail, remedy=free_some)
    if room.free < min(most, room.total // share):
        return Examined(name=name, state="wrong", detail=f"{detail}, which is little", remedy=free_some)
    return Examined(name=name, state="ok", detail=detail + ("; the reserve is whole" if reserve else ""))


def look_at_clock(paths: StationPaths) -> Iterator[Examined]:
    """The checks `clock`, against what is known to be past, and `clock source`, whether something keeps it right."""
    now = datetime.now(UTC)
    shown = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    remedy = "set it: date -u -s TIME; then see docs/howto/install.md"
    if now < BUILT:
        detail = f"{shown}: the program is younger than that"
        yield Examined(name="clock", state="wrong", detail=detail, remedy=remedy)
    else:
        with closing(open_reader(paths.database)) as reader:
            try:
                trusted_now(reader)
            except RefusedError as error:
                yield Examined.of_error("clock", error)
            else:
                yield Examined(name="clock", state="ok", detail=f"{shown}; not before anything that came in")
    yield clock_source(_adjtimex())


def clock_source(state: int) -> Examined:
    """The check `clock source`, by what adjtimex(2) returns; negative where it says nothing."""
    name = "clock source"
    if state < 0:
        detail = "the kernel does not say whether something keeps the clock right"
        return Examined(name=name, state="not-checked", detail=detail, remedy="compare it with another clock by hand")
    if state == _UNSYNCHRONISED:
        return Examined(
            name=name, state="attention", detail="nothing keeps the clock right, by the kernel's word",
            remedy="run a time service against the site's own clock; else compare it by hand each month",
        )  # fmt: skip
    return Examined(name=name, state="ok", detail="something keeps the clock right, by the kernel's word")


def _adjtimex() -> int:
    """What the kernel says of its clock; nothing is set (modes 0)."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX)))
    except AttributeError:  # a C library without it
        return -1


def look_at_media(media_roots: Sequence[str], table: Path | None = None) -> Iterator[Examined]:
    """A check `medium PATH` for each that is mounted below one of `media_roots`; `media` where none is."""
    roots = [PurePosixPath(os.path.realpath(root)) for root in media_roots]
    found = [one for one in mounts(table) if any(one.path.is_relative_to(root) for root in roots)]
    if not found:
        yield Examined(name="media", state="unused", detail=f"none is mounted below {', '.join(media_roots)}")
    for one in found:
        yield _medium(one)


def _medium(one: Mount) -> Examined:
    name = f"medium {one.path}"
    try:
        room = os.statvfs(one.path)
    except OSError as error:
        return Examined(
            name=name, state="wrong", detail=f"it does not answer: {error.strerror}",
            remedy=f"put it in again, or: umount -l {one.path}",
        )  # fmt: skip
    detail = f"{one.filesystem}, {room.f_bavail * room.f_frsize / _MB:,.0f} MB free"
    detail += ", read-only" if one.read_only else ""
    missing = [word for word, flag in (("nosuid", os.ST_NOSUID), ("nodev", _NODEV)) if not room.f_flag & flag]
    if missing:
        return Examined(
            name=name, state="attention",
            detail=f"{detail}; mounted without {' and '.join(missing)}: what is on it could act as root here",
            remedy=f"mount -o remount,nosuid,nodev,noexec {one.path}",
        )  # fmt: skip
    return Examined(name=name, state="ok", detail=detail)


def look_at_programs() -> Iterator[Examined]:
    """A check `program NAME` for each that is called."""
    for name, without in PROGRAMS.items():
        yield program(name, start.find_program(name), without)


def program(name: str, path: Path | None, without: str) -> Examined:
    """Whether a program is there, and nobody but root can change it."""
    if path is None:
        return Examined(
            name=f"program {name}", state="attention", detail=f"not in {start.PATH}: {without}",
            remedy="install Debian's openssh-client",
        )  # fmt: skip
    real = Path(os.path.realpath(path))
    for one in (real, real.parent):
        status = one.stat()
        if status.st_uid != 0 or status.st_mode & _OTHERS_WRITE:
            return Examined(
                name=f"program {name}", state="wrong", detail=f"others than root can change {one}",
                remedy=f"chown root {one}; chmod go-w {one}; and install the package again",
            )  # fmt: skip
    return Examined(name=f"program {name}", state="ok", detail=str(path))
