"""A folder of a transfer host: its names, its small files, and reading and writing one file at an offset.

Nothing that the host says is believed: sizes are held against what is signed, names are looked for among those that are
known, and of what has no known length only so much is read.
"""

from __future__ import annotations

import stat
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from appliance.limits import transfer as limits
from appliance.sftp.names import shown
from bundles.errors import FailedError, RefusedError

_ASK: Final = 255 * 1024
"""Bytes asked for in one request: what OpenSSH gives at once (limits@openssh.com, max-read-length). A host that gives
less is asked for no more than it gave."""

_ASKED: Final = 8
"""Requests under way: 2 MiB, which is 20 MB/s for each file over a line with 100 ms there and back. Paramiko moves all
that has come and was not read for each piece that is read, so that more costs more processor time than it gains."""

_PATH: Final = 70
"""Characters of a path that a message shows: its end, where the name is."""

PIECE: Final = 63 * 512
"""Bytes of one write: with its header it is less than the 32,768 that every host takes (draft-ietf-secsh-filexfer-02,
3) and that one packet of SSH holds. Larger ones would be two packets each."""


class RemoteFolder:
    """A folder on the host `name`, by its client (appliance.sftp.answers.Client) and its path there."""

    def __init__(self, client: Any, name: str, path: str) -> None:
        self.client, self.name, self.path = client, name, path

    def at(self, name: str) -> str:
        """The path of something in the folder."""
        return f"{self.path.rstrip('/')}/{name}" if self.path else name

    def below(self, name: str) -> RemoteFolder:
        """A folder in it."""
        return RemoteFolder(self.client, self.name, self.at(name))

    def said(self, name: str = "") -> str:
        """Where something lies, for a message."""
        path = self.at(name) if name else self.path or "."
        return f"{self.name}:{shown(path if len(path) <= _PATH else '…' + path[-_PATH:])}"

    def names(self) -> Iterator[tuple[str, int]]:
        """The names in it with their modes, as the host says them. Raises FailedError where it is not there,
        RefusedError where there are too many names."""
        try:
            for number, entry in enumerate(self.client.entries(self.path or ".")):
                if number >= limits.SFTP_NAMES:
                    raise RefusedError(
                        "too many names in a folder of the transfer host", thing=self.said(),
                        remedy=f"at most {limits.SFTP_NAMES} are looked at: give a folder of its own to Lockgate",
                    )  # fmt: skip
                if entry is not None:
                    yield entry
        except FileNotFoundError:
            raise FailedError(
                "no such folder on the transfer host", thing=self.said(), remedy="check the folder, or have it made"
            ) from None

    def size(self, name: str) -> int | None:
        """The size that the host says a file has; None where there is none. Raises RefusedError for a link, a folder or
        anything else that is no file."""
        try:
            found = self.client.lstat(self.at(name))
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode or 0):
            what = "a link" if stat.S_ISLNK(found.st_mode or 0) else "no file"
            raise RefusedError(f"{what} on the transfer host", thing=self.said(name), remedy="have it taken away there")
        return int(found.st_size or 0)

    def is_folder(self, name: str) -> bool:
        """Whether a folder of that name is there. Raises RefusedError for anything else of that name."""
        try:
            mode = self.client.lstat(self.at(name)).st_mode or 0
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(mode):
            raise RefusedError("no folder", thing=self.said(name), remedy="have it taken away on the transfer host")
        return True

    def make(self, name: str) -> RemoteFolder:
        """A folder in it, made where it is not there."""
        if not self.is_folder(name):
            try:
                self.client.mkdir(self.at(name))
            except FileNotFoundError:
                raise FailedError(
                    "no such folder on the transfer host", thing=self.said(), remedy="check the folder, or have it made"
                ) from None
            except OSError:
                if not self.is_folder(name):  # another transfer may have made it meanwhile
                    raise
        return self.below(name)

    def small(self, name: str, ceiling: int) -> bytes | None:
        """A small file whole; None where it is not there. Raises RefusedError for one above the ceiling, whatever
        size the host says it has."""
        said = self.size(name)
        if said is None:
            return None
        data = bytearray()
        if said <= ceiling:
            for piece in self.read(name, 0, ceiling + 1):
                data += piece
        if said > ceiling or len(data) > ceiling:
            raise RefusedError(
                "a file on the transfer host is too large", thing=self.said(name), remedy=f"at most {ceiling} bytes"
            )
        return bytes(data)

    def read(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, or to where the file ends before. Raises FileNotFoundError."""
        with self.client.open(self.at(name), "rb") as file:
            yield from _Reading(self.client, file.handle).pieces(start, end)

    def write(self, name: str, start: int, data: Iterator[bytes]) -> None:
        """Write at `start` of a file, which is made or goes on. Each piece is on its way when the next is taken.

        Raises FailedError where not every byte arrived: paramiko drops what a host says of its last writes, so the size
        is asked for."""
        path, written = self.at(name), start
        with self.client.open(path, "r+b" if start else "wb") as file:
            file.set_pipelined(True)
            file.seek(start)
            for block in data:
                for at in range(0, len(block), PIECE):
                    file.write(block[at : at + PIECE])
                written += len(block)
            file.flush()
            found = file.stat().st_size
        if found != written:
            raise FailedError(
                "the transfer host did not take every byte", thing=f"{self.said(name)}, {found} of {written} bytes",
                remedy="its disk may be full: ask who runs it, then run it again",
            )  # fmt: skip

    def rename(self, old: str, new: str) -> None:
        """Give a file its name, in the place of one that has it (posix-rename@openssh.com)."""
        try:
            self.client.posix_rename(self.at(old), self.at(new))
        except FileNotFoundError:
            raise
        except OSError:  # a host without that extension
            self.client.rename(self.at(old), self.at(new))

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        try:
            self.client.remove(self.at(name))
        except FileNotFoundError:
            return


class _Reading:
    """Reading a file with several requests under way, in order. Paramiko's own way asks by a thread that spins while
    another reads, and keeps a whole file in memory of a host that gives less than it was asked for."""

    def __init__(self, client: Any, handle: bytes) -> None:
        self._client, self._handle = client, handle
        self._came: dict[int, bytes | None] = {}

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        """Called by paramiko with an answer: data, or a status, which is the file's end or an error."""
        from paramiko.sftp import CMD_DATA

        if kind == CMD_DATA:
            self._came[number] = message.get_string()
            return
        self._came[number] = None
        try:
            self._client._convert_status(message)
        except EOFError:
            return

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`, as they come; fewer where the file ends."""
        under_way: deque[tuple[int, int, int]] = deque()
        asked, most = start, _ASK
        while under_way or asked < end:
            while asked < end and len(under_way) < _ASKED:
                size = min(most, end - asked)
                under_way.append((self._ask(asked, size), asked, size))
                asked += size
            number, at, size = under_way.popleft()
            piece = self._answer(number)
            if not piece:
                for later, _, _ in under_way:
                    self._answer(later)
                return
            yield piece[:size]
            if len(piece) < size:  # the rest of it, before what comes behind
                most = max(len(piece), 1024)
                at, left = at + len(piece), size - len(piece)
                while left:
                    piece = self._answer(self._ask(at, min(most, left)))
                    if not piece:
                        for later, _, _ in under_way:
                            self._answer(later)
                        return
                    yield piece[:left]
                    at, left = at + len(piece[:left]), left - len(piece[:left])

    def _ask(self, at: int, size: int) -> int:
        from paramiko.sftp import CMD_READ, int64

        return int(self._client._async_request(self, CMD_READ, self._handle, int64(at), size))

    def _answer(self, number: int) -> bytes | None:
        while number not in self._came:
            self._client._read_response()
        return self._came.pop(number)


def first(names: Iterator[tuple[str, int]], most: int) -> list[tuple[str, int]]:
    """The first names, for a list that a person reads."""
    return list(islice(names, most))
