"""One file to a transfer host or from there: under a temporary name, resumed, compared, and only then named."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.sftp.remote import PIECE, RemoteFolder
from bundles.errors import FailedError, RefusedError
from bundles.io.files import failures_named, name_once, open_again, open_regular, sync_folder

_BLOCK: Final = 8 * PIECE
_UNWRITTEN: Final = "the file cannot be written"


def partial(name: str) -> str:
    """The name of a file that has not come whole."""
    return f".{name}.part"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of a bundle: its name, and what is signed of it."""

    name: str
    size: int
    sha256: str


Moved = Callable[[int], None]
"""Told of bytes that went or came, before the next ones do: it waits for the limit, and raises to stop."""


def is_there(folder: RemoteFolder, wanted: Wanted, moved: Moved) -> bool:
    """Whether the host has the file, byte for byte: read back whole, as its size proves nothing."""
    if folder.size(wanted.name) != wanted.size:
        return False
    return _hash(folder, wanted.name, wanted.size, moved).hexdigest() == wanted.sha256


def _hash(folder: RemoteFolder, name: str, size: int, moved: Moved) -> hashlib._Hash:
    digest = hashlib.sha256()
    for piece in folder.read(name, 0, size):
        digest.update(piece)
        moved(len(piece))
    return digest


def send(folder: RemoteFolder, path: Path, wanted: Wanted, moved: Moved, *, compare: bool) -> str:
    """Send the local file at `path`; how it went: `sent`, `resumed` or `there`.

    What lies on the host under the temporary name is gone on with where its bytes are the file's first ones. With
    `compare` the whole is read back before it gets its name. Raises FailedError where the host holds other bytes.
    """
    if compare and is_there(folder, wanted, moved):
        return "there"
    if not compare and folder.size(wanted.name) == wanted.size:
        return "there"  # nothing can be read there: whoever fetches it holds it against its sum
    name = partial(wanted.name)
    start = _resumable(folder, path, wanted, moved) if compare else 0
    folder.write(name, start, _local(path, wanted, start, moved))
    if compare and _hash(folder, name, wanted.size, moved).hexdigest() != wanted.sha256:
        folder.remove(name)
        raise FailedError(
            "the transfer host holds other bytes than were sent", thing=folder.said(wanted.name),
            remedy="run it again; where it stays, its disk or the way to it is damaged",
        )  # fmt: skip
    folder.rename(name, wanted.name)
    return "resumed" if start else "sent"


def _resumable(folder: RemoteFolder, path: Path, wanted: Wanted, moved: Moved) -> int:
    """How many bytes of the temporary file are the file's first ones; 0 where any of them is another."""
    size = folder.size(partial(wanted.name))
    if not size or size > wanted.size:
        return 0
    there = hashlib.sha256()
    count = 0
    for piece in folder.read(partial(wanted.name), 0, size):
        there.update(piece)
        count += len(piece)
        moved(len(piece))
    here = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        left = count
        while left and (block := file.read(min(_BLOCK, left))):
            here.update(block)
            left -= len(block)
    return count if count == size and here.digest() == there.digest() else 0


def _local(path: Path, wanted: Wanted, start: int, moved: Moved) -> Iterator[bytes]:
    """The bytes of a local file from `start`. Raises FailedError where it is not the one that is signed: its whole is
    hashed on the way, and what was sent gets no name."""
    digest = hashlib.sha256()
    with failures_named(path, "the volume cannot be read"), os.fdopen(open_regular(path), "rb") as file:
        done = 0
        while done < wanted.size and (block := file.read(min(_BLOCK, wanted.size - done))):
            digest.update(block)
            if done + len(block) > start:
                rest = block[max(start - done, 0) :]
                moved(len(rest))
                yield rest
            done += len(block)
        if done != wanted.size or digest.hexdigest() != wanted.sha256 or file.read(1):
            raise RefusedError(
                "the file's bytes are not the ones SHA256SUMS names", thing=str(path),
                remedy="have the medium cut again: lockgate bundle recut ID --medium N --out DIR",
            )  # fmt: skip


def fetch(folder: RemoteFolder, wanted: Wanted, into: Path, moved: Moved) -> str:
    """Fetch a file into the local folder `into`; how it went: `fetched`, `resumed` or `there`.

    It is read up to its signed size and no further. Raises RefusedError where its bytes are not the signed ones,
    FailedError where the local folder takes no more.
    """
    final, path = into / wanted.name, into / partial(wanted.name)
    if final.exists() or final.is_symlink():
        if _local_sum(final, wanted) == wanted.sha256:
            return "there"
        raise RefusedError(
            "another file has the name here", thing=str(final), remedy="move it away, or fetch into an empty folder"
        )
    for is_last in (False, True):
        start, found = _fetch_rest(folder, wanted, path, moved)
        with failures_named(path, _UNWRITTEN):
            if (found or _local_sum(path, wanted)) == wanted.sha256:
                name_once(path, final)
                sync_folder(into)
                return "resumed" if start else "fetched"
            path.unlink()
        if is_last or not start:  # what lay here from before may have been another's: once more from the beginning
            break
    raise RefusedError(
        "the bytes on the transfer host are not the signed ones", thing=folder.said(wanted.name),
        remedy="have the bundle sent there again",
    )  # fmt: skip


def _fetch_rest(folder: RemoteFolder, wanted: Wanted, path: Path, moved: Moved) -> tuple[int, str]:
    """Fetch what is not in the file at `path` yet: where it went on, and the sum of all that came, or "" where some of
    it was there. Raises FailedError where it ends too early."""
    digest = hashlib.sha256()
    with failures_named(path, _UNWRITTEN):
        descriptor = open_again(path)
    with contextlib.closing(_Local(path, descriptor)) as file:
        start = done = file.go_on(wanted.size)
        for piece in folder.read(wanted.name, start, wanted.size):
            moved(len(piece))
            file.write(piece)
            digest.update(piece)
            done += len(piece)
        file.sync()
    if done != wanted.size:
        raise FailedError(
            "a file on the transfer host is shorter than it is signed", thing=f"{folder.said(wanted.name)}, {done} of"
            f" {wanted.size} bytes", remedy="it may still be on its way there: run it again later",
        )  # fmt: skip
    return start, "" if start else digest.hexdigest()


class _Local:
    """The local file that a fetched one grows in. Its errors name it; those of the host, in between, are the host's."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._file = path, os.fdopen(descriptor, "r+b", buffering=0)

    def go_on(self, most: int) -> int:
        """Where to go on: behind what is there, or at the beginning where that is more than `most`."""
        with failures_named(self._path, _UNWRITTEN):
            there = os.fstat(self._file.fileno()).st_size
            start = there if there <= most else 0
            self._file.truncate(start)
            self._file.seek(start)
            return start

    def write(self, piece: bytes) -> None:
        with failures_named(self._path, _UNWRITTEN):
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        with failures_named(self._path, _UNWRITTEN):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _local_sum(path: Path, wanted: Wanted) -> str:
    """The sha256 of a local file of the wanted size; "" for another size."""
    with os.fdopen(open_regular(path), "rb") as file:
        if os.fstat(file.fileno()).st_size != wanted.size:
            return ""
        return hashlib.file_digest(file, "sha256").hexdigest()
