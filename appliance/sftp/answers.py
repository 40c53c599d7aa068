"""Paramiko's client of SFTP, whose answers are held against their own length before anything counts on them.

Paramiko goes on reading as often as a number that a host sends says, and reads zeros where an answer has ended: four
bytes would keep it busy for hours. Answers are draft-ietf-secsh-filexfer-02's, sections 4 to 7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import paramiko
from paramiko.sftp import CMD_ATTRS, CMD_CLOSE, CMD_HANDLE, CMD_NAME, CMD_OPENDIR, CMD_READDIR, CMD_STATUS, CMD_VERSION

from appliance.limits import transfer as limits

_NUMBER: Final = struct.Struct(">I")
_FIELDS: Final = ((0x1, 8), (0x2, 8), (0x4, 4), (0x8, 8))
"""Flags of attributes and the bytes that each adds: size, owner, permissions, times."""
_EXTENDED: Final = 0x80000000


class Client(paramiko.SFTPClient):  # type: ignore[misc]  # it has no types
    """As its base, for one thread at a time. Whatever a host answers costs no more than the answer is long."""

    def _read_packet(self) -> tuple[int, bytes]:
        """The next answer's kind and content. Raises EOFError, SFTPError for one that is too long or holds less than it
        says."""
        (size,) = _NUMBER.unpack(self._read_all(_NUMBER.size))
        if not 1 <= size <= limits.SFTP_ANSWER:
            raise paramiko.SFTPError(f"an answer of {size} bytes")
        answer = bytes(self._read_all(size))
        kind, content = answer[0], answer[1:]
        check(kind, content)
        return kind, content

    def entries(self, path: str) -> Iterator[tuple[str, int] | None]:
        """The names in a folder with their modes, None for what is no other name (`.`, `..`) and for an answer without
        names: so that whoever counts what comes sees those too. Names that are no UTF-8 have escapes in them. Raises
        FileNotFoundError, OSError, SFTPError."""
        kind, message = self._request(CMD_OPENDIR, path.encode(errors="surrogateescape"))
        if kind != CMD_HANDLE:
            raise paramiko.SFTPError("no handle of a folder")
        handle = message.get_string()
        while True:
            try:
                kind, message = self._request(CMD_READDIR, handle)
            except EOFError:
                self._request(CMD_CLOSE, handle)
                return
            if kind != CMD_NAME:
                raise paramiko.SFTPError("no names of a folder")
            count = message.get_int()
            if not count:
                yield None
            for _ in range(count):
                name = message.get_string().decode(errors="backslashreplace")
                message.get_string()
                mode = paramiko.SFTPAttributes._from_msg(message).st_mode or 0
                yield None if name in {".", ".."} else (name, mode)


def check(kind: int, content: bytes) -> None:
    """Raises SFTPError for an answer that holds less than it says."""
    answer = _Answer(content)
    if kind == CMD_NAME:
        answer.number()
        for _ in range(answer.number()):
            answer.text()
            answer.text()
            answer.attributes()
    elif kind == CMD_ATTRS:
        answer.number()
        answer.attributes()
    elif kind == CMD_STATUS:
        answer.number()
        answer.number()
    else:
        answer.number()
        if kind != CMD_VERSION:
            answer.text()


class _Answer:
    """Walks through an answer."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def number(self) -> int:
        self._skip(_NUMBER.size)
        return int(_NUMBER.unpack_from(self._content, self._at - _NUMBER.size)[0])

    def text(self) -> None:
        self._skip(self.number())

    def attributes(self) -> None:
        flags = self.number()
        for flag, size in _FIELDS:
            if flags & flag:
                self._skip(size)
        if flags & _EXTENDED:
            for _ in range(self.number()):
                self.text()
                self.text()

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._content):
            raise paramiko.SFTPError("an answer that holds less than it says")
