"""What of a bundle's folder may leave by a wire: the files that the signed SHA256SUMS names, and its signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.jobs.kinds import JobContext
from appliance.known_keys import find_public_key
from appliance.sftp.carry import Wanted
from appliance.station import Station
from bundles.decide.bundle import consistent
from bundles.errors import RefusedError
from bundles.format import sums
from bundles.format.manifest import BundleManifest, volume_path
from bundles.signing.cms.verify import is_made_by
from bundles.signing.signature_files import by_key
from bundles.signing.trust import TrustFolder
from bundles.verify import DROPPINGS_REMEDY, Gathered, gather

VOLUMES: Final = "volumes"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A bundle that is to go: where its files lie, and what is signed of each."""

    manifest: BundleManifest
    volumes: tuple[tuple[Path, Wanted], ...]
    small: tuple[tuple[Path, Wanted], ...]
    sums: bytes
    missing_signers: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(wanted.size for _, wanted in (*self.volumes, *self.small))


def outgoing(context: JobContext, path: Path) -> Outgoing:
    """The bundle in a folder. Raises RefusedError where none of its signatures is by a key that this station knows, or
    one does not hold; LockgateError for what is no bundle."""
    gathered = gather([path])
    manifest = consistent(gathered.files)
    missing = _signers(context.station, gathered, manifest)
    (listing,), files = gathered.listings, gathered.files
    for dropping in gathered.droppings:
        context.log(f"not the bundle's, not sent: {dropping}; {DROPPINGS_REMEDY}")
    known = {volume_path(volume.index).removeprefix(f"{VOLUMES}/"): volume for volume in manifest.volumes}
    volumes = []
    for name, place in listing.volumes:
        if name not in known:
            raise RefusedError(
                "a file that does not belong to the bundle",
                thing=str(place),
                remedy="remove it, or cut the medium again",
            )
        volumes.append((place, Wanted(name, known[name].size, known[name].sha256)))
    contents: Mapping[str, bytes] = {sums.README: files.readme, sums.MANIFEST: files.manifest, **files.signatures}
    contents = {**contents, sums.NAME: files.sums}  # last: it makes the folder a bundle
    small = tuple((listing.small[name], _of(name, data)) for name, data in contents.items())
    return Outgoing(manifest, tuple(volumes), small, files.sums, missing)


def _of(name: str, data: bytes) -> Wanted:
    return Wanted(name, len(data), hashlib.sha256(data).hexdigest())


def _signers(station: Station, gathered: Gathered, manifest: BundleManifest) -> tuple[str, ...]:
    """Which signatures are still to come. Raises RefusedError where none is there, or one does not hold."""
    files, found = gathered.files, by_key(gathered.files.signatures, sums.NAME)
    trust = TrustFolder.load(station.paths.trust)
    for keyid, named in sorted(found.items()):
        first = named[min(named)]
        record = trust.find(keyid)
        if keyid not in manifest.signers or (record is not None and record.revoked is not None):
            raise RefusedError(
                "a signature that does not count", thing=first, remedy="remove it, or have the bundle built anew"
            )
        key = find_public_key(station.paths, keyid)
        if not is_made_by(key, files.sums, {kind: files.signatures[name] for kind, name in named.items()}):
            raise RefusedError("the signature does not hold", thing=first, remedy="have the medium cut again")
    if not found:
        raise RefusedError(
            "the bundle is not signed", thing=f"{gathered.folders[0]}/{sums.NAME}",
            remedy="sign it first: lockgate bundle sign",
        )  # fmt: skip
    return tuple(keyid for keyid in manifest.signers if keyid not in found)
