"""OCI image layouts: a folder read safely, and the small files of one (image specification, image-layout.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

from bundles import limits
from bundles.errors import MalformedError, NotFoundError, RefusedError, UsageError
from bundles.format.manifest import Artifact
from bundles.io import strict_json
from bundles.io.files import open_regular, read_small
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX

LAYOUT_FILE: Final = "oci-layout"
INDEX: Final = "index.json"
LAYOUT_VERSION: Final = "1.0.0"
LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME: Final = "org.opencontainers.image.ref.name"
CONTAINERD_NAME: Final = "io.containerd.image.name"
"""The whole name of an image, where REF_NAME is its tag alone: `docker save` and containerd write it."""


def index_bytes(artifacts: Sequence[Artifact]) -> bytes:
    """index.json of a layout that holds `artifacts`: an entry a tag, named `repository:tag`, and one for each artifact
    that has none. Canonical JSON, so that the same artifacts give the same bytes."""
    manifests = []
    for artifact in sorted(artifacts, key=lambda entry: (entry.repository, entry.digest)):
        entry = {"mediaType": artifact.mediaType, "digest": artifact.digest, "size": artifact.size}
        names = [f"{artifact.repository}:{tag}" for tag in artifact.tags]
        manifests += [{**entry, "annotations": {REF_NAME: name}} for name in names] or [entry]
    return strict_json.canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})


class Layout:
    """An OCI image layout, wherever its files are. Their names come from validated digests alone."""

    form: ClassVar[str] = "oci"
    """What stands before its path in a source of `collect`."""

    def __init__(self, shown: Path) -> None:
        """`shown` names it for people. Raises MalformedError where it is one of another version."""
        self.root = shown
        document = self._load(LAYOUT_FILE, limits.OCI_MANIFEST, limits.OCI_MANIFEST_NODES)
        version = document.get("imageLayoutVersion") if isinstance(document, dict) else None
        if version != LAYOUT_VERSION:
            raise MalformedError(
                "an OCI image layout of another version",
                thing=f"{shown}: {version!r}"[:160],
                remedy=f"{LAYOUT_VERSION} is read",
            )

    def read_small(self, name: str, ceiling: int) -> bytes:
        """A file's bytes, at most `ceiling`. Raises a LockgateError that names it."""
        raise NotImplementedError

    def open_file(self, name: str) -> BinaryIO | None:
        """A file to be read, None where there is none. Raises RefusedError for what is no regular file."""
        raise NotImplementedError

    def _load(self, name: str, ceiling: int, nodes: int) -> Any:
        return strict_json.loads(self.read_small(name, ceiling), ceiling=ceiling, nodes=nodes, what=name, floats=True)

    def entries(self) -> list[tuple[str | None, Descriptor]]:
        """The manifests that index.json lists, each with its name or None. Raises MalformedError."""
        document = self._load(INDEX, limits.LAYOUT_INDEX, limits.LAYOUT_INDEX_NODES)
        if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
            raise MalformedError("index.json lists no manifests", thing=str(self.root))
        found = [Descriptor.from_json(entry, "index.json entry") for entry in document["manifests"]]
        return [(descriptor.annotations.get(REF_NAME), descriptor) for descriptor in found]

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob's bytes, not yet checked. Raises NotFoundError, or RefusedError for what is no regular file."""
        file = self.open_file(f"blobs/{digest.path}")
        if file is None:
            raise NotFoundError(
                "the layout lacks a blob", thing=str(digest), remedy=f"make the layout {self.root} again"
            )
        return file

    def read_manifest(self, descriptor: Descriptor) -> bytes:
        """A manifest's bytes, checked against its descriptor. Raises RefusedError."""
        with self.open_blob(descriptor.digest) as file:
            raw = file.read(limits.OCI_MANIFEST + 1)
        if len(raw) != descriptor.size or Digest.of(raw, descriptor.digest.algorithm) != descriptor.digest:
            raise RefusedError("a manifest is not what its descriptor says", thing=str(descriptor.digest))
        return raw

    def close(self) -> None:
        """Let go of what is open."""


class LayoutFolder(Layout):
    """An OCI image layout on disk. Links are not followed."""

    def __init__(self, root: Path) -> None:
        """Raises UsageError where `root` is no layout, MalformedError where it is one of another version."""
        if not (root / LAYOUT_FILE).is_file() or not (root / INDEX).is_file():
            raise UsageError(
                "not an OCI image layout", thing=str(root), remedy="it must hold oci-layout and index.json"
            )
        super().__init__(root)

    def read_small(self, name: str, ceiling: int) -> bytes:
        """As Layout.read_small."""
        return read_small(self.root / name, ceiling)

    def open_file(self, name: str) -> BinaryIO | None:
        """As Layout.open_file."""
        path = self.root / name
        return os.fdopen(open_regular(path), "rb") if path.exists() else None
