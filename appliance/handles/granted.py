"""What a job was handed: its folders and files as paths that it can use, and how it finds them again after a restart.

A record of it is kept in the job's folder. After a restart the descriptors are gone: a path below a medium's root is
opened again, with what the recorded caller may do asked of each folder from `/` down; any other waits for its client.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from appliance.handles.ground import Ground, require_no_station
from appliance.handles.rights import READ, SEARCH, WRITE, Person, acting_as, is_of_the_kernel, may
from appliance.limits import control as limits
from appliance.paths import StationPaths
from bundles.errors import FailedError, RefusedError
from bundles.io.files import os_failure, read_small, write_atomic
from bundles.io.held import HandedFolder, HeldPath

_RECORD: Final = "handed-over.json"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One path that was handed over: `path` as the params name it, `root` the folder or file whose descriptor came."""

    path: str
    root: str
    writes: bool
    is_file: bool
    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def person(self) -> Person:
        return Person(self.uid, self.gid, self.groups)


class WaitsForClientError(Exception):
    """A path cannot be opened without a client that hands it over again; `path` is how the job's params name it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why = path, why


def save_grants(folder: Path, grants: Sequence[Grant]) -> None:
    """Keep them in a job's folder. Raises FailedError."""
    if grants:
        write_atomic(folder / _RECORD, msgspec.json.encode(list(grants)), 0o600)


def load_grants(folder: Path) -> list[Grant]:
    """What `save_grants` kept; none where nothing was."""
    path = folder / _RECORD
    if not path.exists():
        return []
    return msgspec.json.decode(read_small(path, limits.GRANTS_FILE), type=list[Grant])


def check(person: Person, descriptor: int, shown: Path, *, writes: bool) -> None:
    """Whether a person may use an opened folder (list and search it, and write it where `writes`) or read a file.

    Raises RefusedError; OSError where it cannot be looked at.
    """
    status = os.fstat(descriptor)
    if is_of_the_kernel(descriptor):
        raise RefusedError("the kernel's own file system", thing=str(shown), remedy="give a folder on a disk or medium")
    if stat.S_ISDIR(status.st_mode):
        wanted = READ | SEARCH | (WRITE if writes else 0)
    elif stat.S_ISREG(status.st_mode) and not writes:
        wanted = READ
    else:
        raise RefusedError(
            "not a folder or regular file", thing=str(shown), remedy="give the folder or the file itself"
        )
    if not may(person, descriptor, wanted):
        verb = "write in" if writes else "read"
        raise RefusedError(
            f"the caller may not {verb} this", thing=str(shown), remedy="check its owner and mode, or give another"
        )


def check_handed(person: Person, descriptor: int, shown: Path, ground: Ground, *, writes: bool) -> bool:
    """Whether a descriptor that a person sent may be taken: a folder, or a regular file that they opened for reading.

    Returns whether it is a file. Raises RefusedError, OSError.
    """
    flags, status = fcntl.fcntl(descriptor, fcntl.F_GETFL), os.fstat(descriptor)
    is_file = stat.S_ISREG(status.st_mode)
    if flags & os.O_PATH or flags & os.O_ACCMODE == os.O_WRONLY:
        raise RefusedError("it was not opened for reading", thing=str(shown), remedy="open it for reading")
    if is_file and is_of_the_kernel(descriptor):
        raise RefusedError("the kernel's own file system", thing=str(shown), remedy="give a file on a disk or medium")
    if not is_file:  # a file's descriptor proves by itself that its owner may read it
        check(person, descriptor, shown, writes=writes)
    elif writes:
        raise RefusedError("not a folder", thing=str(shown), remedy="give the folder itself")
    ground.require_outside(descriptor, shown, is_folder=not is_file)
    if writes:
        require_no_station(descriptor, shown)
    if is_file:
        require_file_outside(descriptor, shown, ground)
    return is_file


def require_file_outside(descriptor: int, shown: Path, ground: Ground) -> None:
    """Raises RefusedError where the folder that the kernel names for an opened file is the station's."""
    named = Path(f"/proc/self/fd/{descriptor}").readlink()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        above = os.open(named.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            ground.require_outside(above, shown, is_folder=True)
        finally:
            os.close(above)


def name_of(descriptor: int, said: str) -> str:
    """The kernel's own name for what was opened, where that leads to it; else the one that its sender said."""
    named = Path(f"/proc/self/fd/{descriptor}").readlink()
    with contextlib.suppress(OSError):
        there, here = named.lstat(), os.fstat(descriptor)
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return str(named)
    return said


def _require_search(person: Person, descriptor: int, shown: Path) -> None:
    if not may(person, descriptor, SEARCH):
        raise RefusedError("its caller may not enter a folder on the way", thing=str(shown))


class Granted:
    """The paths of one job. `descriptors` are those that came, by the grant's root and whether it writes; they become
    this object's."""

    def __init__(
        self,
        paths: StationPaths,
        media_roots: Sequence[str],
        grants: Sequence[Grant],
        descriptors: Mapping[tuple[str, bool], int],
    ) -> None:
        self._ground = Ground(paths)
        self._roots = tuple(PurePosixPath(os.path.realpath(root)) for root in media_roots)
        self._grants = {grant.path: grant for grant in grants}
        self._held: dict[tuple[str, bool], HandedFolder] = {}
        for grant in grants:
            key = (grant.root, grant.writes)
            if key not in self._held:
                self._held[key] = HandedFolder(grant.root, _Keeper(self, grant, descriptors.get(key, -1)))

    def path(self, text: str) -> HeldPath:
        """The path that the params name `text`. Raises FailedError for one that nobody handed over."""
        grant = self._grants.get(text)
        if grant is None:
            raise FailedError("nobody handed this path over", thing=text, remedy="start the job again")
        root = self._held[grant.root, grant.writes].path
        made: HeldPath = root.joinpath(*PurePosixPath(text).relative_to(grant.root).parts)
        return made

    def let_go(self) -> None:
        """Close what can be opened again by its name, so that a medium can be taken out while the job waits."""
        for held in self._held.values():
            keeper = held.keeper
            if isinstance(keeper, _Keeper) and self.is_below_media(keeper.grant.root):
                held.let_go()
                keeper.forget()

    def close(self) -> None:
        """Close everything."""
        for held in self._held.values():
            held.let_go()
            if isinstance(held.keeper, _Keeper):
                held.keeper.forget()

    def is_below_media(self, root: str) -> bool:
        """Whether a path may be opened again by its name."""
        path = PurePosixPath(root)
        return path.is_absolute() and ".." not in path.parts and any(path.is_relative_to(one) for one in self._roots)

    def reopen(self, grant: Grant) -> int:
        """Open a path again by its name. Raises WaitsForClientError where that is not allowed, or it is not there."""
        if not self.is_below_media(grant.root):
            raise WaitsForClientError(grant.path, "it is below no medium's root")
        path, person = PurePosixPath(grant.root), grant.person
        try:
            return self._walk(path, person, grant)
        except RefusedError as error:
            raise WaitsForClientError(grant.path, error.what) from None
        except OSError as error:
            raise WaitsForClientError(grant.path, error.strerror or "it cannot be opened") from None

    def _walk(self, path: PurePosixPath, person: Person, grant: Grant) -> int:
        shown = Path(path)
        current = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for number, name in enumerate(path.parts[1:], 2):
                _require_search(person, current, shown)
                is_last = number == len(path.parts)
                how = _FILE if is_last and grant.is_file else _FOLDER if is_last else _FOLDER | os.O_PATH
                with acting_as(person):
                    opened = os.open(name, how, dir_fd=current)
                os.close(current)
                current = opened
            check(person, current, shown, writes=grant.writes)
            self._ground.require_outside(current, shown, is_folder=not grant.is_file)
            if grant.writes:
                require_no_station(current, shown)
            if grant.is_file:
                require_file_outside(current, shown, self._ground)
        except BaseException:
            os.close(current)
            raise
        return current

    def require_outside(self, descriptor: int, shown: Path, *, is_folder: bool) -> None:
        """As Ground.require_outside."""
        self._ground.require_outside(descriptor, shown, is_folder=is_folder)


class _Keeper:
    """bundles.io.held.Keeper of one grant."""

    def __init__(self, granted: Granted, grant: Grant, descriptor: int) -> None:
        self.grant = grant
        self._granted, self._descriptor = granted, descriptor

    def open(self) -> int:
        if self._descriptor >= 0:
            return os.dup(self._descriptor)
        return self._granted.reopen(self.grant)

    def forget(self) -> None:
        """Close the descriptor that came: what is used afterwards is opened again by its name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def acting(self) -> AbstractContextManager[None]:
        return acting_as(self.grant.person)

    def check_folder(self, descriptor: int, shown: Path) -> None:
        with _failing(shown):
            own = os.geteuid()
            # A station that is not root made the bundle's folder itself, in one that the caller may write.
            if not (self.grant.writes and own != 0 and os.fstat(descriptor).st_uid == own):
                check(self.grant.person, descriptor, shown, writes=self.grant.writes)
            self._granted.require_outside(descriptor, shown, is_folder=True)

    def check_file(self, descriptor: int, shown: Path) -> None:
        with _failing(shown):
            check(self.grant.person, descriptor, shown, writes=False)
            self._granted.require_outside(descriptor, shown, is_folder=False)


@contextlib.contextmanager
def _failing(shown: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise os_failure(error, shown, "cannot be looked at") from None
