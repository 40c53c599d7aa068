"""An inside station with two registry workers over the same store."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import MemoryAudit
from appliance.jobs.kinds import Result
from appliance.lifecycle import gc, scrub
from appliance.origin import Origin, write_origin
from appliance.outgoing import build
from appliance.paths import StationPaths
from appliance.registry.services import RegistryServices
from appliance.store.blobs import BlobStore
from appliance.store.reads.registry import Metadata
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.lifecycle import Block
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.intake.inside import Context, Inside
from tests.lifecycle.lost import AT, Lost, cancelled, contents, delete_tag, push
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Collects, pushes, two bundles (the second signed and not written), a number that was given up, and a block."""
    folder = tmp_path_factory.mktemp("made")
    root, older = folder / "alpha", folder / "older.sqlite"
    layout = Layout(folder / "tools")
    layout.tag("1", layout.index([layout.artifact({"a": b"1"}), layout.artifact({"b": b"2"})]))
    with Outside(root) as station:
        paths = StationPaths(root)
        write_origin(paths, Origin(site="alpha", side="outside", open=True, created=AT))
        (reference,) = station.collect_layout(layout.folder, "1", "team/tools:1")
        (folder / "m1").mkdir()
        station.build(folder / "m1", reference)
        push(station, "team/app", b"first", "1", "latest", "gone")
        with closing(sqlite3.connect(older)) as copy:
            station.station.reader.backup(copy)
        push(station, "team/app", b"second", "latest")
        push(station, "team/other", b"first")
        delete_tag(station, "team/app", "gone")
        given_up = station.building(folder / "m2", reference)
        given_up.on_sign = cancelled
        with pytest.raises(FailedError):
            station.run(given_up, build.run)
        blocked = str(Digest.of(b"blocked"))
        with recording(station.station.audit, AuditEvent(Act.BLOCK, "anna", blocked, "done", {"why": "bad"})):
            station.station.writer.submit(Block(digest=blocked, why="bad", actor="anna", at=AT))
    before = contents(paths.database)
    before[-1] = [(digest, why, actor, None) for digest, why, actor, _ in before[-1]]
    return Lost(root, before, older)


@pytest.fixture
def lost(made: Lost, tmp_path: Path) -> Lost:
    shutil.copytree(made.root, tmp_path / "alpha")
    return Lost(tmp_path / "alpha", made.before, made.older)
