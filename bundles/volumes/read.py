"""Reading blobs out of a volume at signed offsets, verified as they are read. No archive is ever parsed here.

One pass over the file: its bytes go to the volume's own sha256 and to what follows the manifest's ranges, hashes each
blob or part, and hands it on. A blob is committed when its own digest holds; the volume is good when its sha256 does.

Both digests are signed and neither follows from the other, so each byte is hashed twice. The two go on in threads where
a core is free for the second one, or a sink is slow; else a chunk is hashed twice while it is in the core's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final, Protocol

from bundles import limits
from bundles.errors import RefusedError
from bundles.format.manifest import BundleManifest, volume_path
from bundles.io.files import failures_named, open_regular
from bundles.io.work_threads import Crew, WorkThread
from bundles.oci.digest import Digest, Hasher, new_hasher
from bundles.ports import BlobSink, BlobWriter
from bundles.volumes.cache import Trail, drop_pages

_IN_CACHE: Final = 256 * limits.KIB
"""What is hashed twice by one core: within its second cache, and still long enough to let other threads go on."""
_COMMITS: Final = 4
"""Blobs that are synced at once, while the next ones are read: a file system takes several syncs in one."""

_UNREADABLE: Final = "the volume cannot be read"
_DAMAGED: Final = "do not use this medium: have the volume cut again, and keep this one for examination"


class PartSink(Protocol):
    """Joins the parts of a blob that is larger than a volume; parts may come in any order."""

    def begin_part(self, digest: Digest, size: int, number: int, offset: int, length: int) -> BlobWriter:
        """Take part `number` (from 1): `length` bytes at `offset` of the blob of `size` bytes. Its commit comes after
        the part's own sha256 held; the blob becomes one when its last part is committed and its digest holds."""
        ...

    def has_part(self, digest: Digest, number: int) -> bool:
        """Whether the part is held durably already."""
        ...


class VolumeSink(BlobSink, PartSink, Protocol):
    """Takes everything a volume carries."""


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of a volume: a blob, or part `part` (from 1) of one with its own sha256. All in bytes."""

    offset: int
    length: int
    digest: Digest
    blob_size: int
    part: int | None = None
    blob_offset: int = 0
    sha256: str = ""


def ranges_of(manifest: BundleManifest) -> dict[int, list[Range]]:
    """Every volume's ranges in the order of their offsets."""
    found: dict[int, list[Range]] = {volume.index: [] for volume in manifest.volumes}
    for blob in manifest.blobs:
        digest = Digest.parse(blob.digest)
        if blob.volume is not None and blob.offset is not None:
            found[blob.volume].append(Range(blob.offset, blob.size, digest, blob.size))
        position = 0
        for number, part in enumerate(blob.parts or [], 1):
            found[part.volume].append(Range(part.offset, part.length, digest, blob.size, number, position, part.sha256))
            position += part.length
    for listed in found.values():
        listed.sort(key=lambda entry: (entry.offset, entry.length))
    return found


def read_volume(
    path: Path,
    manifest: BundleManifest,
    index: int,
    ranges: list[Range],
    sink: VolumeSink | None,
    advance: Callable[[int], object],
    *,
    beside: bool = False,
) -> None:
    """Read volume `index` at `path` once, verifying all of it; blobs go to `sink` where there is one.

    `advance` is told of bytes read; `beside` says that another volume is read at the same time, and keeps the other
    core busy. Raises RefusedError naming the file and the reason; FailedError when the medium or the sink fails. Blobs
    committed before a refusal have their own digests.
    """
    volume = manifest.volumes[index - 1]
    name = volume_path(index)
    hasher = hashlib.sha256()
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        if size != volume.size:
            raise RefusedError(
                f"the volume has {size} bytes, not the signed {volume.size}", thing=name, remedy=_DAMAGED
            )
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        trail = Trail(descriptor, written=False)
        in_lanes = sink is not None or (not beside and len(os.sched_getaffinity(0)) > 1)
        chunks = _chunks(file, path, volume.size) if in_lanes else _same_chunk(file, path, volume.size)
        seen = 0
        with (
            Crew(_COMMITS) as commits,
            _Ranges(name, ranges, sink, commits) as follower,
            contextlib.ExitStack() as threads,
        ):
            takers: list[Callable[[bytes | memoryview], object]] = [hasher.update, follower.take]
            if in_lanes:
                takers = [threads.enter_context(WorkThread(taker)).put for taker in takers]
            for chunk in chunks:
                for take in takers:
                    take(chunk)
                seen += len(chunk)
                trail.advance(len(chunk))
                advance(len(chunk))
        drop_pages(descriptor)
    if seen != volume.size or hasher.hexdigest() != volume.sha256:
        raise RefusedError("the volume's bytes are not the signed ones", thing=name, remedy=_DAMAGED)


def _chunks(file: FileIO, path: Path, size: int) -> Iterator[bytes]:
    """The file's bytes, until it ends or has had more than `size`: a file may grow while it is read."""
    seen = 0
    with failures_named(path, _UNREADABLE):
        while seen <= size and (chunk := file.read(limits.CHUNK)):
            seen += len(chunk)
            yield chunk


def _same_chunk(file: FileIO, path: Path, size: int) -> Iterator[memoryview]:
    """As `_chunks`, all in one small piece of memory, which is whoever's took it until the next one is asked for."""
    seen = 0
    room = memoryview(bytearray(_IN_CACHE))
    with failures_named(path, _UNREADABLE):
        while seen <= size and (count := file.readinto(room)):
            seen += count
            yield room[:count]


class _Ranges:
    """Follows the ranges through the stream of chunks.

    A whole blob that goes to a sink is hashed by its writer, which commits it only under its digest; everything else
    (parts, and what nobody keeps) is hashed here. Blobs are committed beside the reading.
    """

    def __init__(self, name: str, ranges: list[Range], sink: VolumeSink | None, commits: Crew) -> None:
        self._name, self._ranges, self._sink, self._commits = name, ranges, sink, commits
        self._position = 0
        self._next = 0
        self._taken: int | None = None
        self._hasher: Hasher | None = None
        self._writer: BlobWriter | None = None

    def __enter__(self) -> _Ranges:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.cancel()

    def take(self, chunk: bytes | memoryview) -> None:
        """The volume's next bytes. Raises RefusedError for a blob or part that is not the signed one."""
        view = memoryview(chunk)
        end = self._position + len(view)
        while self._next < len(self._ranges):
            current = self._ranges[self._next]
            if current.offset > end or (current.offset == end and current.length):
                break
            if self._taken is None:
                self._begin(current)
            taken = self._taken or 0
            start = current.offset + taken - self._position
            piece = view[start : start + current.length - taken]
            if self._hasher is not None:
                self._hasher.update(piece)
            if self._writer is not None:
                self._writer.write(piece)
            self._taken = taken + len(piece)
            if self._taken < current.length:
                break
            self._finish(current)
        self._position = end

    def _begin(self, current: Range) -> None:
        self._taken = 0
        self._writer = None
        if self._sink is not None and not self._sink.has_blob(current.digest):
            if current.part is None:
                self._writer = self._sink.begin_blob(current.digest, current.blob_size)
            elif not self._sink.has_part(current.digest, current.part):
                self._writer = self._sink.begin_part(
                    current.digest, current.blob_size, current.part, current.blob_offset, current.length
                )
        if current.part is not None:
            self._hasher = new_hasher("sha256")
        else:
            self._hasher = new_hasher(current.digest.algorithm) if self._writer is None else None

    def _finish(self, current: Range) -> None:
        if self._hasher is not None and self._hasher.hexdigest() != (current.sha256 or current.digest.hex):
            raise self._refusal(current)
        if self._writer is not None:
            self._commits.put(partial(self._commit, self._writer, current))
        self._writer = self._hasher = self._taken = None
        self._next += 1

    def _commit(self, writer: BlobWriter, current: Range) -> None:
        try:
            writer.commit()
        except RefusedError as error:
            writer.cancel()
            if current.part is not None:  # the part is good; what it completed is not
                raise RefusedError(error.what, thing=f"{error.thing} in {self._name}", remedy=error.remedy) from None
            raise self._refusal(current) from None
        except BaseException:
            writer.cancel()
            raise

    def _refusal(self, current: Range) -> RefusedError:
        what = f"part {current.part} of " if current.part is not None else ""
        broken = f"the bytes of {what}{current.digest} are not the signed ones"
        return RefusedError(broken, thing=self._name, remedy=_DAMAGED)
