"""Exports of advisories, and images to hold them against, made for the purpose."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.peers.stock import OCI, Layout


def record(
    name: str, package: str = "requests", fixed: str = "2.20", *, ecosystem: str = "PyPI",
    modified: str = "2024-01-01T00:00:00Z", **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    affected = [{"package": {"ecosystem": ecosystem, "name": package}, "ranges": ranges}]
    return {"id": name, "modified": modified, "affected": affected, **fields}


def zipped(path: Path, records: Iterable[Mapping[str, Any] | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, one in enumerate(records):
            raw = one if isinstance(one, bytes) else json.dumps(one).encode()
            archive.writestr(f"{number:06d}.json", raw)
    return path


def root_layer(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def image_of(layout: Layout, files: Mapping[str, str]) -> dict[str, Any]:
    """An image of one layer that holds these files."""
    from bundles.oci.digest import Digest

    layer = root_layer(files)
    config = {
        "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": layout.blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": [layout.blob(layer, f"{OCI}.layer.v1.tar")],
    }
    return layout.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")


def sbom_of(layout: Layout, subject: Mapping[str, Any], document: bytes) -> dict[str, Any]:
    """An SBOM from elsewhere that refers to an image."""
    cyclonedx = "application/vnd.cyclonedx+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "artifactType": cyclonedx,
        "config": layout.blob(b"{}", f"{OCI}.empty.v1+json") | {"mediaType": "application/vnd.oci.empty.v1+json"},
        "layers": [layout.blob(document, cyclonedx)],
        "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
    }
    return layout.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")


def cyclonedx(*purls: str) -> bytes:
    components = [
        {"type": "library", "purl": purl, "name": purl.rpartition("/")[2].partition("@")[0],
         "version": purl.partition("@")[2].partition("?")[0]}
        for purl in purls
    ]  # fmt: skip
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}).encode()


DEBIAN = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nNAME="Debian GNU/Linux"\n',
    "var/lib/dpkg/status": (
        "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.11-1\n\n"
        "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2\n\n"
    ),
}
"""The files that make a root file system Debian's."""


def dist_info(name: str, version: str) -> dict[str, str]:
    folder = f"usr/local/lib/python3.11/dist-packages/{name}-{version}.dist-info"
    return {f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
