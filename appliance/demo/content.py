"""What the demo carries: small images whose bytes follow from their names, as an OCI image layout."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any, Final

from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_CREATED: Final = "2026-01-01T00:00:00Z"

FIRST: Final = ("plant/frontend:1.4.0", "plant/historian:16.2")
SECOND: Final = ("plant/frontend:1.4.1", "tools/cli:2.0")
THIRD: Final = ("plant/historian:16.3",)
"""What each of the three bundles carries."""


def write_layout(root: Path) -> None:
    """An OCI image layout (image-layout.md) with every image of the three bundles. The same bytes every time."""
    blobs = root / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(media_type: str, content: bytes) -> dict[str, Any]:
        digest = Digest.of(content)
        (blobs / digest.hex).write_bytes(content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    def document(media_type: str, content: dict[str, Any]) -> dict[str, Any]:
        return blob(media_type, json.dumps(content, separators=(",", ":")).encode())

    def image(name: str) -> dict[str, Any]:
        repository, _, version = name.partition(":")
        archives = [_archive({"etc/base-release": "NAME=base\n" * 40}), _archive(_files(repository, version))]
        layers = [blob(_LAYER, gzip.compress(archive, mtime=0)) for archive in archives]
        config = {
            "created": _CREATED, "architecture": "amd64", "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.version": version}},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(archive)) for archive in archives]},
            "history": [{"created": _CREATED, "created_by": "lockgate demo"} for _ in archives],
        }  # fmt: skip
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": document(OCI_CONFIG, config),
                    "layers": layers, "annotations": {"org.opencontainers.image.version": version}}  # fmt: skip
        return {**document(OCI_MANIFEST, manifest), "annotations": {_REF_NAME: name}}

    listed = [image(name) for name in (*FIRST, *SECOND, *THIRD)]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _files(repository: str, version: str) -> dict[str, str]:
    """An image's own files: some lines of settings, and some kilobytes that no other version has."""
    lines = "\n".join(f"{repository} {version} line {number}" for number in range(400))
    return {f"opt/{repository}/version": f"{version}\n", f"opt/{repository}/data": lines}


def _archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()
