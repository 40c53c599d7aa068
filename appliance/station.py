"""A station opened: what routes and jobs are handed."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.audit.port import AuditPort, FileAudit
from appliance.paths import StationPaths
from appliance.settings.approvals import Policy, load_policy
from appliance.settings.station import Config, load_config
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.opening import open_store
from appliance.store.ports import Reader
from appliance.store.reads.registry import Metadata
from appliance.store.writes.write import Writer
from bundles import limits
from bundles.errors import FailedError, LockgateError
from bundles.io.files import failures_named, own_as_folder, read_small, write_atomic
from bundles.signing.trust import TrustFolder

_DYING: Final = 10.0
"""Seconds that processes of a station that was killed get to be gone: one that the disk holds in a sync dies only when
the sync returns."""

_LOOK: Final = 0.02


@dataclass(frozen=True, slots=True)
class Station:
    """An opened station. `reader` is a read-only connection for the thread that opened it; `writer` blocks."""

    config: Config
    paths: StationPaths
    blobs: BlobStore
    metadata: Metadata
    reader: Reader
    writer: Writer
    audit: AuditPort

    def trust(self) -> TrustFolder:
        """The trust folder as it is now: read again at each decision, so that a revocation counts at once."""
        return TrustFolder.load(self.paths.trust)

    def policy(self) -> Policy:
        """Who must agree before a release, read again at each decision as well."""
        return load_policy(self.paths.approvals)


def open_station(
    root: Path, writer: Writer, config: Config | None = None, unwritten: Callable[[], object] = lambda: None
) -> Station:
    """Open the station in `root`, whose database is there already. `config`: the settings that the process started
    with, in the place of the file's; `unwritten`: as FileAudit's. Raises UsageError, FailedError."""
    paths = StationPaths(root)
    config = config or load_config(paths.config)
    return Station(
        config=config,
        paths=paths,
        blobs=open_store(paths),
        metadata=Metadata(paths.database),
        reader=open_reader(paths.database),
        writer=writer,
        audit=FileAudit(paths.audit, unwritten=unwritten),
    )


@contextmanager
def station_lock(paths: StationPaths) -> Iterator[None]:
    """Held while the station runs, by the supervisor and every process it forks; free only when the jobs of the station
    before have ended too. Raises FailedError where another process holds it.

    The holder's process id stands in the file: where that process lives, the station runs; where it does not, its
    children are dying, and they are waited for.
    """
    with failures_named(paths.lock, "the station cannot be locked"):
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        own_as_folder(descriptor, paths.root)
        if not _locked(descriptor, 0.0) and (_holder_lives(descriptor) or not _locked(descriptor, _DYING)):
            raise FailedError(
                "the station is running already", thing=str(paths.root), remedy="stop the other one first"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        with jobs_lease(paths):
            pass
        yield
    finally:
        os.close(descriptor)


def note_listening(paths: StationPaths, address: str) -> None:
    """Say where the registry of the running station listens, for commands on its folder. A disk that takes no more
    does not keep a station from starting."""
    with suppress(LockgateError):
        write_atomic(paths.listening, f"{os.getpid()} {address}\n".encode(), 0o600)


def listens_at(paths: StationPaths) -> str | None:
    """`HOST:PORT` of the registry of the station that runs now; None where none runs, or where it is not known."""
    try:
        holder, address = read_small(paths.listening, limits.KEY_FILE).decode().split()
        descriptor = os.open(paths.lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (LockgateError, OSError, ValueError):
        return None
    try:
        runs = os.pread(descriptor, 20, 0).decode("ascii", "replace") == holder and _holder_lives(descriptor)
    finally:
        os.close(descriptor)
    return address if runs else None


@contextmanager
def jobs_lease(paths: StationPaths) -> Iterator[int]:
    """The lease of a control process and of its jobs: a descriptor that each job inherits, so that it is free only when
    the control process and every job of it have ended. Whoever opens the store takes it first.

    Raises FailedError where a job outlives its control process for longer than it can take to die.
    """
    descriptor = os.open(paths.lease, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        own_as_folder(descriptor, paths.root)
        if not _locked(descriptor, _DYING):
            raise FailedError(
                "a job of the station before has not ended",
                thing=str(paths.root),
                remedy=f"its disk may hang; see who holds {paths.lease.name} with: fuser {paths.lease}",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, patience: float) -> bool:
    """Whether the lock could be taken within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK)
        else:
            return True


def _holder_lives(descriptor: int) -> bool:
    """Whether the process whose id stands in the lock's file is there; one that has ended and was not yet waited for
    is not."""
    text = os.pread(descriptor, 20, 0)
    if not text.isdigit():
        return True
    try:
        state = Path(f"/proc/{int(text)}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"
