"""A bundle whose bytes are fixed: its small files, kept in its job's folder until its media are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from bundles import limits
from bundles.build import Signed
from bundles.format import manifest_codec, sums
from bundles.format.manifest import BundleManifest
from bundles.io.files import read_small, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.signature_files import by_key, files_of, parse_name

_MEDIA: Final = "media.json"


@dataclass(frozen=True, slots=True)
class SealedBundle:
    """What was fixed, in `folder`; `on_own_disk` says of each medium, by path, whether it was on the station's disk."""

    folder: Path
    bundle: Signed
    on_own_disk: Mapping[str, bool]

    @property
    def manifest(self) -> BundleManifest:
        return self.bundle.manifest

    @property
    def digest(self) -> Digest:
        """The bundle's: the sha256 of its SHA256SUMS."""
        return Digest.of(self.bundle.sums)

    @property
    def size(self) -> int:
        """Bytes of all volumes."""
        return sum(volume.size for volume in self.manifest.volumes)

    @property
    def signed_by(self) -> list[str]:
        """The key ids whose signatures are there."""
        return sorted(by_key(self.bundle.signatures, sums.NAME))

    @classmethod
    def load(cls, folder: Path) -> SealedBundle | None:
        """What an earlier run fixed in `folder`, or None where it did not come so far."""
        if not (folder / sums.NAME).exists():
            return None
        raw = read_small(folder / sums.MANIFEST, limits.BUNDLE_MANIFEST)
        bundle = Signed(
            manifest=manifest_codec.decode(raw),
            manifest_bytes=raw,
            readme=read_small(folder / sums.README, limits.README_FILE),
            sums=read_small(folder / sums.NAME, limits.SUMS_FILE),
            signatures={path.name: read_small(path, limits.SIGNATURE_FILE) for path in _signature_paths(folder)},
        )
        media = msgspec.json.decode(read_small(folder / _MEDIA, limits.MIB), type=dict[str, bool])
        return cls(folder, bundle, media)

    def save(self) -> None:
        """Keep it; SHA256SUMS comes last, so that what is there is whole."""
        for name in (sums.NAME, *(path.name for path in _signature_paths(self.folder))):
            (self.folder / name).unlink(missing_ok=True)  # of a number that was voided meanwhile
        write_atomic(self.folder / _MEDIA, msgspec.json.encode(dict(self.on_own_disk)))
        write_atomic(self.folder / sums.MANIFEST, self.bundle.manifest_bytes)
        write_atomic(self.folder / sums.README, self.bundle.readme)
        write_atomic(self.folder / sums.NAME, self.bundle.sums)

    def with_signature(self, keyid: str, signature: bytes) -> SealedBundle:
        """The same with a signature more, kept."""
        files = files_of(sums.NAME, keyid, signature)
        for name, data in files.items():
            write_atomic(self.folder / name, data)
        return replace(self, bundle=replace(self.bundle, signatures={**self.bundle.signatures, **files}))


def _signature_paths(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if parse_name(path.name, sums.NAME)]
