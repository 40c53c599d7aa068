"""Requests to one bucket. The only module that imports obstore, and knows what its errors say.

What is sent again is the library's business (`limits.S3_RETRIES`): a request that cannot be done twice is not. Whether
a PUT was done whose answer was lost is found out by reading (`appliance.store.s3.blobs`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, UnknownConfigurationKeyError
from obstore.store import S3Store

from appliance.limits import store as limits
from appliance.store.s3.faults import S3Error, fault, is_no_object
from appliance.store.s3.place import S3Credentials, S3Place
from bundles.errors import FailedError, UsageError
from bundles.limits import MIB

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Config

_PAGE: Final = 1000
"""Keys of one answer of a listing: S3's own ceiling."""
_FOR_EVER: Final = timedelta(days=1)
_ENVIRONMENT: Final = "AWS_"


class _Forked:
    """The library's threads do not survive a fork: a child of a process that had them would wait without end."""

    used = False
    lost = False

    @classmethod
    def look(cls) -> None:
        if cls.lost:
            raise FailedError("a bucket was used before this process was forked", remedy="start the station again")
        cls.used = True

    @classmethod
    def after_fork(cls) -> None:
        cls.lost = cls.used


os.register_at_fork(after_in_child=_Forked.after_fork)


@dataclass(frozen=True, slots=True)
class Opened:
    """An object that is being read: its bytes as they come, how many the whole object has, and which version it is."""

    pieces: Iterator[bytes]
    size: int
    version: str
    put: str = ""
    """When it was put, as the server says."""


class Bucket:
    """A station's part of a bucket; keys are below its prefix. Safe for threads, not across a fork.

    Every call blocks and raises `S3Error` of `appliance.store.s3.faults`, or `S3FullError`.
    """

    def __init__(self, place: S3Place, credentials: S3Credentials) -> None:
        _refuse_environment()
        self.place = place
        self._credentials = credentials
        self._store = self._made(_FOR_EVER, timedelta(seconds=limits.S3_READING))
        self._putting: dict[int, S3Store] = {}

    def size(self, key: str) -> int | None:
        """An object's size in bytes; None as `look`."""
        found = self.look(key)
        return None if found is None else found.size

    def look(self, key: str) -> Opened | None:
        """What an object is, without its bytes; None where the server says that there is none, which may have another
        reason: no text comes with this answer (`appliance.store.s3.blobs` asks for the mark then)."""
        with self._named(f"looking for {key}"):
            try:
                found = obstore.head(self._store, key)
            except FileNotFoundError:
                return None
            return Opened(iter(()), int(found["size"]), str(found["e_tag"] or ""), found["last_modified"].isoformat())

    def open(self, key: str, start: int = 0, version: str = "") -> Opened | None:
        """An object's bytes from `start` on, of the version named; None as `size`. Raises S3Error where it has another
        version now. Its pieces raise S3Error where the server breaks off."""
        options: GetOptions = {}
        if start:
            options["range"] = {"offset": start}
        if version:
            options["if_match"] = version
        what = f"reading {key}"
        with self._named(what):
            try:
                found = obstore.get(self._store, key, options=options)
            except FileNotFoundError as error:
                if is_no_object(str(error)):
                    return None
                raise
            meta = found.meta
            put = meta["last_modified"].isoformat()
            return Opened(self._pieces(found, what), int(meta["size"]), str(meta["e_tag"] or ""), put)

    def read_note(self, key: str) -> bytes | None:
        """A small object; None as `size`. No more than its first `limits.S3_NOTE` bytes."""
        opened = self.open(key)
        return None if opened is None else next(opened.pieces, b"")[: limits.S3_NOTE]

    def put_new(self, key: str, data: bytes | memoryview, size: int) -> bool:
        """Make an object of `size` bytes; False where there is one of this key, which is left as it is. The data stays
        as it is until this returns, and is not copied. After S3LostError it may be there."""
        with self._named(f"writing {key}"):
            try:
                obstore.put(self._store_for(size), key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def put_over(self, key: str, data: bytes | memoryview, size: int) -> None:
        """Make an object, in place of the one that may be there; otherwise as `put_new`."""
        with self._named(f"writing {key} anew"):
            obstore.put(self._store_for(size), key, data, mode="overwrite", use_multipart=False)

    def put_parts(self, key: str, file: BinaryIO, size: int) -> None:
        """Make an object of `size` bytes out of parts, under a key that was never used. It appears as a whole or not at
        all. `limits.S3_PARTS_AT_ONCE` parts are in memory."""
        least = -(-size // (limits.S3_PARTS - 1))
        part = max(limits.S3_PART, -(-least // MIB) * MIB)
        with self._named(f"writing {key} in parts"):
            obstore.put(
                self._store_for(part), key, file, use_multipart=True, chunk_size=part,
                max_concurrency=limits.S3_PARTS_AT_ONCE,
            )  # fmt: skip

    def keys(self, folder: str) -> Iterator[tuple[str, int]]:
        """Every key below a folder and its object's size in bytes, a page at a time, in no order. What appeared or went
        meanwhile may be in it or not."""
        return ((key, size) for key, size, _ in self.dated(folder))

    def dated(self, folder: str) -> Iterator[tuple[str, int, datetime]]:
        """As `keys`, each with the time at which its object was put, by the server's clock (UTC)."""
        with self._named(f"listing {folder}"):
            for page in obstore.list(self._store, folder, chunk_size=_PAGE):
                for found in page:
                    yield str(found["path"]), int(found["size"]), found["last_modified"]

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder."""
        with self._named(f"listing {folder}"):
            found = obstore.list_with_delimiter(self._store, folder)["common_prefixes"]
            return [path.rstrip("/").rpartition("/")[2] for path in found]

    def copy(self, key: str, to: str, size: int) -> None:
        """Copy an object of `size` bytes, `limits.S3_SINGLE_PUT` at most, on the server's side, over what may be
        there."""
        with self._named(f"copying {key}"):
            obstore.copy(self._store_for(size), key, to)

    def move(self, key: str, to: str) -> None:
        """Copy an object on the server's side, see the copy, then remove the first one. Harmless where there is none; a
        crash between leaves both, which the next call ends."""
        size = self.size(key)
        if size is None:
            return
        self.copy(key, to, size)
        if self.size(to) != size:
            raise S3Error(
                "a copy in the bucket is not there", thing=f"{to} ({self.place.url})",
                remedy="look at the server's log; nothing was removed", code="s3-not-shown",
            )  # fmt: skip
        self.remove(key)

    def remove(self, key: str) -> None:
        """Remove an object. Harmless where there is none."""
        with self._named(f"removing {key}"):
            obstore.delete(self._store, key)

    def _pieces(self, found: obstore.GetResult, what: str) -> Iterator[bytes]:
        with self._named(what):
            for piece in found.stream(min_chunk_size=limits.S3_PIECE):
                yield bytes(piece)

    def _store_for(self, size: int) -> S3Store:
        """The client for a PUT of so many bytes: it gives up by the whole time, since an answer comes at the end alone.
        One for each power of two, since each has its own connections."""
        doublings = (size // limits.S3_SLOWEST).bit_length()
        if doublings not in self._putting:
            self._putting[doublings] = self._made(timedelta(seconds=limits.S3_SILENCE + 2**doublings))
        return self._putting[doublings]

    def _made(self, timeout: timedelta, silence: timedelta | None = None) -> S3Store:
        place, keys = self.place, self._credentials
        first, most = limits.S3_PAUSES
        patience = limits.S3_PATIENCE if silence is None else limits.S3_READING
        client: ClientConfig = {
            "allow_http": place.is_plain, "connect_timeout": timedelta(seconds=limits.S3_CONNECT), "http1_only": True,
            "timeout": timeout,
        }  # fmt: skip
        if silence is not None:
            client["read_timeout"] = silence
        if place.ca:
            client["root_certificate"] = place.ca
        config: S3Config = {
            "endpoint": place.endpoint, "region": place.region,
            "access_key_id": keys.key_id, "secret_access_key": keys.secret,
        }  # fmt: skip
        if keys.token:
            config["session_token"] = keys.token
        again: RetryConfig = {
            "max_retries": limits.S3_RETRIES, "retry_timeout": timedelta(seconds=patience),
            "backoff": {
                "init_backoff": timedelta(seconds=first), "max_backoff": timedelta(seconds=most), "base": 2,
            },
        }  # fmt: skip
        prefix = place.prefix or None
        try:
            return S3Store(place.bucket, prefix=prefix, config=config, client_options=client, retry_config=again)
        except (BaseError, ValueError):
            raise UsageError(
                "an S3 store's CA is no certificate", thing=place.url, remedy="give certificates in PEM"
            ) from None

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """The library's errors under the store's names."""
        _Forked.look()
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise fault(str(error), self.place, what) from None


def _refuse_environment() -> None:
    """The library takes addresses, keys and doubts about certificates from variables, over what it was told. Raises
    FailedError for a variable that it knows."""
    for name in sorted(os.environ):
        if name.upper().startswith(_ENVIRONMENT):
            with suppress(UnknownConfigurationKeyError):
                S3Store("any", config=cast("S3Config", {name.lower(): ""}))
                raise FailedError(
                    "the environment says how an S3 store is reached", thing=name,
                    remedy=f"unset {name}, and start it again",
                )  # fmt: skip
