"""A station opened: what routes and jobs are handed."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.config import Config, load_config
from appliance.observe.audit import AuditPort, FileAudit
from appliance.paths import StationPaths
from appliance.policy.approvals import Policy, load_policy
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.metadata import Metadata
from appliance.store.writes.base import Writer
from bundles.errors import FailedError
from bundles.signing.trust import TrustFolder


@dataclass(frozen=True, slots=True)
class Station:
    """An opened station. `reader` is a read-only connection for the thread that opened it; `writer` blocks."""

    config: Config
    paths: StationPaths
    blobs: BlobStore
    metadata: Metadata
    reader: sqlite3.Connection
    writer: Writer
    audit: AuditPort

    def trust(self) -> TrustFolder:
        """The trust folder as it is now: read again at each decision, so that a revocation counts at once."""
        return TrustFolder.load(self.paths.trust)

    def policy(self) -> Policy:
        """Who must agree before a release, read again at each decision as well."""
        return load_policy(self.paths.approvals)


def open_station(root: Path, writer: Writer) -> Station:
    """Open the station in `root`, whose database is there already. Raises UsageError, FailedError."""
    paths = StationPaths(root)
    config = load_config(paths.config)
    return Station(
        config=config,
        paths=paths,
        blobs=BlobStore(paths),
        metadata=Metadata(paths.database),
        reader=open_reader(paths.database),
        writer=writer,
        audit=FileAudit(paths.audit),
    )


@contextmanager
def station_lock(paths: StationPaths) -> Iterator[None]:
    """Held while the station runs. Raises FailedError where another process holds it."""
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FailedError(
                "the station is running already", thing=str(paths.root), remedy="stop the other one first"
            ) from None
        yield
    finally:
        os.close(descriptor)
