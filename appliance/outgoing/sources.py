"""Where `collect` takes artifacts from: one small port, and its adapters for layouts and files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from bundles import limits, strict_json
from bundles.errors import UsageError
from bundles.files import failures_named, open_regular
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.kinds import FILE_TYPE
from bundles.oci.layout import LayoutFolder
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST
from bundles.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Root:
    """An artifact to take: its manifest's descriptor, and the reference it gets here."""

    descriptor: Descriptor
    target: Reference


class Source(Protocol):
    """A place that holds artifacts."""

    def roots(self) -> Iterable[Root]:
        """What is to be taken. Raises a LockgateError that names the source."""
        ...

    def manifest(self, descriptor: Descriptor) -> bytes:
        """A manifest's bytes, checked against their digest."""
        ...

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob's bytes in chunks; whoever stores them checks the digest."""
        ...

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """Manifests that refer to `digest`."""
        ...


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes in chunks, closed at the end."""
    with file:
        while chunk := file.read(limits.CHUNK):
            yield chunk


class LayoutSource:
    """An OCI image layout: every manifest that index.json names, or the one named `tag`."""

    def __init__(self, path: Path, tag: str | None, as_: Reference | None) -> None:
        self._layout, self._tag, self._as = LayoutFolder(path), tag, as_

    def roots(self) -> list[Root]:
        """As Source.roots. A name is `repository:tag`, or a tag alone, which takes the folder's name as repository."""
        named = [(name, found) for name, found in self._layout.entries() if name and self._tag in (None, name)]
        if not named:
            wanted = f"{self._layout.root}:{self._tag}" if self._tag else str(self._layout.root)
            raise UsageError("the layout names no such image", thing=wanted, remedy="see its index.json")
        if self._as is not None and len(named) > 1:
            raise UsageError("--as names one artifact, the layout has several", thing=str(self._layout.root))
        return [Root(found, self._as or self._reference(name)) for name, found in named]

    def _reference(self, name: str) -> Reference:
        if ":" in name:
            return Reference.parse(name)
        return Reference(self._layout.root.resolve().name.lower(), tag=name)

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._layout.read_manifest(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        return chunks(self._layout.open_blob(descriptor.digest))

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """A layout's index lists referrers as entries of their own, named or not (image-layout.md)."""
        from bundles.oci.manifest import MANIFEST_TYPES, parse_manifest

        found = []
        for name, descriptor in self._layout.entries():
            if name is None and descriptor.media_type in MANIFEST_TYPES:
                subject = parse_manifest(self.manifest(descriptor), descriptor.media_type).subject
                if subject is not None and subject.digest == digest:
                    found.append(descriptor)
        return found


class FileSource:
    """A file as an OCI artifact (image specification, manifest.md, Guidelines for artifact usage).

    Its manifest is the same whenever the file is: one layer with the file's name, no time.
    """

    def __init__(self, path: Path, as_: Reference | None) -> None:
        self._path = path
        with failures_named(path, "the file cannot be read"):
            self._file = os.fdopen(open_regular(path.resolve()), "rb")
        self._as = as_
        self._blobs: dict[Digest, bytes] = {}

    def roots(self) -> list[Root]:
        """As Source.roots. Reads the file once for its digest."""
        name = self._path.name
        hasher, size = new_hasher("sha256"), 0
        while chunk := self._file.read(limits.CHUNK):
            hasher.update(chunk)
            size += len(chunk)
        layer = {
            "mediaType": "application/octet-stream",
            "digest": f"sha256:{hasher.hexdigest()}",
            "size": size,
            "annotations": {"org.opencontainers.image.title": name},
        }
        raw = strict_json.canonical(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": FILE_TYPE,
                "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(EMPTY_JSON)), "size": len(EMPTY_JSON)},
                "layers": [layer],
            }
        )
        self._blobs = {Digest.of(raw): raw, Digest.of(EMPTY_JSON): EMPTY_JSON}
        return [Root(Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw)), self._as or self._default(name))]

    @staticmethod
    def _default(name: str) -> Reference:
        cleaned = "".join(
            character if character.isalnum() and character.isascii() else "-" for character in name.lower()
        )
        cleaned = "-".join(part for part in cleaned.split("-") if part)
        if not cleaned:
            raise UsageError("the file's name gives no repository", thing=name, remedy="name one with --as REPO:TAG")
        return Reference(f"files/{cleaned}", tag="latest")

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._blobs[descriptor.digest]

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        if descriptor.digest in self._blobs:
            return chunks(io.BytesIO(self._blobs[descriptor.digest]))
        self._file.seek(0)
        return chunks(os.fdopen(os.dup(self._file.fileno()), "rb"))

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return []


@contextmanager
def closing_all(sources: list[Source]) -> Iterator[list[Source]]:
    """Close what has a `close`, at the end."""
    try:
        yield sources
    finally:
        for source in sources:
            close = getattr(source, "close", None)
            if close is not None:
                close()
