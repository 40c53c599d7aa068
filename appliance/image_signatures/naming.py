"""Which manifests of a repository name a blob or a manifest. The metadata does not say: their bytes do.

What was read once is remembered, since a manifest's bytes never change; whether the repository shows it is asked
elsewhere, every time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from appliance.limits import image_signatures as limits
from appliance.store.ports import Blobs
from appliance.store.reads.links import newest_manifests
from appliance.store.reads.registry import Metadata
from appliance.store.writes.rows import Kind
from bundles.errors import LockgateError, MalformedError
from bundles.limits import OCI_MANIFEST
from bundles.oci.digest import Digest
from bundles.oci.manifest import IMAGE_TYPES, INDEX_TYPES, Manifest, parse_manifest

_NAMED_BY: Final = {"blob": IMAGE_TYPES, "manifest": INDEX_TYPES}


class Remembered:
    """The manifests that were seen last to name a digest, up to `limits.PULL_NAMED` digests."""

    def __init__(self) -> None:
        self._named: OrderedDict[Digest, tuple[Digest, ...]] = OrderedDict()

    def note(self, digest: Digest, manifest: Manifest) -> None:
        """Remember what a manifest of that digest names."""
        for named in named_by(manifest):
            before = self._named.pop(named, ())
            self._named[named] = (digest, *(one for one in before if one != digest))[: limits.PULL_NAMING]
        while len(self._named) > limits.PULL_NAMED:
            self._named.popitem(last=False)

    def naming(self, digest: Digest) -> tuple[Digest, ...]:
        """Manifests that name a digest, whichever repositories show them; the one that was seen last first."""
        return self._named.get(digest, ())


def named_by(manifest: Manifest) -> Iterator[Digest]:
    """What a manifest names: an index its manifests, an image its configuration and layers."""
    yield from (one.digest for one in manifest.manifests)
    yield from (one.digest for one in manifest.layers)
    if manifest.config is not None:
        yield manifest.config.digest


class TooManyError(LockgateError):
    """A repository shows more manifests than are searched for one question."""

    exit_status = 3


def naming(
    blobs: Blobs, metadata: Metadata, repository: str, digest: Digest, kind: Kind, remembered: Remembered
) -> Iterator[Digest]:
    """The manifests of a repository that name a digest as `kind`, each once: those that are remembered, and then all
    others, what was linked last first. Read only as far as the caller goes. Blocking; raises TooManyError."""
    seen = set()
    for one in remembered.naming(digest):
        facts = metadata.linked_manifest(repository, one)
        if facts is not None and facts.media_type in _NAMED_BY[kind]:
            seen.add(one)
            yield one
    text, left = str(digest).encode(), limits.PULL_SEARCHED_SIZE
    for number, (name, size) in enumerate(newest_manifests(metadata.connection, repository, _NAMED_BY[kind])):
        one = Digest.parse(name)
        if one in seen:
            continue
        left -= size
        if number >= limits.PULL_SEARCHED or left < 0:
            raise TooManyError("the repository shows too many manifests to look for those that name it")
        raw = _read(blobs, one)
        if raw is None or text not in raw:
            continue
        try:
            manifest = parse_manifest(raw)
        except MalformedError:
            continue
        if digest in named_by(manifest):
            remembered.note(one, manifest)
            yield one


def _read(blobs: Blobs, digest: Digest) -> bytes | None:
    """A manifest's bytes, None where they are not its digest's or not there: it then names nothing."""
    try:
        with blobs.open_blob(digest) as file:
            raw = file.read(OCI_MANIFEST + 1)
    except LockgateError:
        return None
    return raw if Digest.of(raw, digest.algorithm) == digest else None
