"""Unpacking a bundle, verified as it is read, into an OCI image layout or another tool's form; parts are joined."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.decide.bundle import require_all_signers
from bundles.errors import FailedError, IncompleteError, RefusedError, UsageError
from bundles.format.oci_layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.io.display import some
from bundles.io.files import failures_named, write_atomic
from bundles.oci.digest import Digest, Hasher, new_hasher
from bundles.ports import Progress
from bundles.signing.trust import TrustFolder
from bundles.unpack_forms import OCI, Written, write_forms
from bundles.verify import OpenedBundle, open_bundle
from bundles.volumes.read import ranges_of, read_volume

BLOBS = "blobs"


_LAYOUT: Final = ".layout"
"""Where the layout stands while another form is made of it: no repository has such a name."""


def unpack(
    paths: Sequence[Path], trust: TrustFolder, now: str, to: Path, progress: Progress, form: str = OCI
) -> tuple[OpenedBundle, Written]:
    """Verify the bundle in `paths` and write it into the new or empty folder `to`, as `form` (unpack_forms.FORMS).

    Raises RefusedError as `verify`, IncompleteError where volumes are missing or the bundle is a delta (what it has is
    then there, and what it lacks is named), FailedError where `to` is in use, the disk is full, or the form can hold
    nothing of it. After any other failure than a delta's `to` is as empty as it was.
    """
    bundle = open_bundle(paths, trust, now)
    require_all_signers(bundle.opened)
    bundle.require_volumes()
    manifest = bundle.opened.manifest
    written = Written([], [], [])
    with failures_named(to, "the layout cannot be written"), emptied_on_failure(to):
        layout = to if form == OCI else to / _LAYOUT
        for algorithm in {blob.digest.partition(":")[0] for blob in manifest.blobs}:
            (layout / BLOBS / algorithm).mkdir(parents=True)
        _read_into(LayoutSink(layout), bundle, progress)
        if form == OCI:
            write_atomic(to / INDEX, index_bytes(manifest.artifacts))
            write_atomic(to / LAYOUT_FILE, LAYOUT)
        else:
            written = write_forms(form, layout, manifest.artifacts, to)
            shutil.rmtree(layout)
            if not written.files and not written.incomplete:
                raise FailedError(
                    f"nothing in the bundle can be a {form}", thing=manifest.id, remedy="unpack it with --format oci"
                )
    if manifest.requires and (form == OCI or written.incomplete):
        missing = manifest.requires[0].digest + (", …" if len(manifest.requires) > 1 else "")
        raise IncompleteError(
            f"the bundle is a delta, and alone it is not complete:"
            f" {some(len(manifest.requires), 'blob is', 'blobs are')} not in it",
            thing=missing,
            remedy="unpack the bundles before it too, and add their blobs to the layout"
            if form == OCI
            else "unpack this bundle and those before it with --format oci, and put their blobs together",
        )
    return bundle, written


@contextlib.contextmanager
def emptied_on_failure(to: Path) -> Iterator[None]:
    """A new or empty folder, which is made so again where the work in it fails."""
    if to.exists() and any(to.iterdir()):
        raise UsageError("the folder is not empty", thing=str(to), remedy="give a new one")
    if not to.parent.is_dir():  # a medium that is not mounted: its path would be made on this disk
        raise UsageError(
            "the folder that it goes into is not there",
            thing=str(to.parent),
            remedy="mount the medium, or make the folder first (mkdir)",
        )
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for path in list(to.iterdir()):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
        raise


def _read_into(sink: LayoutSink, bundle: OpenedBundle, progress: Progress) -> None:
    manifest = bundle.opened.manifest
    ranges = ranges_of(manifest)
    total, done = sum(volume.size for volume in manifest.volumes), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("unpack", done, total)

    for index, path in sorted(bundle.volumes.items()):
        read_volume(path, manifest, index, ranges[index], sink, advance)


class LayoutSink:
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
    def __init__(self, sink: LayoutSink, path: Path, digest: Digest, offset: int, length: int) -> None:
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
