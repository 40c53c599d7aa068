"""What the rest of the station takes from the store without knowing what is behind it (docs/adr/0037)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, Self

from bundles.oci.digest import Digest
from bundles.ports import BlobReader, BlobSink


class Blobs(BlobReader, BlobSink, Protocol):
    """The store's blobs, by digest alone: `open_blob`, `has_blob` and `begin_blob` are of `bundles.ports`. No path,
    descriptor or inode passes. Who may see a blob is the metadata's business. Each call blocks and raises FailedError
    where the disk does not answer (its kinds: appliance.store.reading, appliance.store.presence).

    What is read may be any stream: whoever needs the file behind it (docs/adr/0037) takes
    `appliance.store.blobs.BlobStore`.
    """

    def size(self, digest: Digest) -> int:
        """The blob's size in bytes. Raises NotFoundError."""
        ...

    def list_blobs(self) -> Iterator[Digest]:
        """Every blob that is held, in no order, read as the caller goes. Bytes under a name that is no digest are
        left out."""
        ...

    def remove(self, digest: Digest) -> None:
        """Remove the blob's bytes for good. Harmless where it is not held."""
        ...


class Answer(Protocol):
    """The rows that a statement found, each a tuple; read once."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def fetchmany(self, size: int = ..., /) -> list[Any]: ...

    def __iter__(self) -> Self: ...

    def __next__(self) -> Any: ...

    @property
    def rowcount(self) -> int: ...


class Value(Protocol):
    """A large value of one row, opened: its length in bytes is known before it is read."""

    def read(self, length: int = ..., /) -> bytes: ...

    def __len__(self) -> int: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> object: ...


class Reader(Protocol):
    """A connection to the metadata, as the reads in `appliance.store.reads` take it.

    Outside the store it is only handed on to them and closed: no statement stands there. A statement raises
    `appliance.store.errors.EngineError`. Not to be used by two threads at once.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Answer: ...

    def blobopen(self, table: str, column: str, row: int, /, *, readonly: bool = ...) -> Value: ...

    def set_progress_handler(self, handler: Callable[[], bool | None] | None, n: int) -> None: ...

    def close(self) -> None: ...


class Connection(Reader, Protocol):
    """The write connection, as the writes in `appliance.store.writes` take it: they run in its open transaction."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Answer: ...

    @property
    def in_transaction(self) -> bool: ...
