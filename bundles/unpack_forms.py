"""An unpacked layout in other tools' forms: `dir:` folders and Docker archives, one for each artifact.

Forms: containers/image, directory ("Directory Transport Version: 1.1") and docker/archive, which is what `docker save`
wrote before Docker 25 and `docker load`, podman and skopeo read. Every blob was verified when the layout was written; a
blob is linked or copied from there, never read as an archive.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bundles import limits
from bundles.errors import MalformedError
from bundles.format.manifest import Artifact
from bundles.io import strict_json
from bundles.oci.descriptor import Descriptor, Platform
from bundles.oci.digest import Digest
from bundles.oci.kinds import is_runnable, kind_of_manifest
from bundles.oci.left_out import left_out_by
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest

OCI: Final = "oci"
DIR: Final = "dir"
DOCKER_ARCHIVE: Final = "docker-archive"
FORMS: Final = (OCI, DOCKER_ARCHIVE, DIR)

_DIR_VERSION: Final = b"Directory Transport Version: 1.1\n"
_WORDS: Final = {"sbom": "SBOM", "index": "empty index"}
"""Kinds of manifests (bundles.oci.kinds) as a message puts them, where that is not the kind's own name."""
_CONFIG_NODES: Final = 400_000


class _MissingError(Exception):
    """A blob that an artifact names and that was not carried."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: `files` are paths below the target; `left_out` names what the form cannot hold, each with the
    reason; `incomplete` names the artifacts of a delta whose blobs the bundle does not carry."""

    files: list[str]
    left_out: list[tuple[str, str]]
    incomplete: list[str]


def write_forms(form: str, layout: Path, artifacts: Sequence[Artifact], to: Path) -> Written:
    """Write each artifact of the layout's folder into `to` as `form` (DIR or DOCKER_ARCHIVE).

    A name is `<repository>@<tag>`, and `<repository>@<algorithm>-<hex>` for one that has no tag and no index names: `@`
    is in no repository and no tag, so no two artifacts have one path.
    """
    forms = _Forms(layout / "blobs", to)
    write = forms.write_dir if form == DIR else forms.write_archives
    for name, path, artifact in _named(artifacts, forms.children(artifacts)):
        try:
            write(name, path, Descriptor(artifact.mediaType, Digest.parse(artifact.digest), artifact.size))
        except _MissingError:
            forms.written.incomplete.append(name)
    return forms.written


def _named(artifacts: Sequence[Artifact], children: set[str]) -> Iterator[tuple[str, str, Artifact]]:
    """Each artifact under each of its names: as it is said, and as a path."""
    for artifact in artifacts:
        for tag in artifact.tags:
            yield f"{artifact.repository}:{tag}", f"{artifact.repository}@{tag}", artifact
        if not artifact.tags and artifact.digest not in children:
            flat = artifact.digest.replace(":", "-")
            yield f"{artifact.repository}@{artifact.digest}", f"{artifact.repository}@{flat}", artifact


class _Forms:
    def __init__(self, blobs: Path, to: Path) -> None:
        self._blobs, self._to = blobs, to
        self.written = Written([], [], [])
        self._left_out: set[Digest] = set()
        """Manifests that records say were left out of indexes, on purpose; known once `children` was asked."""

    def children(self, artifacts: Sequence[Artifact]) -> set[str]:
        """The digests that indexes among `artifacts` name."""
        found: set[str] = set()
        for artifact in artifacts:
            try:
                manifest = self._manifest(Descriptor(artifact.mediaType, Digest.parse(artifact.digest), 0))
            except _MissingError:
                continue
            found.update(str(child.digest) for child in manifest.manifests)
            self._left_out |= left_out_by(manifest.artifact_type, manifest.annotations).keys()
        return found

    def write_dir(self, name: str, path: str, root: Descriptor) -> None:
        """A folder that skopeo reads as `dir:`; a platform's manifest is `<hex>.manifest.json`."""
        del name
        places = {"manifest.json": root.digest}
        for descriptor, manifest in self._reached(root):
            if descriptor.digest != root.digest:
                places[f"{descriptor.digest.hex}.manifest.json"] = descriptor.digest
            for blob in self._blobs_of(manifest):
                places[blob.hex] = blob
        for digest in places.values():
            self._require(digest)
        folder = self._to / path
        folder.mkdir(parents=True)
        (folder / "version").write_bytes(_DIR_VERSION)
        for place, digest in places.items():
            self._link(self._blobs / digest.path, folder / place)
        self.written.files.append(path)

    def write_archives(self, name: str, path: str, root: Descriptor) -> None:
        """An archive for an image, and for an index one for each of its images, with the platform in its name."""
        images: list[tuple[Descriptor, Manifest]] = []
        others: list[tuple[Descriptor, str]] = []
        is_index = False
        for descriptor, manifest in self._reached(root):
            if manifest.is_index:
                is_index = True
            elif (kind := kind_of_manifest(manifest)) == "image" and is_runnable(manifest):
                images.append((descriptor, manifest))
            else:
                others.append((descriptor, kind))
        if not images:
            self.written.left_out.append((name, _no_archive(others[0][1] if others else "index")))
        elif is_index:
            self.written.left_out.extend((f"{name}@{one.digest}", _no_archive(kind)) for one, kind in others)
        taken: set[str] = set()
        for descriptor, manifest in images:
            end = ""
            if is_index:
                platform = self._platform(descriptor, manifest)
                end = f"@{platform}" if platform and platform not in taken else f"@{descriptor.digest.hex}"
                taken.add(platform)
            reason = self._write_archive(name, f"{path}{end}.tar", manifest)
            if reason:
                self.written.left_out.append((f"{name}{end}", reason))

    def _write_archive(self, name: str, path: str, manifest: Manifest) -> str:
        """Write one image as `docker save` does; the reason where it cannot be one."""
        config = manifest.config
        assert config is not None  # noqa: S101  is_runnable
        lacking = [layer for layer in manifest.layers if not (self._blobs / layer.digest.path).exists()]
        if any(layer in manifest.blobs for layer in lacking):
            raise _MissingError
        if lacking:
            return f"the bundle does not carry its layer {lacking[0].digest}"
        self._require(config.digest)
        raw = self._small(config.digest)
        if self._count_diffs(raw) != len(manifest.layers):
            return "its configuration does not describe its layers"
        layers = [f"{layer.digest.hex}.tar" for layer in manifest.layers]
        tags = [] if "@" in name else [name]
        listed = [{"Config": f"{config.digest.hex}.json", "RepoTags": tags, "Layers": layers}]
        target = self._to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(target, "x", format=tarfile.GNU_FORMAT) as tar:
            _add(tar, f"{config.digest.hex}.json", len(raw), io.BytesIO(raw))
            for digest in dict.fromkeys(layer.digest for layer in manifest.layers):
                blob = self._blobs / digest.path
                _add(tar, f"{digest.hex}.tar", blob.stat().st_size, blob.open("rb"))
            document = strict_json.canonical(listed)
            _add(tar, "manifest.json", len(document), io.BytesIO(document))
        self.written.files.append(path)
        return ""

    def _reached(self, root: Descriptor) -> Iterator[tuple[Descriptor, Manifest]]:
        """The manifest and, of an index, everything below it, each digest once."""
        seen: set[Digest] = set()
        waiting = [root]
        while waiting:
            descriptor = waiting.pop(0)
            if descriptor.digest in seen:
                continue
            seen.add(descriptor.digest)
            manifest = self._manifest(descriptor)
            yield descriptor, manifest
            waiting += [
                child for child in manifest.manifests
                if child.media_type in MANIFEST_TYPES and not self._is_left_out(child.digest)
            ]  # fmt: skip

    def _is_left_out(self, digest: Digest) -> bool:
        return digest in self._left_out and not (self._blobs / digest.path).exists()

    def _blobs_of(self, manifest: Manifest) -> Iterator[Digest]:
        """What a manifest names that is no manifest: all that must be there, and what is there of the rest."""
        yield from (blob.digest for blob in manifest.blobs)
        others = [*manifest.layers, *(child for child in manifest.manifests if child.media_type not in MANIFEST_TYPES)]
        yield from (blob.digest for blob in others if (self._blobs / blob.digest.path).exists())

    def _manifest(self, descriptor: Descriptor) -> Manifest:
        return parse_manifest(self._small(descriptor.digest), descriptor.media_type)

    def _small(self, digest: Digest) -> bytes:
        self._require(digest)
        with (self._blobs / digest.path).open("rb") as file:
            return file.read(limits.OCI_MANIFEST + 1)

    def _require(self, digest: Digest) -> None:
        if not (self._blobs / digest.path).exists():
            raise _MissingError

    def _platform(self, descriptor: Descriptor, manifest: Manifest) -> str:
        """An image's platform as a part of a file's name; "" where nothing says it."""
        platform = descriptor.platform
        if platform is None and manifest.config is not None:
            try:
                platform = Platform.from_json(_load(self._small(manifest.config.digest)))
            except MalformedError:
                return ""
        return str(platform or "").replace("/", "-")

    @staticmethod
    def _count_diffs(config: bytes) -> int:
        """How many layers an image's configuration describes (image specification, config.md); -1 where it is none."""
        try:
            document = _load(config)
        except MalformedError:
            return -1
        rootfs = document.get("rootfs") if isinstance(document, dict) else None
        diffs = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        return len(diffs) if isinstance(diffs, list) else -1

    @staticmethod
    def _link(blob: Path, place: Path) -> None:
        """Give a blob a further name; a copy where the file system has no hard links or no more of them."""
        try:
            os.link(blob, place)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(blob, place)


def _no_archive(kind: str) -> str:
    """Why an artifact of a kind is in no Docker archive."""
    return f"{_WORDS.get(kind, kind)}, no image: no archive holds it, the other forms do"


def _load(raw: bytes) -> object:
    loaded: object = strict_json.loads(
        raw, ceiling=limits.OCI_MANIFEST, nodes=_CONFIG_NODES, what="config", floats=True
    )
    return loaded


def _add(tar: tarfile.TarFile, name: str, size: int, file: IO[bytes]) -> None:
    """Add a file, which is closed."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    with file:
        tar.addfile(member, file)
