"""A small real bundle for tests: an in-memory store, keys, and the build's own steps."""

from __future__ import annotations

import io
import sys
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from bundles import build
from bundles.errors import NotFoundError
from bundles.format import manifest_codec, readme
from bundles.format.manifest import FORMAT_MAJOR, FORMAT_MINOR, TYPE, Artifact, BundleManifest, Format, Tool, bundle_id
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.kinds import FILE_TYPE
from bundles.oci.manifest import OCI_EMPTY, OCI_MANIFEST
from bundles.ports import no_progress
from bundles.signing.keys import PrivateKey, create_private
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder

NOW = "2026-06-01T12:00:00Z"
LATER = "2026-06-02T12:00:00Z"


def counting(numbers: int) -> bytes:
    """The numbers from 0 on, each as four bytes, big-endian: content in which no block repeats."""
    made = array("I", range(numbers))
    if sys.byteorder == "little":
        made.byteswap()
    return made.tobytes()


_BIG: Final = counting(750_000)


class MemoryStore:
    """A BlobSource over a dict."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def add(self, data: bytes, algorithm: str = "sha256") -> Digest:
        digest = Digest.of(data, algorithm)
        self.blobs[digest] = data
        return digest

    def open_blob(self, digest: Digest) -> BinaryIO:
        if digest not in self.blobs:
            raise NotFoundError("no such blob", thing=str(digest))
        return io.BytesIO(self.blobs[digest])

    def crc32(self, digest: Digest) -> int:
        return zlib.crc32(self.blobs[digest])


def file_artifact(store: MemoryStore, data: bytes, repository: str = "files/thing", tag: str = "1") -> Artifact:
    """A file as an OCI artifact in the store."""
    layer = store.add(data)
    empty = store.add(b"{}")
    raw = canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": FILE_TYPE,
            "config": {"mediaType": OCI_EMPTY, "digest": str(empty), "size": 2},
            "layers": [{"mediaType": "application/octet-stream", "digest": str(layer), "size": len(data)}],
        }
    )
    digest = store.add(raw)
    return Artifact(
        repository=repository, digest=str(digest), mediaType=OCI_MANIFEST, kind="file", size=len(raw), tags=[tag]
    )


def content_of(store: MemoryStore, artifacts: Sequence[Artifact]) -> build.Content:
    """Everything the store holds, in the order it came."""
    ordered = sorted(artifacts, key=lambda artifact: (artifact.repository, artifact.digest))
    return build.Content(ordered, [(digest, len(data)) for digest, data in store.blobs.items()])


def manifest_of(
    content: build.Content, laid_out: build.LaidOut, signers: Sequence[str], *, sequence: int = 1, **changes: object
) -> BundleManifest:
    """The manifest of alpha.bravo's bundle `sequence`, with fields replaced by `changes`."""
    fields: dict[str, object] = {
        "type": TYPE,
        "format": Format(major=FORMAT_MAJOR, minor=FORMAT_MINOR),
        "crit": [],
        "extensions": {},
        "stream": "alpha.bravo",
        "sequence": sequence,
        "previous": None,
        "voided": [],
        "created": NOW,
        "not_after": "2026-12-01T00:00:00Z",
        "purpose": "",
        "authorisation": "",
        "classification": "",
        "signers": sorted(signers),
        "artifacts": list(content.artifacts),
        "blobs": laid_out.blobs,
        "requires": list(content.requires),
        "volumes": laid_out.volumes,
        "sboms": [],
        "signatures": [],
        "attestations": [],
        "tool": Tool(name="lockgate", version="test"),
    }
    fields |= changes
    fields.setdefault("id", bundle_id(str(fields["stream"]), sequence))
    return BundleManifest(**fields)  # type: ignore[arg-type]


class SmallBundle:
    """Four file artifacts, one empty and one larger than a volume, signed by one key, on as many media as asked."""

    def __init__(
        self, root: Path, *, media: int = 1, volume: int = 1_200_000, sequence: int = 1, **changes: object
    ) -> None:
        self.store = MemoryStore()
        self.artifacts = [
            file_artifact(self.store, b"hello across the gap\n"),
            file_artifact(self.store, b"HELLO ACROSS THE GAP\n", "files/twin"),
            file_artifact(self.store, b"", "files/empty"),
            file_artifact(self.store, _BIG, "files/big"),
        ]
        self.key = create_private()
        self.content = content_of(self.store, self.artifacts)
        packing = build.plan_volumes(self.content, volume, [None] if media == 1 else [3_000_000] * media)
        self.laid_out = build.lay_out(self.content, packing, self.store, no_progress)
        keyid = self.key.public.keyid
        self.manifest = manifest_of(self.content, self.laid_out, [keyid], sequence=sequence, **changes)
        self.signed = sign(self.manifest, [self.key])
        self.out = [root / f"medium{number}" for number in range(1, media + 1)]
        for folder in self.out:
            folder.mkdir(parents=True)
        self.folders = build.write(self.signed, self.store, self.out, no_progress)

    @property
    def folder(self) -> Path:
        return self.folders[0]


def sign(manifest: BundleManifest, keys: Sequence[PrivateKey], raw: bytes | None = None) -> build.Signed:
    """The small files of a bundle, signed; `raw` stands in for the manifest's own bytes."""
    data = manifest_codec.encode(manifest) if raw is None else raw
    text = readme.render(manifest, {key.public.keyid: key.public.algorithm for key in keys})
    sums = build.sums_of(manifest, data, text)
    signatures = {f"SHA256SUMS.{key.public.keyid}.sig": key.sign(sums) for key in keys}
    return build.Signed(manifest, data, text, sums, signatures)


def trust_of(root: Path, *keys: PrivateKey, site: str = "bravo", source: str = "alpha") -> TrustFolder:
    """A trust folder of `site` that pins `keys` for bundles from `source`."""
    init_trust(root, site)
    for key in keys:
        trust_key(root, key.public, purpose="bundle", owner="Engineering", sites=[source])
    return TrustFolder.load(root)
