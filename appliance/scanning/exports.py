"""Exports of advisories: a zip of OSV records, or a folder of them, read a record at a time within bounds."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from appliance.archives.zip_entry import unpacked
from appliance.limits import scanning as limits
from bundles import limits as bundle_limits
from bundles.errors import FailedError, LockgateError, MalformedError, RefusedError
from bundles.io.display import safe
from bundles.io.files import failures_named, open_regular, read_small, scan

_RECORD: Final = ".json"
_DAMAGED: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError,
    ValueError, UnicodeError,
)  # fmt: skip
"""What reading a hostile or damaged archive raises."""
Advance = Callable[[int, int], object]
"""Told how many of how many bytes were read."""


class Export(Protocol):
    """An opened export. `digest` is of all of its bytes, as `sha256:hex`."""

    digest: str
    count: int
    """Its records."""

    def records(self) -> Iterator[tuple[str, bytes | MalformedError]]:
        """Name and bytes of each record; an error for one that is too large. Raises MalformedError where the export
        itself is damaged."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ZipExport:
    """A zip of records, copied once while it is hashed: what is read later are the bytes of that digest."""

    def __init__(self, source: BinaryIO, size: int, folder: Path, advance: Advance, name: str = "") -> None:
        self._name = name
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by `close`
        try:
            self.digest = copied(source, self._file, size, limits.ADVISORY_EXPORT, advance)
            try:
                self._zip = zipfile.ZipFile(self._file)
                self._names = [one for one in self._zip.infolist() if one.filename.endswith(_RECORD)]
            except _DAMAGED as error:
                raise _damaged(error, self._name) from None
        except BaseException:
            self._file.close()
            raise
        self.count = len(self._names)
        _check_count(self.count)

    def records(self) -> Iterator[tuple[str, bytes | MalformedError]]:
        """As Export.records."""
        for info in self._names:
            try:
                raw = bytearray()
                for piece in unpacked(self._zip, info):
                    raw += piece
                    if len(raw) > limits.ADVISORY_RECORD:
                        break
            except _DAMAGED as error:
                raise _damaged(error, self._name) from None
            yield info.filename, bytes(raw) if len(raw) <= limits.ADVISORY_RECORD else _too_large(info.filename)

    def close(self) -> None:
        """As Export.close."""
        self._zip.close()
        self._file.close()


class FolderExport:
    """A folder of records and folders of them. Each is read twice, and must be the same both times."""

    def __init__(self, folder: Path, advance: Advance) -> None:
        self._paths = sorted(_records_below(folder), key=str)
        self.count = len(self._paths)
        _check_count(self.count)
        self._sums = list[bytes]()
        for done, path in enumerate(self._paths, 1):
            self._sums.append(_sum_of(path, folder, _read(path)))
            advance(done, self.count)
        self.digest = f"sha256:{hashlib.sha256(b''.join(self._sums)).hexdigest()}"
        self._folder = folder

    def records(self) -> Iterator[tuple[str, bytes | MalformedError]]:
        """As Export.records."""
        for path, before in zip(self._paths, self._sums, strict=True):
            raw = _read(path)
            if _sum_of(path, self._folder, raw) != before:
                raise MalformedError("the export changed while it was read", thing=path.name, remedy="load it again")
            yield path.name, raw

    def close(self) -> None:
        """As Export.close."""


def open_export(path: Path, folder: Path, advance: Advance) -> Export:
    """The export at a path that was handed over; `folder` holds a copy of an archive while it is open. Raises
    MalformedError for what is none, FailedError."""
    with failures_named(path, "the advisories cannot be read"):
        if path.is_dir():
            return FolderExport(path, advance)
        descriptor = open_regular(path, ceiling=limits.ADVISORY_EXPORT)
        with os.fdopen(descriptor, "rb") as source:
            return ZipExport(source, os.fstat(descriptor).st_size, folder, advance, str(path))


def copied(source: BinaryIO, target: BinaryIO, size: int, most: int, advance: Advance) -> str:
    """Copy a file from its first byte to its last; its digest. `size` is what it is said to have, `most` what it may
    have, in bytes. The copy stands at its first byte then. Raises MalformedError."""
    hasher, done = hashlib.sha256(), 0
    source.seek(0)
    while chunk := source.read(bundle_limits.CHUNK):
        done += len(chunk)
        if done > most:
            raise MalformedError("the file is too large", thing=f"more than {most} bytes")
        hasher.update(chunk)
        target.write(chunk)
        advance(done, max(done, size))
    target.seek(0)
    return f"sha256:{hasher.hexdigest()}"


def _records_below(folder: Path) -> Iterator[Path]:
    """The records in a folder and its folders, whatever else is there. Links are not followed."""
    left, found = [folder], 0
    while left:
        one = left.pop()
        for entry in scan(one):
            path = one / entry.name
            if entry.is_dir(follow_symlinks=False):
                left.append(path)
            elif entry.name.endswith(_RECORD):
                found += 1
                _check_count(found)
                yield path


def _read(path: Path) -> bytes | MalformedError:
    """The file's bytes; an error for one that is too large, or no regular file. Raises FailedError."""
    try:
        return read_small(path, limits.ADVISORY_RECORD)
    except RefusedError as error:
        return MalformedError(error.what, thing=safe(path.name)[:160], remedy=error.remedy)


def _sum_of(path: Path, folder: Path, raw: bytes | MalformedError) -> bytes:
    name = str(path).removeprefix(str(folder)).encode("utf-8", "surrogateescape")
    content = raw.what.encode() if isinstance(raw, MalformedError) else hashlib.sha256(raw).digest()
    return hashlib.sha256(name + b"\0" + content).digest()


def _check_count(count: int) -> None:
    if count > limits.ADVISORY_RECORDS:
        raise MalformedError("the export has too many records", thing=f"more than {limits.ADVISORY_RECORDS}")


def _too_large(name: str) -> MalformedError:
    return MalformedError(
        "an advisory is too large", thing=safe(name)[:160], remedy=f"the ceiling is {limits.ADVISORY_RECORD} bytes"
    )


def _damaged(error: Exception, name: str) -> LockgateError:
    if isinstance(error, OSError) and error.errno is not None:
        return FailedError("the advisories cannot be read", thing=safe(str(error))[:160], remedy="check the disk")
    return MalformedError(
        f"no zip of advisories, or a damaged one ({safe(str(error))[:80]})", thing=safe(name)[:160],
        remedy="give an export of OSV (all.zip of an ecosystem), or a folder of its records",
    )  # fmt: skip
