"""Where `collect` takes artifacts from: one small port, and its adapters for layouts and files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, Protocol

from appliance.outgoing.collect.names import MODE, TITLE, default_reference, docker_name, folder_name
from appliance.outgoing.collect.tar_files import TarFiles
from bundles import limits
from bundles.errors import LockgateError, NotFoundError, UsageError
from bundles.format.oci_layout import CONTAINERD_NAME, INDEX, LAYOUT_FILE, Layout
from bundles.io import strict_json
from bundles.io.display import safe
from bundles.io.files import failures_named, open_regular
from bundles.oci.attached_tags import cosign_tags, fallback_tag, is_attached
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.kinds import FILE_TYPE
from bundles.oci.manifest import EMPTY_JSON, MANIFEST_TYPES, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, parse_manifest
from bundles.oci.reference import Reference, moved_tag

_CHOICES: Final = 4
"""Names of a layout's images that an error lists."""


@dataclass(frozen=True, slots=True)
class Root:
    """An artifact to take: its manifest's descriptor, and the reference it gets here."""

    descriptor: Descriptor
    target: Reference
    note: str = ""
    """What is to be said of it: a tag that stands elsewhere than at the digest that was named with it."""


class Source(Protocol):
    """A place that holds artifacts."""

    def targets(self) -> list[Reference]:
        """What it will be called here, before any of it is read. Raises as `roots`."""
        ...

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
        """Manifests that are said to refer to `digest`."""
        ...

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """What is attached to `digest` by cosign's tags, and the index at its fallback tag, by tag."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def chunks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """A file's bytes in chunks, closed at the end. Raises FailedError naming `path`."""
    with file:
        while True:
            with failures_named(path, "the file cannot be read"):
                chunk = file.read(limits.CHUNK)
            if not chunk:
                return
            yield chunk


class LayoutSource:
    """An OCI image layout: every image that index.json names, or the one that `wanted` names.

    `wanted` is a tag, a name, a digest, or a name and a digest; `name` is the folder's or archive's as its user wrote
    it, which an image gets that has a tag and no repository.
    """

    def __init__(self, layout: Layout, wanted: str | None, as_: Reference | None, name: str) -> None:
        self._layout, self._as, self._name = layout, as_, name
        self._wanted, _, digest = (wanted or "").partition("@")
        self._digest = Digest.parse(digest) if digest else None
        self._entries = layout.entries()
        self._subjects: dict[Digest, list[Descriptor]] | None = None

    def targets(self) -> list[Reference]:
        """As Source.targets."""
        return [root.target for root in self.roots()]

    def roots(self) -> list[Root]:
        """As Source.roots. A name is `repository:tag`, or a tag alone, which takes the layout's name as repository."""
        named = self._chosen()
        if self._as is not None and len(named) > 1:
            raise UsageError(
                "--as names one artifact, the layout has several",
                thing=str(self._layout.root),
                remedy=f"choose one: {self._choices()}",
            )
        roots = [Root(found, self._as or self._reference(name, found), note) for name, found, note in named]
        targets = [root.target for root in roots]
        if len(set(targets)) < len(targets):
            twice = next(target for target in targets if targets.count(target) > 1)
            raise UsageError(
                f"the layout names {twice} twice",
                thing=str(self._layout.root),
                remedy=f"name one with --as: {self._choices()}",
            )
        return roots

    def _chosen(self) -> list[tuple[str, Descriptor, str]]:
        """What is meant: name ("" for none), descriptor, and what is to be said of it. Raises UsageError."""
        named = [(name or "", found) for name, found in self._entries if name or found.annotations.get(CONTAINERD_NAME)]
        if self._digest is not None:
            chosen = [(name or "", found) for name, found in self._entries if found.digest == self._digest][:1]
            where = [found.digest for name, found in named if self._wanted and self._means(name, found)]
            if chosen and self._wanted:
                tag = self._wanted.rpartition(":")[2]
                note = moved_tag(Reference("layout", tag, self._digest), where[0] if where else None)
                return [(self._wanted, chosen[0][1], note.replace("layout:", f"{self._layout.root}:", 1))]
        elif self._wanted:
            chosen = [(name, found) for name, found in named if self._means(name, found)]
        else:
            chosen = self._without_attached(named) or self._unnamed()
        if not chosen:
            wanted = f"{self._layout.root}:{self._wanted}" + (f"@{self._digest}" if self._digest else "")
            raise NotFoundError(
                "the layout names no such image",
                thing=wanted.rstrip(":"),
                remedy=f"choose one: {self._choices()}" if self._entries else "its index.json is empty",
            )
        return [(name, found, "") for name, found in chosen]

    def _without_attached(self, named: list[tuple[str, Descriptor]]) -> list[tuple[str, Descriptor]]:
        """The named images without what is attached by tags to what the layout holds: that goes along with these. Where
        a repository has nothing else, it is what is meant."""
        places = {name.rpartition(":")[0] for name, _ in named if not is_attached(name.rpartition(":")[2])}
        return [
            (name, found)
            for name, found in named
            if name.rpartition(":")[0] not in places or not self._goes_along(name.rpartition(":")[2])
        ]

    def _goes_along(self, tag: str) -> bool:
        """Whether a tag attaches something to a manifest that the layout holds."""
        if not is_attached(tag):
            return False
        algorithm, _, hexdigits = tag.partition(".")[0].partition("-")
        file = self._layout.open_file(f"blobs/{algorithm}/{hexdigits}")
        if file is None:
            return algorithm != "sha256"  # a longer digest stands in the tag in part
        file.close()
        return True

    def _means(self, name: str, found: Descriptor) -> bool:
        return self._wanted in (name, found.annotations.get(CONTAINERD_NAME), str(self._reference_or_none(name, found)))

    def _unnamed(self) -> list[tuple[str, Descriptor]]:
        """What stands in index.json without a name, as `skopeo copy … oci:DIR` writes it: all but what refers to
        others there."""
        digests = {found.digest for _, found in self._entries}
        return [("", found) for _, found in self._entries if self._subject_of(found) not in digests]

    def _choices(self) -> str:
        """The ways to name one of the layout's images, a few of them."""
        ways = [f":{name}" if name else f"@{found.digest}" for name, found in self._entries]
        more = ", …" if len(ways) > _CHOICES else ""
        return ", ".join(safe(f"{self._layout.form}:{self._layout.root}{way}") for way in ways[:_CHOICES]) + more

    def _reference_or_none(self, name: str, found: Descriptor) -> Reference | None:
        try:
            return self._reference(name, found)
        except LockgateError:
            return None

    def _reference(self, name: str, found: Descriptor) -> Reference:
        """The name that an image gets here. Raises UsageError where it has none, MalformedError for a wrong one."""
        whole = name if ":" in name else found.annotations.get(CONTAINERD_NAME, "")
        if whole:
            return docker_name(whole).named
        if not name:
            raise UsageError(
                "the layout gives its image no name",
                thing=f"{self._layout.root}: {found.digest}",
                remedy="name it with --as REPO:TAG",
            )
        return Reference(folder_name(self._name), tag=name)

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        return self._layout.read_manifest(descriptor)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob."""
        return chunks(self._layout.open_blob(descriptor.digest), self._layout.root)

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers: index.json lists them as entries of their own, named or not (image-layout.md), or an
        index that it names by the fallback tag does, as copies from a registry without the referrers API have it."""
        if self._subjects is None:
            self._subjects = {}
            for _, descriptor in self._entries:
                subject = self._subject_of(descriptor)
                if subject is not None:
                    self._subjects.setdefault(subject, []).append(descriptor)
        found = {one.digest: one for one in self._subjects.get(digest, [])}
        index = self._fallback(digest)
        if index is not None:
            found |= {one.digest: one for one in parse_manifest(self.manifest(index), OCI_INDEX).manifests}
        return list(found.values())

    def _fallback(self, digest: Digest) -> Descriptor | None:
        tag = fallback_tag(digest)
        indexes = (found for name, found in self._entries if name and name.rpartition(":")[2] == tag)
        return next((found for found in indexes if found.media_type == OCI_INDEX), None)

    def _subject_of(self, descriptor: Descriptor) -> Digest | None:
        """What an entry refers to; nothing where it cannot be read: then it could not be taken either."""
        if descriptor.media_type not in MANIFEST_TYPES:
            return None
        try:
            subject = parse_manifest(self.manifest(descriptor), descriptor.media_type).subject
        except LockgateError:
            return None
        return None if subject is None else subject.digest

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """As Source.attached."""
        wanted, index = cosign_tags(digest), self._fallback(digest)
        named = ((name.rpartition(":")[2], found) for name, found in self._entries if name)
        found = {tag: found for tag, found in named if tag in wanted}
        return found if index is None else found | {fallback_tag(digest): index}

    def close(self) -> None:
        """As Source.close."""
        self._layout.close()


class LayoutArchive(Layout):
    """An OCI image layout in a tar archive, as `podman save --format oci-archive` and `docker save` write it."""

    form: ClassVar[str] = "oci-archive"

    def __init__(self, files: TarFiles) -> None:
        """Raises UsageError where the archive is none."""
        self._files = files
        if files.open(LAYOUT_FILE) is None or files.open(INDEX) is None:
            raise UsageError(
                "the archive is no OCI image layout",
                thing=str(files.path),
                remedy=f"it holds no {LAYOUT_FILE}; docker-archive:{files.path} takes what holds a manifest.json",
            )
        super().__init__(files.path)

    def read_small(self, name: str, ceiling: int) -> bytes:
        """As Layout.read_small."""
        return self._files.read_small(name, ceiling)

    def open_file(self, name: str) -> BinaryIO | None:
        """As Layout.open_file."""
        return self._files.open(name)

    def close(self) -> None:
        """As Layout.close."""
        self._files.close()


def file_manifest(title: str, mode: int, digest: Digest, size: int) -> bytes:
    """The manifest of a file as an OCI artifact (image specification, manifest.md, Guidelines for artifact usage): one
    layer with the file's name and permission bits, no time. The same whenever the file is."""
    layer = {
        "mediaType": "application/octet-stream",
        "digest": str(digest),
        "size": size,
        "annotations": {TITLE: title, MODE: f"{mode:04o}"},
    }
    return strict_json.canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": FILE_TYPE,
            "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(EMPTY_JSON)), "size": len(EMPTY_JSON)},
            "layers": [layer],
        }
    )


class FileSource:
    """A file as an OCI artifact (image specification, manifest.md, Guidelines for artifact usage).

    Its manifest is the same whenever the file is: one layer with the file's name and permission bits, no time.
    `advance` is told of bytes as they are hashed.
    """

    def __init__(
        self,
        path: Path,
        as_: Reference | None,
        advance: Callable[[int, int], object] = lambda done, total: None,
        name: str = "",
    ) -> None:
        """`name` is the file's as its user wrote it: a link's own, where `path` is what it leads to."""
        self._path = path
        self._title = name or path.name
        self._as = as_ or default_reference(self._title)
        self.default_name = self._title if as_ is None else None
        """The file's name where nobody gave it another one here, else None."""
        self._advance = advance
        with failures_named(path, "the file cannot be read"):
            self._file = os.fdopen(open_regular(path.resolve()), "rb", buffering=0)
        self._small: dict[Digest, bytes] = {}

    def targets(self) -> list[Reference]:
        """As Source.targets."""
        return [self._as]

    def roots(self) -> list[Root]:
        """As Source.roots. Reads the file once, for its digest."""
        hasher, size = new_hasher("sha256"), 0
        status = os.fstat(self._file.fileno())
        total, mode = status.st_size, status.st_mode & 0o777
        for chunk in self._chunks():
            hasher.update(chunk)
            size += len(chunk)
            self._advance(size, max(size, total))
        raw = file_manifest(self._title, mode, Digest.parse(f"sha256:{hasher.hexdigest()}"), size)
        self._small = {Digest.of(raw): raw, Digest.of(EMPTY_JSON): EMPTY_JSON}
        return [Root(Descriptor(OCI_MANIFEST, Digest.of(raw), len(raw)), self._as)]

    def manifest(self, descriptor: Descriptor) -> bytes:
        """As Source.manifest."""
        return self._small[descriptor.digest]

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """As Source.blob."""
        if descriptor.digest in self._small:
            return chunks(io.BytesIO(self._small[descriptor.digest]), self._path)
        return self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        """The file's bytes from its beginning: by position, since whoever handed it over shares the descriptor's."""
        position = 0
        while True:
            with failures_named(self._path, "the file cannot be read"):
                chunk = os.pread(self._file.fileno(), limits.CHUNK, position)
            if not chunk:
                return
            position += len(chunk)
            yield chunk

    def referrers(self, digest: Digest) -> list[Descriptor]:
        """As Source.referrers: a file has none."""
        return []

    def attached(self, digest: Digest) -> dict[str, Descriptor]:
        """As Source.attached: a file has nothing attached."""
        return {}

    def close(self) -> None:
        """As Source.close."""
        self._file.close()


@contextmanager
def closing_all(sources: list[Source]) -> Iterator[list[Source]]:
    """Close them at the end."""
    try:
        yield sources
    finally:
        for source in sources:
            source.close()
