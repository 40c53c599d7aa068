"""The folder that both stations of a pair reach: pieces and blobs by their digests, and the state that names them.

```
pieces/<2 hex>/<sha256>     of files, up to limits.STANDBY_PIECE bytes
blobs/<algorithm>/<hex>
terms/<term>-<node>.json    what two people said, with their signatures beside it
state.json                  the last state; taken.json: what the stand-by has of it
```
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from appliance.limits import standby as limits
from appliance.standby.documents import State, StateFile, Taken, read, signed
from bundles.errors import RefusedError
from bundles.io.files import failures_named, open_regular, read_small, sync_folder, write_atomic
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, PublicKey

Kind = TypeVar("Kind", State, Taken)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Exchange:
    """The exchange in `folder`. Everything that is read of it is checked by who reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def require(self) -> None:
        """Raises RefusedError where the folder is not there: a share that is not mounted is not made anew."""
        if not self.folder.is_dir():
            raise RefusedError(
                "the exchange of the pair is not there", thing=str(self.folder),
                remedy="mount it, or make the folder", code="standby-exchange",
            )  # fmt: skip

    @property
    def terms(self) -> Path:
        return self.folder / "terms"

    def _piece(self, piece: str) -> Path:
        return self.folder / "pieces" / piece[:2] / piece

    def _blob(self, digest: Digest) -> Path:
        return self.folder / "blobs" / digest.algorithm / digest.hex

    def state(self, key: PublicKey, site: str) -> State | None:
        """The last state; None before the first. Raises RefusedError, FailedError."""
        return self._read("state.json", State, key, site)

    def taken(self, key: PublicKey, site: str) -> Taken | None:
        """What the stand-by said last. Raises RefusedError, FailedError."""
        return self._read("taken.json", Taken, key, site)

    def _read(self, name: str, kind: type[Kind], key: PublicKey, site: str) -> Kind | None:
        path = self.folder / name
        if not path.exists() and not path.is_symlink():
            return None
        return read(read_small(path, limits.STANDBY_STATE), kind, key, site)

    def written(self) -> int:
        """When the last state was written, by the clock of the folder's machine, in seconds. Raises OSError."""
        return int((self.folder / "state.json").stat().st_mtime)

    def write(self, document: State | Taken, key: PrivateKey) -> None:
        """Put a document in the place of the one before. Raises FailedError."""
        name = "state.json" if isinstance(document, State) else "taken.json"
        write_atomic(self.folder / name, signed(document, key), 0o600)

    def put_piece(self, data: bytes) -> str:
        """Keep a piece; its name. Raises FailedError."""
        piece = hashlib.sha256(data).hexdigest()
        path = self._piece(piece)
        with failures_named(path, "the exchange cannot be written"):
            if not path.is_file() or path.stat().st_size != len(data):
                self._make(path.parent)
                write_atomic(path, data, 0o600)
        return piece

    def piece(self, piece: str) -> bytes:
        """A piece's bytes, held against its name. Raises RefusedError, FailedError."""
        path = self._piece(piece)
        if not path.is_file():
            raise incomplete(f"piece {piece[:16]}")
        data = read_small(path, limits.STANDBY_PIECE)
        if hashlib.sha256(data).hexdigest() != piece:
            raise damaged(str(path))
        return data

    def sweep(self, states: list[State]) -> None:
        """Take away the pieces that none of these states names. Raises FailedError."""
        wanted = {piece for state in states for one in state.files for piece in one.pieces}
        with failures_named(self.folder, "the exchange cannot be written"):
            for number in range(256):
                folder = self.folder / "pieces" / f"{number:02x}"
                if folder.is_dir():
                    self._sweep(folder, wanted)

    def _sweep(self, folder: Path, wanted: set[str]) -> None:
        """By the folder's descriptor: what is put in its place meanwhile is not swept. Raises OSError."""
        descriptor = self._open(folder)
        try:
            with os.scandir(descriptor) as entries:
                names = [entry.name for entry in entries]
            for name in names:
                if name not in wanted:
                    os.unlink(name, dir_fd=descriptor)
        finally:
            os.close(descriptor)

    def _open(self, folder: Path) -> int:
        """A descriptor of a folder below the exchange, through no link: who else writes there may lay one to the
        station's own store. Raises OSError, RefusedError."""
        descriptor = os.open(self.folder, _FOLDER)
        for name in folder.relative_to(self.folder).parts:
            above = descriptor
            try:
                descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise RefusedError(
                        "the exchange has a link or a file where a folder of it belongs", thing=str(folder),
                        remedy="take it away, and see who writes there", code="standby-link",
                    ) from None  # fmt: skip
                raise
            finally:
                os.close(above)
        return descriptor

    def _make(self, folder: Path) -> None:
        """Make a folder below the exchange; what is there must be one. Raises OSError, RefusedError."""
        made = self.folder
        for name in folder.relative_to(self.folder).parts:
            made = made / name
            if not made.is_symlink():
                made.mkdir(mode=0o700, exist_ok=True)
        os.close(self._open(folder))

    def has_blob(self, digest: Digest, size: int) -> bool:
        """Whether a blob lies here, by its name and size alone. Raises FailedError."""
        path = self._blob(digest)
        with failures_named(path, "the exchange cannot be read"):
            return path.is_file() and path.stat().st_size == size

    def put_blob(self, digest: Digest, pieces: Iterator[bytes]) -> None:
        """Keep a blob under its name, once it is whole. Raises FailedError."""
        path = self._blob(digest)
        partial = path.with_name(f".{digest.hex}.{secrets.token_hex(8)}.part")
        with failures_named(path, "the exchange cannot be written"):
            self._make(path.parent)
            try:
                with partial.open("xb") as file:
                    partial.chmod(0o600)
                    for data in pieces:
                        file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(path)
            finally:
                partial.unlink(missing_ok=True)
            sync_folder(path.parent)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A blob's bytes, unchecked. Raises RefusedError, FailedError."""
        path = self._blob(digest)
        if not path.is_file():
            raise incomplete(str(digest))
        return os.fdopen(open_regular(path), "rb")


def pieces_of(path: Path, size: int, start: int = 0) -> Iterator[bytes]:
    """The first `size` bytes of a file from `start` on, in pieces. Raises FailedError."""
    left = size - start
    with os.fdopen(open_regular(path), "rb") as file, failures_named(path, "cannot be read"):
        file.seek(start)
        while left > 0:
            data = file.read(min(limits.STANDBY_PIECE, left))
            if not data:
                return
            left -= len(data)
            yield data


def blob_bytes(file: BinaryIO) -> Iterator[bytes]:
    """What an open file holds."""
    while data := file.read(limits.STANDBY_PIECE):
        yield data


def assemble(exchange: Exchange, one: StateFile, target: Path, before: dict[str, tuple[Path, int]]) -> None:
    """Write a file of a state, of the pieces that `before` has (piece: file and offset) and those of the exchange. Each
    is held against its name. Raises RefusedError, FailedError."""
    left = one.size
    with failures_named(target, "a state cannot be written"):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("xb") as file:
            target.chmod(0o600)
            for piece in one.pieces:
                data = _local(piece, before) or exchange.piece(piece)
                if len(data) != min(limits.STANDBY_PIECE, left):
                    raise damaged(one.path)
                left -= len(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())


def _local(piece: str, before: dict[str, tuple[Path, int]]) -> bytes:
    """A piece of the state before; b"" where it does not have it."""
    if piece not in before:
        return b""
    path, offset = before[piece]
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(limits.STANDBY_PIECE)
    return data if hashlib.sha256(data).hexdigest() == piece else b""


def incomplete(thing: str) -> RefusedError:
    """The refusal of a state of which something is not in the exchange."""
    return RefusedError(
        "a state of the primary is not whole in the exchange", thing=thing,
        remedy="it is looked at again; at the primary, see: lockgate replica status", code="standby-incomplete",
    )  # fmt: skip


def damaged(thing: str) -> RefusedError:
    """The refusal of bytes that are not their name's."""
    return RefusedError(
        "bytes in the exchange are not what their name says", thing=thing,
        remedy="take the file away: the primary writes it again; see who writes there", code="standby-damaged",
    )  # fmt: skip
