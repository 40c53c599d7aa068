"""The folder `rotations`: `made` here, `came` from other sites, `accepted` by two people; never one silently.

A document is `<site>-<number>.json`, its signatures `<site>-<number>.<keyid>.<kind>` beside it, and the signatures of
who accepts it `<site>-<number>.accepted.<keyid>.<kind>`. The document is written last and removed first: signatures
without one count for nothing. The highest number of a site in `accepted` is where the site's rotations stand here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from appliance.paths import StationPaths
from bundles import limits
from bundles.documents.rotation import KeyRotation, decode
from bundles.documents.rotation_carried import CarriedRotation
from bundles.documents.rotation_verdict import Accepted
from bundles.errors import MalformedError, UsageError
from bundles.io.files import failures_named, make_folder, read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.signature_files import by_key

MADE: Final = "made"
CAME: Final = "came"
ACCEPTED: Final = "accepted"
_DOCUMENT: Final = re.compile(r"([a-z0-9-]{1,32}-[0-9]{6})\.json\Z")


@dataclass(frozen=True, slots=True)
class Kept(CarriedRotation):
    """A document as it lies here. `acceptances`: the signatures of who accepts it, keyid to kind to bytes."""

    id: str
    place: str
    acceptances: Mapping[str, Mapping[str, bytes]]

    @property
    def digest(self) -> str:
        return str(Digest.of(self.raw))

    @property
    def rotation(self) -> KeyRotation:
        """The document, read. Raises MalformedError."""
        return decode(self.raw)


def ids(paths: StationPaths, place: str) -> list[str]:
    """The documents in a place, ascending by site and number."""
    folder = paths.rotations / place
    if not folder.is_dir():
        return []
    with failures_named(folder, "the key rotations cannot be read"):
        return sorted(match[1] for match in map(_DOCUMENT.match, (one.name for one in folder.iterdir())) if match)


def load(paths: StationPaths, place: str, name: str) -> Kept:
    """A document with its signatures. Raises UsageError where there is none of that id, and what reading raises."""
    folder = paths.rotations / place
    if not _DOCUMENT.match(f"{name}.json") or not (folder / f"{name}.json").exists():
        raise UsageError("no such key rotation", thing=name[:80], remedy="see: lockgate key rotation list")
    raw = read_small(folder / f"{name}.json", limits.KEY_ROTATION)
    names = [one.name for one in folder.iterdir()]

    def read(stem: str) -> dict[str, dict[str, bytes]]:
        return {
            keyid: {kind: read_small(folder / file, limits.SIGNATURE_FILE) for kind, file in files.items()}
            for keyid, files in by_key(names, stem).items()
        }

    return Kept(raw, read(name), name, place, read(f"{name}.accepted"))


def find(paths: StationPaths, name: str, *places: str) -> Kept:
    """The document of that id in the first place that has it. Raises UsageError."""
    for place in places:
        if name in ids(paths, place):
            return load(paths, place, name)
    return load(paths, places[-1], name)


def last_accepted(paths: StationPaths, site: str) -> Accepted | None:
    """Where a site's rotations stand here. Raises UsageError where the document there is damaged."""
    names = [name for name in ids(paths, ACCEPTED) if name.rpartition("-")[0] == site]
    if not names:
        return None
    kept = load(paths, ACCEPTED, names[-1])
    try:
        rotation = kept.rotation
    except MalformedError as error:
        raise _damaged(paths, kept, error.what) from None
    if rotation.id != kept.id:
        raise _damaged(paths, kept, f"it is {rotation.id}")
    return Accepted(rotation.number, kept.digest)


def _damaged(paths: StationPaths, kept: Kept, why: str) -> UsageError:
    file = paths.rotations / ACCEPTED / f"{kept.id}.json"
    return UsageError(f"a damaged key rotation ({why})", thing=str(file), remedy="put it back from a copy")


def keep(paths: StationPaths, place: str, name: str, one: CarriedRotation) -> None:
    """Write a document with its signatures, durably; what lay there under its name and is not of it goes first."""
    _make_room(paths, place, name, one.raw)
    _write(paths, place, name, one)


def _make_room(paths: StationPaths, place: str, name: str, raw: bytes) -> None:
    folder = paths.rotations / place
    with failures_named(folder, "the key rotation cannot be written"):
        make_folder(paths.rotations)
        make_folder(folder)
    existing = folder / f"{name}.json"
    if not existing.exists() or read_small(existing, limits.KEY_ROTATION) != raw:
        remove(paths, place, name)


def _write(paths: StationPaths, place: str, name: str, one: CarriedRotation) -> None:
    folder = paths.rotations / place
    for keyid, kinds in one.files.items():
        for kind, data in kinds.items():
            write_atomic(folder / f"{name}.{keyid}.{kind}", data, owned=True)
    write_atomic(folder / f"{name}.json", one.raw, owned=True)


def keep_acceptance(paths: StationPaths, place: str, files: Mapping[str, bytes]) -> None:
    """Write the signature of who accepts a document: file name to bytes."""
    for file, data in files.items():
        write_atomic(paths.rotations / place / file, data, owned=True)


def move_to_accepted(paths: StationPaths, kept: Kept) -> None:
    """A document that came becomes an accepted one, with every signature."""
    _make_room(paths, ACCEPTED, kept.id, kept.raw)
    for keyid, kinds in kept.acceptances.items():
        keep_acceptance(paths, ACCEPTED, {f"{kept.id}.accepted.{keyid}.{kind}": data for kind, data in kinds.items()})
    _write(paths, ACCEPTED, kept.id, kept)
    remove(paths, CAME, kept.id)


def is_accepted(paths: StationPaths, kept: Kept) -> bool:
    """Whether these bytes are accepted already: of one that came, a move that was cut off before its end."""
    file = paths.rotations / ACCEPTED / f"{kept.id}.json"
    return file.exists() and read_small(file, limits.KEY_ROTATION) == kept.raw


def remove(paths: StationPaths, place: str, name: str) -> None:
    """Remove a document, first, and its signatures."""
    folder = paths.rotations / place
    with failures_named(folder, "the key rotation cannot be removed"):
        (folder / f"{name}.json").unlink(missing_ok=True)
        for one in [each for each in folder.iterdir() if each.name.startswith(f"{name}.")]:
            one.unlink()
