"""A client's pull over plain HTTP, with every digest checked by the client itself."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from typing import Final

from bundles import limits
from bundles.errors import RefusedError
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.manifest import MANIFEST_TYPES, parse_manifest
from bundles.oci.reference import Reference

_TIMEOUT: Final = 30


@dataclass
class Pulled:
    """What a pull received: the digest the tag resolved to, and the size in bytes of each digest beneath it."""

    digest: Digest
    sizes: dict[Digest, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


def pull(base: str, reference: Reference) -> Pulled:
    """Pull everything `reference` reaches from the registry at `base` (`http://HOST:PORT`), hashing as it arrives.

    Raises RefusedError when the registry sends bytes that are not the digest's.
    """
    raw = _manifest(base, reference.repository, str(reference.digest or reference.tag))
    pulled = Pulled(Digest.of(raw))
    _walk(base, reference.repository, raw, pulled)
    return pulled


def _walk(base: str, repository: str, raw: bytes, pulled: Pulled) -> None:
    pulled.sizes[Digest.of(raw)] = len(raw)
    manifest = parse_manifest(raw)
    for blob in manifest.blobs:
        if blob.digest not in pulled.sizes:
            pulled.sizes[blob.digest] = _blob(base, repository, blob.digest)
    for child in manifest.manifests:
        below = _manifest(base, repository, str(child.digest))
        if Digest.of(below, child.digest.algorithm) != child.digest:
            raise RefusedError("the registry sent another manifest", thing=str(child.digest))
        _walk(base, repository, below, pulled)


def _manifest(base: str, repository: str, reference: str) -> bytes:
    request = urllib.request.Request(  # noqa: S310  the base is http on loopback
        f"{base}/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(sorted(MANIFEST_TYPES))}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        return bytes(answer.read(limits.OCI_MANIFEST + 1))


def _blob(base: str, repository: str, digest: Digest) -> int:
    hasher, size = new_hasher(digest.algorithm), 0
    with urllib.request.urlopen(f"{base}/v2/{repository}/blobs/{digest}", timeout=_TIMEOUT) as answer:  # noqa: S310
        while chunk := answer.read(limits.CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    if hasher.hexdigest() != digest.hex:
        raise RefusedError("the registry sent other bytes", thing=str(digest))
    return size
