"""Manifest bytes by digest alone, so that a hot pull reads no file. Who may see them is asked elsewhere, every time."""

from __future__ import annotations

from collections import OrderedDict
from typing import BinaryIO, NamedTuple

from appliance.limits import registry as limits
from appliance.store.blobs import BlobStore
from appliance.store.epoch import Epoch
from appliance.store.reading import OtherBytesError, UnreadableError, Verdict
from bundles.errors import FailedError, MalformedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest


class RottedError(FailedError):
    """A manifest's file was read in full twice and has another digest; `version` says which file it was."""

    def __init__(self, digest: Digest, version: int) -> None:
        self.version = version
        super().__init__("a manifest is damaged on disk", thing=str(digest), remedy="restore it from its bundle")


class Known(NamedTuple):
    """A manifest's bytes, and the type that follows from them; "" where they are none that this version reads."""

    body: bytes
    media_type: str


def known(body: bytes) -> Known:
    """A manifest's bytes with their type. About a millisecond for a large one: asked once, when it is read."""
    try:
        return Known(body, parse_manifest(body).media_type)
    except MalformedError:
        return Known(body, "")


def _taken(kept: Known) -> int:
    return len(kept.body) + limits.MANIFEST_ENTRY


class ManifestCache:
    """The most recently read manifests, in up to `ceiling` bytes of memory. Bytes of a digest never change, so no
    entry is ever wrong; one whose links are gone is merely unused.

    They do not outlive a change of the epoch: a file that somebody withdrew as damaged is then unknown to every worker,
    and all give the same answer. Seeing the epoch takes 0.2 µs where looking at the file takes twenty times as much.
    """

    def __init__(self, blobs: BlobStore, ceiling: int, epoch: Epoch) -> None:
        self._epoch = epoch
        self._seen = epoch.seen()
        self._blobs = blobs
        self._ceiling = ceiling
        self._size = 0
        self._entries: OrderedDict[Digest, Known] = OrderedDict()

    def get(self, digest: Digest) -> Known | None:
        """The bytes, if they are at hand. About 1 µs."""
        seen = self._epoch.seen()
        if seen != self._seen:
            self._seen, self._size = seen, 0
            self._entries.clear()
        found = self._entries.get(digest)
        if found is not None:
            self._entries.move_to_end(digest)
        return found

    def add(self, digest: Digest, found: Known) -> None:
        """Keep bytes that have been checked against their digest."""
        if digest in self._entries or _taken(found) > self._ceiling:
            return
        self._entries[digest] = found
        self._size += _taken(found)
        while self._size > self._ceiling:
            _, dropped = self._entries.popitem(last=False)
            self._size -= _taken(dropped)

    def read(self, digest: Digest) -> bytes:
        """The bytes from the store, hashed again as they are read: wrong bytes are never served. Blocking.

        Raises NotFoundError where the file is gone, RottedError where it has another digest, UnreadableError.
        """
        with self._blobs.open_blob(digest) as stream:
            body = _read(stream, digest)
            if body is not None:
                return body
            if self._blobs.examine(stream, digest) is not Verdict.DAMAGED:
                with self._blobs.open_blob(digest) as again:
                    body = _read(again, digest)
            if body is None:
                raise RottedError(digest, self._blobs.version_in(stream, digest))
        return body


def _read(stream: BinaryIO, digest: Digest) -> bytes | None:
    """The bytes, None where they are not the digest's."""
    try:
        body = stream.read()
    except OSError as error:
        raise UnreadableError(digest, error) from None
    except OtherBytesError:
        return None
    return body if Digest.of(body, digest.algorithm) == digest else None
