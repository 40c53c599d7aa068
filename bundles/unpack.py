"""Unpacking a bundle into an OCI image layout, verified as it is read; parts are joined."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bundles import limits
from bundles.errors import FailedError, IncompleteError, RefusedError
from bundles.files import failures_named, write_atomic
from bundles.oci.digest import Digest, Hasher, new_hasher
from bundles.oci.layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.ports import Progress
from bundles.signing.trust import TrustFolder
from bundles.verdict import require_all_signers
from bundles.verify import OpenedBundle, open_bundle
from bundles.volumes.read import ranges_of, read_volume

BLOBS = "blobs"


def unpack(paths: Sequence[Path], trust: TrustFolder, now: str, to: Path, progress: Progress) -> OpenedBundle:
    """Verify the bundle in `paths` and write an OCI image layout into the new or empty folder `to`.

    Raises RefusedError as `verify`, IncompleteError where volumes are missing or the bundle is a delta (its layout is
    then there, and what it lacks is named), FailedError where `to` is in use or the disk is full. After any other
    failure than a delta's `to` is as empty as it was.
    """
    bundle = open_bundle(paths, trust, now)
    require_all_signers(bundle.opened)
    bundle.require_volumes()
    manifest = bundle.opened.manifest
    with failures_named(to, "the layout cannot be written"), _emptied_on_failure(to):
        for algorithm in {blob.digest.partition(":")[0] for blob in manifest.blobs}:
            (to / BLOBS / algorithm).mkdir(parents=True)
        _read_into(_LayoutSink(to), bundle, progress)
        write_atomic(to / INDEX, index_bytes(manifest.artifacts))
        write_atomic(to / LAYOUT_FILE, LAYOUT)
    if manifest.requires:
        missing = manifest.requires[0].digest + (", …" if len(manifest.requires) > 1 else "")
        raise IncompleteError(
            f"the bundle is a delta, and alone it is not complete: {len(manifest.requires)} blobs are not in it",
            thing=missing,
            remedy="unpack the bundles before it too, and add their blobs to the layout",
        )
    return bundle


@contextlib.contextmanager
def _emptied_on_failure(to: Path) -> Iterator[None]:
    """A new or empty folder, which is made so again where the work in it fails."""
    if to.exists() and any(to.iterdir()):
        raise FailedError("the folder is not empty", thing=str(to), remedy="give a new one")
    try:
        yield
    except BaseException:
        shutil.rmtree(to / BLOBS, ignore_errors=True)
        (to / INDEX).unlink(missing_ok=True)
        raise


def _read_into(sink: _LayoutSink, bundle: OpenedBundle, progress: Progress) -> None:
    manifest = bundle.opened.manifest
    ranges = ranges_of(manifest)
    total, done = sum(volume.size for volume in manifest.volumes), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("unpack", done, total)

    for index, path in sorted(bundle.volumes.items()):
        read_volume(path, manifest, index, ranges[index], sink, advance)


class _LayoutSink:
    """Writes blobs to `blobs/<algorithm>/<hex>` of a layout, parts straight into their place in the whole."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left: dict[Digest, int] = {}
        """Bytes of a blob in parts that are still to come."""

    def has_blob(self, digest: Digest) -> bool:
        return (self._root / BLOBS / digest.path).exists()

    def has_part(self, digest: Digest, number: int) -> bool:
        return False

    def begin_blob(self, digest: Digest, size: int) -> _LayoutBlob:
        return _LayoutBlob(self._root / BLOBS / digest.path, digest)

    def begin_part(self, digest: Digest, size: int, number: int, offset: int, length: int) -> _LayoutPart:
        self._left.setdefault(digest, size)
        return _LayoutPart(self, self._root / BLOBS / digest.path, digest, offset, length)

    def part_done(self, digest: Digest, path: Path, length: int) -> None:
        """Count a part; the last one has the whole checked and named. Raises RefusedError."""
        self._left[digest] -= length
        if self._left[digest]:
            return
        hasher = new_hasher(digest.algorithm)
        partial = path.with_suffix(".part")
        with partial.open("rb") as file:
            while chunk := file.read(limits.CHUNK):
                hasher.update(chunk)
        if hasher.hexdigest() != digest.hex:
            raise RefusedError("the joined parts are not the signed blob", thing=str(digest))
        partial.rename(path)


class _LayoutBlob:
    def __init__(self, path: Path, digest: Digest) -> None:
        self._path, self._digest = path, digest
        self._partial = path.with_suffix(".part")
        self._file = self._partial.open("xb")
        self._hasher: Hasher = new_hasher(digest.algorithm)

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._hasher.update(data)

    def commit(self) -> None:
        self._file.close()
        if self._hasher.hexdigest() != self._digest.hex:
            raise RefusedError("the bytes are not the signed blob", thing=str(self._digest))
        self._partial.rename(self._path)

    def cancel(self) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._partial.unlink()


class _LayoutPart:
    def __init__(self, sink: _LayoutSink, path: Path, digest: Digest, offset: int, length: int) -> None:
        self._sink, self._path, self._digest, self._length = sink, path, digest, length
        self._descriptor = os.open(path.with_suffix(".part"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._position = offset

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._position)
            self._position += written
            view = view[written:]

    def commit(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._sink.part_done(self._digest, self._path, self._length)

    def cancel(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
