"""An inside station with two registry workers over the same store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.port import MemoryAudit
from appliance.jobs.kinds import Result
from appliance.lifecycle import gc, scrub
from appliance.registry.services import RegistryServices
from appliance.store.blobs import BlobStore
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from bundles.oci.digest import Digest
from tests.intake.inside import Context, Inside
from tests.registry_server import Server


@dataclass
class Kept:
    """The station, its workers, and its two jobs."""

    inside: Inside
    workers: list[Server]

    def __post_init__(self) -> None:
        self.server = self.workers[0]
        self.paths = self.inside.station.paths

    def gc(self, **params: Any) -> Result:
        return gc.run(self.inside.context(**params))

    def scrub(self, **params: Any) -> Result:
        return scrub.run(self.inside.context(**params))

    def context(self, on_progress: Callable[[str, int, int], object], **params: Any) -> Context:
        context = self.inside.context(**params)
        context.on_progress = on_progress
        return context

    def held(self, digest: Digest) -> tuple[bool, bool]:
        """Whether the blob has a file, and a row."""
        station = self.inside.station
        return station.blobs.has_blob(digest), station.metadata.blob(digest) is not None

    def rot(self, digest: Digest, at: int = 0) -> None:
        with self.paths.blob(digest).open("r+b") as file:
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 1]))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Inside(tmp_path / "bravo") as inside, contextlib.ExitStack() as stack:
        workers = []
        for _ in range(2):
            blobs = BlobStore(inside.station.paths)
            services = RegistryServices(
                blobs=blobs,
                metadata=Metadata(inside.station.paths.database),
                writer=AsyncWriterService(inside.writer),
                uploads=UploadSessions(blobs),
                audit=MemoryAudit(),
            )
            workers.append(stack.enter_context(Server(services=services)))
        yield Kept(inside, workers)
