"""What volumes hold where their manifest is lost: each blob by its own name, nothing by a signature.

The archives are read by py7zr into sinks of our own, never unpacked by path: an entry's name is a digest or a part of
one, or it is passed over. A blob is kept when its bytes are its name's. Who made them, and whether they are all,
nobody can say: that stood in what is lost.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from bundles import limits
from bundles.errors import LockgateError, MalformedError, RefusedError, UsageError
from bundles.format.oci_layout import INDEX, LAYOUT, LAYOUT_FILE
from bundles.io import strict_json
from bundles.io.display import some
from bundles.io.files import failures_named, open_regular, read_small, scan, write_atomic
from bundles.io.seven_zip import check_header
from bundles.oci.digest import Digest, Hasher, new_hasher
from bundles.oci.left_out import PLATFORMS_TYPE, left_out_by
from bundles.oci.manifest import MANIFEST_TYPES, OCI_INDEX, parse_manifest
from bundles.ports import Progress
from bundles.unpack import BLOBS, emptied_on_failure

_BLOB: Final = re.compile(r"blobs/(sha256|sha512)/([0-9a-f]{64}|[0-9a-f]{128})\Z")
_PART: Final = re.compile(r"parts/(sha256|sha512)/([0-9a-f]{64}|[0-9a-f]{128})/([0-9]{4})\Z")
_PARTS: Final = ".parts"
_SMALL: Final = frozenset({INDEX, LAYOUT_FILE})


@dataclass(slots=True)
class Recovered:
    """What was found: `blobs` that are what their names say, `names` of index.json whose artifacts are here whole
    (empty where it was not found), `broken` the other names with the reason, `lost` what could not be read or is not
    whole, and `strange` entries that belong to no volume."""

    blobs: int = 0
    names: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


def recover(paths: Sequence[Path], to: Path, progress: Progress) -> Recovered:
    """Write what the volumes in `paths` hold as an OCI image layout into the new or empty folder `to`, unverified.

    A path is a bundle's folder, its medium, or a folder of volumes. Raises UsageError where no volume is there,
    FailedError where `to` is in use or the disk is full, RefusedError for a link in a volume's or a folder's place and
    for a header over its ceiling. What cannot be read is named in the result.
    """
    volumes = _volumes(paths)
    found = Recovered()
    with failures_named(to, "the layout cannot be written"), emptied_on_failure(to):
        sinks = _Sinks(to, found)
        total, done = sum(volume.stat().st_size for volume in volumes), 0
        for volume in volumes:
            progress("recover", done, total)
            _read(volume, sinks)
            done += volume.stat().st_size
        progress("recover", done, total)
        sinks.join_parts()
        found.blobs = sum(1 for _ in (to / BLOBS).glob("*/*"))
        write_atomic(to / LAYOUT_FILE, LAYOUT)
        write_atomic(to / INDEX, sinks.index())
    return found


def _volumes(paths: Sequence[Path]) -> list[Path]:
    """The volumes in the folders: below them, below their `volumes`, or in the one bundle on a medium."""
    found: list[Path] = []
    for path in paths:
        with failures_named(path, "the bundle cannot be read"):
            below = [path, path / "volumes"]
            below += [path / entry.name / "volumes" for entry in scan(path) if entry.is_dir(follow_symlinks=False)]
            if linked := [folder for folder in below[1:] if folder.is_symlink()]:
                raise RefusedError("not a folder", thing=str(linked[0])[:240], remedy="links are not followed")
            here = [sorted(folder.glob("[0-9][0-9][0-9][0-9].7[zZ]")) for folder in below if folder.is_dir()]
        held = [volumes for volumes in here if volumes]
        if len(held) > 1:
            named = ", ".join(str(volumes[0].parent) for volumes in held[:4])
            raise UsageError("several folders of volumes are here", thing=named[:240], remedy="name one of them")
        found += held[0] if held else []
    if not found:
        raise UsageError(
            "no volume is here", thing=", ".join(map(str, paths))[:200], remedy="give the folder of 0001.7z"
        )
    return found


def _read(volume: Path, sinks: _Sinks) -> None:
    """Read one volume into the sinks; what goes wrong in it is named, and the rest of it is lost."""
    import py7zr  # here: it is slow to load, and nothing else reads by it
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):
        def __init__(self, into: _Into) -> None:
            self._into = into

        def write(self, s: bytes | bytearray) -> int:
            self._into.write(s)
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            return

        def size(self) -> int:
            return self._into.size

        def close(self) -> None:
            self._into.end()

    class Factory(WriterFactory):
        def create(self, filename: str) -> Sink:
            return Sink(sinks.begin(filename.removeprefix("/"), volume))

    size = volume.lstat().st_size
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(open(open_regular(volume), "rb"))  # noqa: PTH123  a descriptor
            check_header(file, limits.VOLUME_HEADER, limits.VOLUME_HEADER_UNPACKED, str(volume)[-200:])
            file.seek(0)
            archive = closing.enter_context(py7zr.SevenZipFile(file, max_extract_size=size))
            archive.extract(path="/", factory=Factory())
        except LockgateError:
            raise
        except Exception as error:  # py7zr raises whatever a damaged archive or medium makes it stumble over
            sinks.found.lost.append(f"{volume}: {_reason(error)}")
        finally:
            sinks.drop_open()


def _reason(error: Exception) -> str:
    """Why py7zr could not read a volume, in words: its errors' own texts may be tuples of numbers."""
    from py7zr.exceptions import CrcError

    if isinstance(error, CrcError):
        return f"the checksum of an entry does not hold: {str(error.filename)[:120]}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if len(error.args) == 1 and isinstance(error.args[0], str) and error.args[0]:
        return error.args[0].splitlines()[0][:120]
    return f"it cannot be read as a 7z archive ({type(error).__name__})"


class _Into:
    """Where one entry's bytes go: a file that gets its name when they are the digest's, memory, or nowhere."""

    def __init__(self, sinks: _Sinks, place: Path | None, digest: Digest | None, name: str, ceiling: int) -> None:
        self._sinks, self._place, self._digest, self._name, self._ceiling = sinks, place, digest, name, ceiling
        self._hasher: Hasher | None = None if digest is None else new_hasher(digest.algorithm)
        self._file: BinaryIO | None = None
        self._partial = None if place is None else place.with_name(f"{place.name}.part")
        self.size = 0
        self.held = bytearray()
        self._ended = False
        if self._partial is not None:
            with failures_named(self._partial, "the layout cannot be written"):
                self._partial.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._partial.open("wb")

    def write(self, data: bytes | bytearray) -> None:
        self.size += len(data)
        if self.size > self._ceiling:
            raise MalformedError("an entry holds more than its archive")
        if self._hasher is not None:
            self._hasher.update(bytes(data))
        if self._file is not None:
            with failures_named(self._partial or Path(), "the layout cannot be written"):
                self._file.write(data)
        elif self._name in _SMALL:
            self.held += data

    def end(self) -> None:
        """Give the file its name, or throw it away where its bytes are another's."""
        if self._ended:
            return
        self._ended = True
        if self._file is None:
            self._sinks.small[self._name] = bytes(self.held)
            return
        with failures_named(self._partial or Path(), "the layout cannot be written"):
            self._file.close()
        assert self._partial is not None  # noqa: S101  there is a file
        assert self._place is not None  # noqa: S101
        if self._hasher is None or self._digest is None or self._hasher.hexdigest() == self._digest.hex:
            self._partial.rename(self._place)
        else:
            self._partial.unlink()
            self._sinks.found.lost.append(f"{self._name}: its bytes are not its name's")

    def drop(self) -> None:
        """Throw away what is unfinished."""
        if self._ended or self._file is None or self._partial is None:
            return
        self._ended = True
        self._file.close()
        self._partial.unlink(missing_ok=True)
        self._sinks.found.lost.append(f"{self._name}: cut off")


class _Sinks:
    """Takes in the entries of all volumes."""

    def __init__(self, to: Path, found: Recovered) -> None:
        self._to, self.found = to, found
        self.small: dict[str, bytes] = {}
        self._open: list[_Into] = []
        (to / BLOBS).mkdir(parents=True)

    def begin(self, name: str, volume: Path) -> _Into:
        """Where the entry `name` goes, by its name alone."""
        ceiling = volume.lstat().st_size
        into = self._into(name, ceiling)
        self._open.append(into)
        return into

    def _into(self, name: str, ceiling: int) -> _Into:
        try:
            if (blob := _BLOB.match(name)) is not None:
                digest = Digest.parse(f"{blob[1]}:{blob[2]}")
                place = self._to / BLOBS / digest.path
                return _Into(self, None if place.exists() else place, digest, name, ceiling)
            if (part := _PART.match(name)) is not None:
                digest = Digest.parse(f"{part[1]}:{part[2]}")
                return _Into(self, self._to / _PARTS / digest.path / part[3], None, name, ceiling)
        except MalformedError:
            pass  # a digest of another length than its algorithm's
        if name not in _SMALL:
            self.found.strange.append(name[:200])
        return _Into(self, None, None, name, min(ceiling, limits.LAYOUT_INDEX))

    def drop_open(self) -> None:
        for into in self._open:
            into.drop()
        self._open.clear()

    def join_parts(self) -> None:
        """Join the parts of each blob in the order of their names; what is not whole is named."""
        for folder in sorted((self._to / _PARTS).glob("*/*")):
            digest = Digest.parse(f"{folder.parent.name}:{folder.name}")
            place = self._to / BLOBS / digest.path
            place.parent.mkdir(parents=True, exist_ok=True)
            hasher, partial = new_hasher(digest.algorithm), place.with_name(f"{place.name}.part")
            with partial.open("wb") as out:
                for part in sorted(folder.iterdir()):
                    with part.open("rb") as file:
                        while chunk := file.read(limits.CHUNK):
                            hasher.update(chunk)
                            out.write(chunk)
                    part.unlink()
            if hasher.hexdigest() == digest.hex:
                partial.rename(place)
            else:
                partial.unlink()
                self.found.lost.append(f"blobs/{digest.path}: parts are missing or damaged")
        shutil.rmtree(self._to / _PARTS, ignore_errors=True)

    def index(self) -> bytes:
        """index.json as volume 0001 has it, where all that it lists is here; else one of every manifest that is."""
        with contextlib.suppress(LockgateError):
            entries = list(self._listed(self.small[INDEX])) if INDEX in self.small else []
            if entries:
                left_out = self._left_out(entries)
                for digest, name in entries:
                    why = self._lacks(digest, left_out) if name else ""
                    if why:
                        self.found.broken.append((name, why))
                    elif name:
                        self.found.names.append(name)
                missing = [digest for digest, _ in entries if not (self._to / BLOBS / digest.path).exists()]
                self.found.lost += [f"blobs/{digest.path}: index.json lists it" for digest in dict.fromkeys(missing)]
                return self.small[INDEX]
        manifests = []
        for path in sorted((self._to / BLOBS).glob("*/*")):
            if path.stat().st_size > limits.OCI_MANIFEST:
                continue
            raw = path.read_bytes()
            with contextlib.suppress(LockgateError):
                kind = parse_manifest(raw).media_type if b'"schemaVersion"' in raw[:4096] or b'"layers"' in raw else ""
                if kind:
                    named = f"{path.parent.name}:{path.name}"
                    manifests.append({"mediaType": kind, "digest": named, "size": len(raw)})
        return strict_json.canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})

    def _left_out(self, entries: Sequence[tuple[Digest, str]]) -> set[Digest]:
        """What records among the listed manifests say was left out of indexes, and is not here."""
        left: set[Digest] = set()
        for digest, _ in entries:
            path = self._to / BLOBS / digest.path
            with contextlib.suppress(LockgateError, OSError):
                if path.stat().st_size <= limits.MIB and PLATFORMS_TYPE.encode() in (raw := path.read_bytes()):
                    record = parse_manifest(raw)
                    left |= left_out_by(record.artifact_type, record.annotations).keys()
        return {digest for digest in left if not (self._to / BLOBS / digest.path).exists()}

    def _lacks(self, root: Digest, left_out: Set[Digest]) -> str:
        """What an artifact lacks of all that its manifests name, but for what was left out; "" where it is whole."""
        lacking, waiting, seen = 0, [root], set[Digest]()
        while waiting:
            digest = waiting.pop()
            if digest in seen:
                continue
            seen.add(digest)
            path = self._to / BLOBS / digest.path
            if not path.exists():
                if digest == root:
                    return f"its manifest {digest} is lost"
                lacking += 1
                continue
            try:
                manifest = parse_manifest(read_small(path, limits.OCI_MANIFEST))
            except LockgateError as error:
                return f"its manifest {digest} cannot be read: {error.what}"
            waiting += [
                child.digest for child in manifest.manifests
                if child.media_type in MANIFEST_TYPES and child.digest not in left_out
            ]  # fmt: skip
            named = [*manifest.blobs, *(one for one in manifest.manifests if one.media_type not in MANIFEST_TYPES)]
            lacking += sum(not (self._to / BLOBS / one.digest.path).exists() for one in named)
        return f"{some(lacking, 'blob')} of it {'is' if lacking == 1 else 'are'} not here" if lacking else ""

    @staticmethod
    def _listed(raw: bytes) -> Iterator[tuple[Digest, str]]:
        """What index.json lists, with names. Raises MalformedError."""
        document: Any = strict_json.loads(
            raw, ceiling=limits.LAYOUT_INDEX, nodes=limits.LAYOUT_INDEX_NODES, what=INDEX, floats=True
        )
        if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
            raise RefusedError("index.json lists no manifests")
        for entry in document["manifests"]:
            fields = entry if isinstance(entry, dict) else {}
            notes = fields.get("annotations")
            name = notes.get("org.opencontainers.image.ref.name") if isinstance(notes, dict) else ""
            yield Digest.parse(str(fields.get("digest"))), str(name or "")
