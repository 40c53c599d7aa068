"""A bundle's folder on a medium while it is written: made, checked for strangers, given its small files.

manifest.json and README.txt come first and say whose the folder is; SHA256SUMS comes last, so that a medium without it
is one that is not finished. Nothing on the medium is followed: a link in the way is refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import RefusedError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.io.files import failures_named, read_small, sync_folder, write_atomic
from bundles.volumes.write import PARTIAL

VOLUMES: Final = "volumes"
_BESIDE: Final = re.compile(r"recovery\Z|SHA256SUMS\.[0-9a-f]{16}\.[a-z]+\Z")
"""What others may have added: PAR2, and signatures that joined later."""
_LEFT: Final = re.compile(r"\..+\.[0-9]+\.part\Z")
"""A small file that was being written when the power went (bundles.io.files.write_atomic)."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A bundle's small files: manifest, their exact bytes, and the signatures made so far (file name to bytes)."""

    manifest: BundleManifest
    manifest_bytes: bytes
    readme: bytes
    sums: bytes
    signatures: Mapping[str, bytes] = field(default_factory=dict)


def prepare(folder: Path, bundle: Signed, medium: int) -> None:
    """Make the bundle's folder on medium number `medium`, or go on with the one an earlier run began.

    Raises RefusedError, with nothing changed, where the folder holds anything that is not this bundle's, or a link;
    FailedError where the medium cannot be written.
    """
    with failures_named(folder, "the medium cannot be written"):
        for part in (folder, folder / VOLUMES):
            part.mkdir(exist_ok=True)
            if not stat.S_ISDIR(part.lstat().st_mode):
                raise RefusedError("not a folder", thing=str(part), remedy="move it off the medium")
        for name, data in ((sums.MANIFEST, bundle.manifest_bytes), (sums.NAME, bundle.sums)):
            path = folder / name
            if (path.exists() or path.is_symlink()) and read_small(path, limits.BUNDLE_MANIFEST) != data:
                raise RefusedError(
                    "another bundle of this name is on the medium", thing=str(folder), remedy="move it away"
                )
        left = _left_behind(folder, bundle.manifest, medium)
        for path in left:
            path.unlink()
    write_atomic(folder / sums.MANIFEST, bundle.manifest_bytes)
    write_atomic(folder / sums.README, bundle.readme)


def finish(folder: Path, bundle: Signed) -> None:
    """Give a medium whose volumes are all there its signatures and, last, SHA256SUMS."""
    for name, signature in bundle.signatures.items():
        write_atomic(folder / name, signature)
    write_atomic(folder / sums.NAME, bundle.sums)
    with failures_named(folder, "the medium cannot be settled"):
        sync_folder(folder.parent)


def _left_behind(folder: Path, manifest: BundleManifest, medium: int) -> list[Path]:
    """Small files that an earlier run was writing, to be removed. Raises RefusedError for a file of another's."""
    small = {sums.MANIFEST, sums.README, sums.NAME, VOLUMES}
    volumes = {Path(volume_path(volume.index)).name for volume in manifest.volumes if volume.medium == medium}
    left = []
    for path in sorted(folder.iterdir()):
        if _LEFT.match(path.name):
            left.append(path)
        elif path.name not in small and not _BESIDE.match(path.name):
            raise _stranger(path)
    for path in sorted((folder / VOLUMES).iterdir()):
        if path.name.removesuffix(PARTIAL) not in volumes:
            raise _stranger(path)
    return left


def _stranger(path: Path) -> RefusedError:
    return RefusedError("a file that is not this bundle's is on the medium", thing=str(path), remedy="move it away")
