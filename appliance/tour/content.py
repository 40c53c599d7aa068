"""Real content for the tour: this machine's own Python, packed as OCI images into a layout.

The bytes are deterministic (sorted names, one time, one owner), so that running the tour twice builds the same images.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, BinaryIO, Final

from bundles import limits
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
EPOCH: Final = "2026-01-01T00:00:00Z"
_EPOCH_SECONDS: Final = 1_767_225_600
_SKIPPED: Final = frozenset(
    {"__pycache__", "test", "tests", "idle_test", "site-packages", "config-3.11-x86_64-linux-gnu"}
)
_STDLIB: Final = "usr/local/lib/python3"
_SITE: Final = "usr/local/lib/python3/site-packages"


def pack(layout: Path) -> list[str]:
    """Write an OCI layout with an image `tools/python:local` and a two-platform index `tools/wheels:local`.

    Returns the names that index.json gives them, in the form `repository:tag`.
    """
    writer = _Layout(layout)
    stdlib = writer.layer(_files(Path(sysconfig.get_paths()["stdlib"]), _STDLIB))
    site = writer.layer(_files(Path(sysconfig.get_paths()["purelib"]), _SITE, skip=frozenset({"__pycache__"})))
    pure = writer.layer(_pure_distributions())
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    python = writer.image([stdlib, site], "amd64", {"org.opencontainers.image.version": version})
    wheels = writer.index([("amd64", writer.image([pure], "amd64", {})), ("arm64", writer.image([pure], "arm64", {}))])
    return writer.finish({"tools/python:local": python, "tools/wheels:local": wheels})


def _files(root: Path, prefix: str, skip: frozenset[str] = _SKIPPED) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and not skip.intersection(relative.parts):
            yield f"{prefix}/{relative.as_posix()}", path


def _pure_distributions() -> Iterator[tuple[str, Path]]:
    """The installed distributions without compiled code: the same files serve both platforms."""
    named: dict[str, Path] = {}
    for distribution in distributions():
        listed = [file for file in distribution.files or [] if file.suffix != ".pyc" and ".." not in file.parts]
        if any(file.suffix == ".so" for file in listed):
            continue
        for file in listed:
            path = Path(str(file.locate()))
            if path.is_file():
                named[f"{_SITE}/{file.as_posix()}"] = path
    yield from sorted(named.items())


class _HashingFile(io.RawIOBase):
    """Passes writes on and hashes them."""

    def __init__(self, out: BinaryIO | gzip.GzipFile) -> None:
        self.out, self.hasher, self.size = out, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hasher.update(data)
        self.size += len(data)
        self.out.write(data)
        return len(data)


class _Layout:
    """An OCI image layout being written (image specification, image-layout.md)."""

    def __init__(self, root: Path) -> None:
        self.root, self.blobs = root, root / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def blob(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = Digest.of(data)
        (self.blobs / digest.hex).write_bytes(data)
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}

    def document(self, media_type: str, document: dict[str, Any]) -> dict[str, Any]:
        return self.blob(media_type, json.dumps(document, separators=(",", ":")).encode())

    def layer(self, files: Iterable[tuple[str, Path]]) -> tuple[dict[str, Any], str]:
        """A gzip layer of the files. Returns its descriptor and its diff id (config.md, rootfs)."""
        partial = self.root / "layer.part"
        with partial.open("wb") as out:
            packed = _HashingFile(out)
            with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=1, mtime=0) as squeezed:
                plain = _HashingFile(squeezed)
                with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT, bufsize=limits.CHUNK) as archive:
                    for name, path in files:
                        self._add(archive, name, path)
        partial.rename(self.blobs / packed.hasher.hexdigest())
        descriptor = {"mediaType": LAYER, "digest": f"sha256:{packed.hasher.hexdigest()}", "size": packed.size}
        return descriptor, f"sha256:{plain.hasher.hexdigest()}"

    @staticmethod
    def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
        with path.open("rb") as file:
            entry = archive.gettarinfo(arcname=name, fileobj=file)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = _EPOCH_SECONDS
            entry.mode = 0o644
            if entry.isreg():
                archive.addfile(entry, file)

    def image(
        self, layers: list[tuple[dict[str, Any], str]], architecture: str, labels: dict[str, str]
    ) -> dict[str, Any]:
        config = self.document(
            OCI_CONFIG,
            {
                "created": EPOCH,
                "architecture": architecture,
                "os": "linux",
                "config": {"Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
                "history": [{"created": EPOCH, "created_by": "lockgate demo"} for _ in layers],
            },
        )
        return self.document(
            OCI_MANIFEST,
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": config,
                "layers": [descriptor for descriptor, _ in layers],
                "annotations": labels,
            },
        )

    def index(self, images: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        children = [{**image, "platform": {"os": "linux", "architecture": arch}} for arch, image in images]
        return self.document(OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})

    def finish(self, named: dict[str, dict[str, Any]]) -> list[str]:
        children = [
            {**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}}
            for name, descriptor in named.items()
        ]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        (self.root / "index.json").write_text(json.dumps(index))
        (self.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return list(named)
