"""The blobs of a station whose database is made again: read from their files, and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from os import scandir
from typing import Final

from appliance import clock
from appliance.outgoing.collect.collector import manifest_row
from appliance.paths import StationPaths
from appliance.store.arriving import Tally
from appliance.store.blobs import BlobStore
from appliance.store.ports import Connection
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.outgoing import RecordBlobs
from appliance.store.writes.rebuild import held_blobs
from appliance.store.writes.write import Guarded
from bundles import limits
from bundles.errors import FailedError, LockgateError, MalformedError
from bundles.io.files import failures_named
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.manifest import Manifest, parse_manifest

Progress = Callable[[str, int, int], object]
"""Is told a phase, the bytes that are done and those in all."""

_CHUNK: Final = limits.MIB
_PAUSES: Final = (0.1, 0.5)
"""Seconds before a blob is read again that could not be read."""
_BATCH: Final = 200
"""Blobs that are recorded at a time: so many are read again after a kill."""


class BlobFiles:
    """The blobs by their files. `held`: size and CRC-32 of those that are whole; `rotten`: sizes of those whose bytes
    are not their digest's; `unread`: those that the disk did not give, or that are no files. Full after `read`."""

    def __init__(
        self, paths: StationPaths, db: Connection, writer: Guarded, cannot: list[str], progress: Progress,
        *, dry_run: bool,
    ) -> None:  # fmt: skip
        """`cannot` gets a sentence for each blob that is lost. Where `dry_run`, no file is moved."""
        self._paths, self._db, self._writer, self._cannot, self._progress = paths, db, writer, cannot, progress
        self._dry_run = dry_run
        self.held: dict[str, tuple[int, int]] = {}
        self.rotten: dict[str, int] = {}
        self.unread: set[str] = set()

    def read(self) -> None:
        """Read every blob that the file does not know yet, and record those whose bytes have their digest."""
        self.held = held_blobs(self._db)
        blobs = [(digest, size) for digest, size in self._files()]
        there = {digest for digest, _ in blobs}
        total, done, rows = sum(size for _, size in blobs), 0, list[BlobRow]()
        for digest, size in blobs:
            if self.held.get(digest, (-1, 0))[0] != size:
                try:
                    row = self._read_patiently(digest)
                except FailedError as error:
                    self._cannot.append(
                        f"blob {digest}: {error.what}; rebuild again once the disk is whole, or push it again"
                    )
                    there.discard(digest)
                    self.unread.add(digest)
                    continue
                if row is None:
                    self._cannot.append(f"blob {digest}: its bytes have another digest; push or collect it again")
                    there.discard(digest)
                    self.rotten[digest] = size
                    if not self._dry_run:
                        BlobStore(self._paths).set_aside(Digest.parse(digest))
                else:
                    rows.append(row)
                    self.held[digest] = (row.size, row.crc32)
            done += size
            self._progress("read blobs", done, total)
            if len(rows) == _BATCH:
                self._record(rows)
        self._record(rows)
        self.held = {digest: facts for digest, facts in self.held.items() if digest in there}

    def _record(self, rows: list[BlobRow]) -> None:
        self._writer.submit(RecordBlobs(blobs=tuple(rows), at=clock.now()))
        rows.clear()

    def _files(self) -> Iterator[tuple[str, int]]:
        """The blobs by their files, and their sizes. What else stands in a blob's place is said, and not opened: a pipe
        has no end."""
        for algorithm in ALGORITHMS:
            with suppress(FileNotFoundError), scandir(self._paths.blobs / algorithm) as entries:
                for entry in entries:
                    with suppress(MalformedError):
                        digest = str(Digest(algorithm, entry.name))
                        if entry.is_file(follow_symlinks=False):
                            yield digest, entry.stat(follow_symlinks=False).st_size
                        else:
                            self.unread.add(digest)
                            self._cannot.append(
                                f"blob {digest}: something that is no file is in its place; push or collect it again"
                            )

    def _read_patiently(self, digest: str) -> BlobRow | None:
        """As `_read_blob`: what a disk does not give is asked for again."""
        for pause in _PAUSES:
            try:
                return self._read_blob(digest)
            except FailedError:
                time.sleep(pause)
        return self._read_blob(digest)

    def _read_blob(self, digest: str) -> BlobRow | None:
        """The blob's facts, None where its bytes are not its own. Raises FailedError where it cannot be read."""
        wanted = Digest.parse(digest)
        tally, path = Tally(wanted.algorithm), self._paths.blob(wanted)
        with failures_named(path, "a blob cannot be read"), path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                tally.update(chunk)
        return BlobRow(digest=digest, size=tally.size, crc32=tally.crc32) if tally.digest == wanted else None

    def manifest(self, digest: str) -> Manifest | None:
        """A manifest whose bytes are held whole, None for anything else."""
        found = self.described(digest)
        return None if found is None else found[0]

    def described(self, digest: str) -> tuple[Manifest, ManifestRow] | None:
        """A manifest as `manifest`, with its row."""
        size, crc32 = self.held.get(digest, (limits.OCI_MANIFEST + 1, 0))
        if size > limits.OCI_MANIFEST:
            return None
        try:
            wanted = Digest.parse(digest)
            raw = self._paths.blob(wanted).read_bytes()
            manifest = parse_manifest(raw)
        except (LockgateError, OSError):
            return None
        if Digest.of(raw, wanted.algorithm) != wanted:
            return None
        return manifest, manifest_row(wanted, raw, manifest, crc32)
