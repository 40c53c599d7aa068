"""What lies in a drop folder: which bundles are whole, and what the others wait for.

Whoever fills the folder may be anybody, and may be in the middle of it. Nothing is changed there, links are not
followed, and what is no bundle's folder is only counted. A bundle is whole once all is there that its own SHA256SUMS
and manifest name, of the right sizes; whether it is also good is the import's to find, which reads every byte.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from appliance.diode.folder import NAME as UNFINISHED
from appliance.limits import transfer as transfer_limits
from appliance.sftp.names import BUNDLE
from bundles import limits
from bundles.decide.bundle import SIGNATURE_NAME, SmallFiles, consistent
from bundles.errors import LockgateError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.io.files import read_small
from bundles.oci.digest import Digest

ACTOR: Final = "station"
"""Whose act an import from a drop folder is."""

_SMALL: Final = (
    (sums.NAME, limits.SUMS_FILE), (sums.MANIFEST, limits.BUNDLE_MANIFEST), (sums.README, limits.README_FILE),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dropped:
    """A bundle's folder: `seal` changes with any of its files, `digest` is that of SHA256SUMS where the bundle is
    whole, and else `why` says what it waits for. `source` and `size` (the volumes' bytes) are what a whole one says of
    itself, unverified."""

    name: str
    seal: str
    digest: str = ""
    why: str = ""
    source: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """The names in a drop folder: those of bundles, and how many others there are."""

    bundles: tuple[str, ...]
    others: int
    more: bool


def list_folder(folder: Path) -> Listed:
    """The names, so many as are looked at. Raises OSError."""
    bundles, others = [], 0
    with os.scandir(folder) as entries:
        names = [
            (entry.name, entry.is_dir(follow_symlinks=False)) for entry in islice(entries, transfer_limits.DROP_NAMES)
        ]
        more = next(entries, None) is not None
    for name, is_folder in names:
        if is_folder and BUNDLE.match(name):
            bundles.append(name)
        elif name != UNFINISHED:
            others += 1
    return Listed(tuple(sorted(bundles)), others, more)


def look(folder: Path, before: Dropped | None = None) -> Dropped:
    """A bundle's folder as it is now; what was found `before` where nothing changed. Raises OSError."""
    seal = _seal(folder)
    if before is not None and before.seal == seal:
        return before
    try:
        files = _read(folder)
        manifest = _whole(folder, files)
    except LockgateError as error:
        return Dropped(folder.name, seal, why=error.what + (f": {error.thing}" if error.thing else ""))
    size = sum(volume.size for volume in manifest.volumes)
    return Dropped(folder.name, seal, str(Digest.of(files.sums)), source=manifest.source, size=size)


def _seal(folder: Path) -> str:
    """Which files there are, as the file system tells them apart: without reading any."""
    digest = hashlib.sha256()
    for path in _files(folder):
        status = path.lstat()
        digest.update(
            f"{path.name}\0{status.st_mode}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "volumes"):
        if place.is_symlink() or not place.is_dir():
            continue
        with os.scandir(place) as entries:
            yield from (place / name for name in sorted(entry.name for entry in islice(entries, limits.VOLUMES + 1024)))


def _read(folder: Path) -> SmallFiles:
    """The small files, once they are there. Raises LockgateError naming what is not."""
    found = {}
    for name, ceiling in _SMALL:
        if not os.path.lexists(folder / name):
            raise LockgateError("it has not come yet", thing=name)
        found[name] = read_small(folder / name, ceiling)
    with os.scandir(folder) as entries:
        signed = sorted(entry.name for entry in islice(entries, 1024) if SIGNATURE_NAME.match(entry.name))
    # The signatures' bytes are the import's to judge: here it only counts which are there.
    return SmallFiles(found[sums.NAME], found[sums.MANIFEST], found[sums.README], dict.fromkeys(signed, b""))


def _whole(folder: Path, files: SmallFiles) -> BundleManifest:
    """The manifest of a bundle that is whole. Raises LockgateError naming what is missing."""
    manifest = consistent(files)
    for keyid in manifest.signers:
        if not any(name.startswith(f"{sums.NAME}.{keyid}.") for name in files.signatures):
            raise LockgateError("a signature has not come yet", thing=keyid)
    for volume in manifest.volumes:
        name = volume_path(volume.index)
        try:
            status = (folder / name).lstat()
        except FileNotFoundError:
            raise LockgateError("it has not come yet", thing=name) from None
        if not stat.S_ISREG(status.st_mode):
            raise LockgateError("not a regular file; links are not followed", thing=name)
        if status.st_size != volume.size:
            raise LockgateError("it has not come whole", thing=f"{name}, {status.st_size} of {volume.size} bytes")
    return manifest
