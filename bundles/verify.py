"""Verifying a bundle on media: the files around the pure verdict (`bundles.decide.bundle`).

Folders are hostile: links are not followed, only regular files of the names that the format knows are allowed, small
files are capped and read once, and several folders must agree to the byte.
"""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.decide.bundle import SIGNATURE_NAME, Opened, SmallFiles, consistent, decide, require_all_signers
from bundles.errors import IncompleteError, RefusedError, UsageError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.io.display import some
from bundles.io.files import failures_named, read_small, scan
from bundles.io.work_threads import WorkThread
from bundles.ports import Progress
from bundles.signing.trust import TrustFolder
from bundles.volumes.read import ranges_of, read_volume

_CEILINGS: Final = {
    sums.NAME: limits.SUMS_FILE,
    sums.MANIFEST: limits.BUNDLE_MANIFEST,
    sums.README: limits.README_FILE,
}
_FOLDERS: Final = ("volumes", "recovery")
_SHOUTED: Final = {name.upper(): name for name in (sums.README, *_FOLDERS)}
_SHOUTED_VOLUME: Final = re.compile(r"[0-9]{4}\.7Z")
"""Short names as some readers of FAT show them: they drop the bits that say which letters are small."""
_DROPPING: Final = re.compile(
    r"\._.*|\.DS_Store|\.Trashes|\.fseventsd|\.Spotlight-V100|\.TemporaryItems|\.Trash-[0-9]+"
    r"|System Volume Information|Thumbs\.db|desktop\.ini|\$RECYCLE\.BIN|LOST\.DIR",
    re.DOTALL,
)
"""What desktops leave on every medium that they mount. It is never opened, and never part of a bundle."""
_NAMES_MOST: Final = 1024
"""Names looked at in a bundle's folder: more than all that may be there."""
_DROPPINGS: Final = 256
"""Droppings that are named; a medium with more is no longer one that a desktop only looked at."""
DROPPINGS_REMEDY: Final = "a desktop left it: harmless, delete it, and mount media read-only"
_MARKS: Final = (sums.NAME, sums.MANIFEST)
"""Either makes a folder a bundle's: a medium that was cut off while it was written has no SHA256SUMS yet."""


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle whose signatures hold, and where its volumes lie.

    `volumes` by index; `copies` are further places of the same ones, `missing_volumes` are in no folder given;
    `droppings` are what a desktop left beside them, not read.
    """

    opened: Opened
    files: SmallFiles
    folders: tuple[Path, ...]
    volumes: dict[int, Path]
    copies: tuple[tuple[int, Path], ...]
    missing_volumes: tuple[int, ...]
    droppings: tuple[Path, ...] = ()

    def require_volumes(self) -> None:
        """Raises IncompleteError naming each missing volume and its medium."""
        if self.missing_volumes:
            raise missing(self.opened, self.missing_volumes)


def missing(opened: Opened, indexes: Sequence[int]) -> IncompleteError:
    """The error that names volumes still to come and the media they are on."""
    volumes = opened.manifest.volumes
    media = sorted({volumes[index - 1].medium for index in indexes})
    named = ", ".join(volume_path(index) for index in indexes[:8]) + (", …" if len(indexes) > 8 else "")
    return IncompleteError(
        f"{opened.manifest.id}: volumes still to come",
        thing=named,
        remedy=f"insert medium {', '.join(map(str, media))} of {volumes[-1].medium}",
    )


_OFFERED: Final = 8
"""Bundles of a medium that are offered by their paths: a longer line is not read."""


def find_folders(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The bundle's folder behind each path: itself, or the one bundle below it (a medium's mount point).

    A folder that is named twice counts once. Raises UsageError where there is none, or more than one, or for a file;
    RefusedError for a socket, a pipe or a device.
    """
    return tuple(dict.fromkeys(_find(path) for path in paths))


def _find(path: Path) -> Path:
    with failures_named(path, "the bundle cannot be read"):
        try:
            names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in scan(path)}
        except NotADirectoryError:
            wrong = UsageError if path.is_file() else RefusedError
            raise wrong("not a folder", thing=str(path), remedy="give the folder that holds SHA256SUMS") from None
        if not names.keys().isdisjoint(_MARKS):
            return path
        below = sorted(
            name for name, is_folder in names.items() if is_folder and any((path / name / m).exists() for m in _MARKS)
        )
    if len(below) == 1:
        return path / below[0]
    if below:
        each = " or ".join(str(path / name) for name in below[:_OFFERED])
        raise UsageError(
            some(len(below), "bundle is", "bundles are") + " here", thing=str(path), remedy=f"name one of them: {each}"
        )
    raise UsageError("no bundle is here", thing=str(path), remedy="give the folder that holds SHA256SUMS")


def open_bundle(paths: Sequence[Path], trust: TrustFolder, now: str) -> OpenedBundle:
    """Read the small files of the bundle in `paths` (one folder a medium) and decide.

    Raises RefusedError for everything that is untrusted or does not belong, naming the file.
    """
    return open_gathered(gather(paths), trust, now)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The small files of a bundle's media, read once and not yet decided about, and the names beside them."""

    folders: tuple[Path, ...]
    listings: tuple[Listing, ...]
    files: SmallFiles

    @property
    def droppings(self) -> tuple[Path, ...]:
        """What a desktop left on the media."""
        return tuple(path for listing in self.listings for path in listing.droppings)


def gather(paths: Sequence[Path]) -> Gathered:
    """Read the small files in `paths`, one folder a medium. Raises RefusedError for what does not belong, by name."""
    folders = find_folders(paths)
    if not folders:
        raise UsageError("no folder was given", remedy="name the bundle's folder")
    listings = tuple(_list(folder) for folder in folders)
    files = _read(folders[0], listings[0])
    for folder, listing in zip(folders[1:], listings[1:], strict=True):
        files = _join(files, _read(folder, listing), folder)
    return Gathered(folders, listings, files)


def open_gathered(gathered: Gathered, trust: TrustFolder, now: str) -> OpenedBundle:
    """Decide about what was gathered, and find its volumes. Raises as `open_bundle`."""
    opened = decide(gathered.files, trust, now)
    places = _place(gathered.folders, gathered.listings, opened.manifest)
    volumes = dict(reversed(places))
    copies = tuple((index, path) for index, path in places if volumes[index] != path)
    absent = tuple(volume.index for volume in opened.manifest.volumes if volume.index not in volumes)
    return OpenedBundle(opened, gathered.files, gathered.folders, volumes, copies, absent, gathered.droppings)


def verify(paths: Sequence[Path], trust: TrustFolder, now: str, progress: Progress) -> OpenedBundle:
    """Verify a bundle whole: signatures, every volume that is here, and that all are.

    Raises RefusedError (exit 3) before IncompleteError (exit 4): what is here must be good before it can be "so far".
    """
    bundle = open_bundle(paths, trust, now)
    require_all_signers(bundle.opened)
    read_all(bundle, progress)
    bundle.require_volumes()
    return bundle


@dataclass(frozen=True, slots=True)
class Examined:
    """One medium whose files agree with one another: what is here is what SHA256SUMS names, whoever signed it."""

    folder: Path
    files: SmallFiles
    manifest: BundleManifest


def examine(path: Path, progress: Progress) -> Examined:
    """Check a medium against itself, without any trust: what a co-signer does before signing its SHA256SUMS.

    Raises RefusedError for a file that does not belong or whose bytes are not the ones that are to be signed.
    """
    (folder,) = find_folders([path])
    listing = _list(folder)
    files = _read(folder, listing)
    manifest = consistent(files)
    _read_places(manifest, _place([folder], [listing], manifest), progress)
    return Examined(folder, files, manifest)


def read_all(bundle: OpenedBundle, progress: Progress) -> None:
    """Read every volume that is here, every copy of it too, two at a time. Raises as `read_volume`."""
    _read_places(bundle.opened.manifest, [*sorted(bundle.volumes.items()), *bundle.copies], progress)


def _read_places(manifest: BundleManifest, places: Sequence[tuple[int, Path]], progress: Progress) -> None:
    ranges = ranges_of(manifest)
    total = sum(manifest.volumes[index - 1].size for index, _ in places)
    done = 0
    turn = threading.Lock()
    progress("verify", 0, total)

    def advance(count: int) -> None:
        nonlocal done
        with turn:
            done += count
            progress("verify", done, total)

    last = len(places) - 1

    def read(item: tuple[int, tuple[int, Path]]) -> None:
        number, (index, path) = item
        beside = number % 2 == 1 or number < last
        read_volume(path, manifest, index, ranges[index], None, advance, beside=beside)

    with WorkThread(read, depth=1) as second:
        for number, place in enumerate(places):
            if number % 2:
                second.put((number, place))
            else:
                read((number, place))


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in a bundle's folder and in its `volumes`, droppings aside, each with where it lies."""

    small: Mapping[str, Path]
    volumes: Sequence[tuple[str, Path]]
    droppings: tuple[Path, ...]


def _list(folder: Path) -> Listing:
    """The names in the folder and its `volumes`, refused where the format does not know them or there are too many."""
    small: dict[str, Path] = {}
    volumes: list[tuple[str, Path]] = []
    droppings: list[Path] = []
    folders: set[str] = set()
    with failures_named(folder, "the bundle cannot be read"):
        for entry in islice(scan(folder), _NAMES_MOST):
            name = _SHOUTED.get(entry.name, entry.name)
            if _DROPPING.fullmatch(entry.name):
                droppings.append(folder / entry.name)
            elif name in _FOLDERS and name not in folders and entry.is_dir(follow_symlinks=False):
                folders.add(name)
                if name == "volumes":
                    inner = folder / entry.name
                    below = islice(scan(inner), limits.VOLUMES + _DROPPINGS + 1)
                    volumes = sorted((_whispered(volume.name), inner / volume.name) for volume in below)
            elif (name not in _CEILINGS and not SIGNATURE_NAME.match(name)) or name in small:
                raise _stranger(folder, entry.name)
            else:
                small[name] = folder / entry.name
            if len(small) > len(_CEILINGS) + limits.SIGNATURES:
                raise RefusedError("too many signature files", thing=str(folder), remedy="remove those not named")
    droppings += [path for name, path in volumes if _DROPPING.fullmatch(name)]
    volumes = [(name, path) for name, path in volumes if not _DROPPING.fullmatch(name)]
    for (name, first), (again, second) in pairwise(volumes):
        if name == again:
            raise _stranger(folder, f"volumes/{second.name if first.name == name else first.name}")
    if len(volumes) > limits.VOLUMES:
        raise RefusedError("too many volumes", thing=str(folder / "volumes"), remedy="copy the medium again")
    if len(droppings) > _DROPPINGS:
        raise RefusedError("too many files that are not the bundle's", thing=str(droppings[0]), remedy="delete them")
    return Listing(small, tuple(volumes), tuple(sorted(droppings)))


def _whispered(name: str) -> str:
    return name.lower() if _SHOUTED_VOLUME.fullmatch(name) else name


def _stranger(folder: Path, name: str) -> RefusedError:
    return RefusedError(
        "a file that does not belong to the bundle",
        thing=str(folder / name),
        remedy="remove it, or copy the medium again",
    )


def _read(folder: Path, listing: Listing) -> SmallFiles:
    for name in _CEILINGS:
        if name not in listing.small:
            raise RefusedError(
                "the bundle lacks a file", thing=str(folder / name), remedy="copy the whole medium again"
            )
    files = {name: read_small(listing.small[name], ceiling) for name, ceiling in _CEILINGS.items()}
    signed = {name: path for name, path in listing.small.items() if SIGNATURE_NAME.match(name)}
    return SmallFiles(
        sums=files[sums.NAME],
        manifest=files[sums.MANIFEST],
        readme=files[sums.README],
        signatures={name: read_small(path, limits.SIGNATURE_FILE) for name, path in sorted(signed.items())},
    )


def _join(first: SmallFiles, other: SmallFiles, folder: Path) -> SmallFiles:
    """Two media of one bundle: the same small files to the byte; a signature may have joined one of them alone."""
    for name, one, two in (
        (sums.NAME, first.sums, other.sums),
        (sums.MANIFEST, first.manifest, other.manifest),
        (sums.README, first.readme, other.readme),
    ):
        if one != two:
            raise RefusedError("the media are not of one bundle", thing=str(folder / name), remedy="check each alone")
    for name in first.signatures.keys() & other.signatures.keys():
        if first.signatures[name] != other.signatures[name]:
            raise RefusedError("the media differ in a signature", thing=str(folder / name), remedy="check each alone")
    return SmallFiles(first.sums, first.manifest, first.readme, {**first.signatures, **other.signatures})


def _place(folders: Sequence[Path], listings: Sequence[Listing], manifest: BundleManifest) -> list[tuple[int, Path]]:
    """Where each volume lies (index and path), its size checked before anything is hashed."""
    known = {volume_path(volume.index).removeprefix("volumes/"): volume for volume in manifest.volumes}
    places: list[tuple[int, Path]] = []
    for folder, listing in zip(folders, listings, strict=True):
        for name, path in listing.volumes:
            if name not in known:
                raise _stranger(folder, f"volumes/{name}")
            with failures_named(path, "the volume cannot be read"):
                status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("not a regular file", thing=str(path), remedy="a bundle holds regular files alone")
            if status.st_size != known[name].size:
                raise RefusedError(
                    f"the volume has {status.st_size} bytes, not the signed {known[name].size}",
                    thing=f"volumes/{name}",
                    remedy="copy it again from the source's medium",
                )
            places.append((known[name].index, path))
    return places
