"""Where the verifier writes nothing: into a station, a folder of trusted keys, or onto the medium that it reads.

It is run by people who may write to all three, on a page's name that somebody else may have chosen.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bundles.errors import RefusedError
from bundles.io.files import os_failure
from bundles.signing.trust import SITE_FILE

_ROOTS: Final = ("/media", "/mnt", "/run/media", "/Volumes")
"""Where systems mount what is carried about; a mount point elsewhere is a medium where the bundle lies at its top."""
_STATION: Final = (("config.toml", "metadata.sqlite"), ("config.toml", "keys", "trust"), ("origin.json", "keys"))
"""Names that stand together in the folder of a station alone."""
_TRUST: Final = "a folder of trusted keys"


def whose_folder(holds: Callable[[str], bool]) -> str:
    """What a folder is that holds files by name: a folder of trusted keys or a station's, in words; "" for neither."""
    if holds(SITE_FILE):
        return _TRUST
    return "a station's folder" if any(all(map(holds, names)) for names in _STATION) else ""


def _is_in(folder: Path, name: str) -> bool:
    return (folder / name).exists()


def require_place(file: Path, folders: Sequence[Path], trust: Path, *, off_medium: bool) -> None:
    """Whether a new file may be written: not into a station, a trust folder or a bundle's folder, whichever way its
    path leads there; with `off_medium` nor anywhere on the medium that holds a bundle's folder.

    Raises RefusedError, FailedError where the folder is not there.
    """
    try:
        parent = Path(os.path.realpath(file.parent, strict=True))
        above = [(path, _identity(path)) for path in (parent, *parent.parents)]
        bundles = {_identity(folder) for folder in folders if folder.exists()}
        trusted = {_identity(trust)} if trust.exists() else set()
        mounts = {_identity(mount) for mount in _media(folders)} if off_medium else set()
    except OSError as error:
        raise os_failure(error, file.parent, "nothing can be written there") from None
    for path, identity in above:
        if identity in trusted:
            raise _refusal(file, _TRUST)
        if what := whose_folder(functools.partial(_is_in, path)):
            raise _refusal(file, what)
        if identity in bundles | mounts:
            raise _refusal(file, "the medium that is verified")


def _refusal(file: Path, what: str) -> RefusedError:
    return RefusedError(f"this lies in {what}", thing=str(file), remedy="name a file in a folder of your own")


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _media(folders: Sequence[Path]) -> Iterator[Path]:
    """The mount points of media that hold a bundle's folder."""
    for folder in folders:
        if folder.exists():
            path = Path(os.path.realpath(folder))
            mount = next(one for one in (path, *path.parents) if os.path.ismount(one))
            below = any(mount.is_relative_to(root) for root in _ROOTS)
            if mount.parent != mount and (below or mount in (path, path.parent)):
                yield mount
