"""A disk that is nearly full of what a collection took: pushes, jobs and imports get its room, the oldest first."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.making_room import give_room
from appliance.registry.services import RegistryServices
from appliance.store.blobs import BlobStore
from appliance.store.reads.registry import Metadata
from appliance.store.reserve import ReadOnlyError, Reserve, Room
from appliance.store.uploads import UploadSessions
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.content import BlobRow
from appliance.store.writes.outgoing import RecordBlobs
from bundles.errors import NoSpaceError
from bundles.limits import MIB
from bundles.oci.digest import Digest
from tests.faults.disks import fill_bytes, mounted
from tests.intake.inside import Inside, name_of, small_bundle
from tests.registry_server import Server

Full = tuple[Inside, Server]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Full]:
    """A station on a disk of 96 MiB that holds two graves of 24 MiB, and no room beside."""
    with (
        mounted(tmp_path / "disk", "tmpfs", 96 << 20) as disk,
        Inside(disk / "bravo") as inside,
        contextlib.ExitStack() as stack,
    ):
        station, paths = inside.station, inside.station.paths
        assert Reserve(paths.reserve).keep()
        for days in (3, 2):
            for _ in range(6):
                body = os.urandom(4 * MIB)
                station.blobs.put(body, Digest.of(body))
                station.blobs.graveyard.bury([Digest.of(body)])
            (grave,) = [one for one in paths.graveyard.iterdir() if one.name > clock.after(-86_400)]
            grave.rename(grave.with_name(clock.after(-days * 86_400).replace(":", "")))
        ballast = fill_bytes(disk)
        os.truncate(ballast, ballast.stat().st_size - MIB)
        blobs = BlobStore(paths)
        give_room(paths, blobs, station.audit)
        give_room(paths, station.blobs, station.audit)
        services = RegistryServices(
            blobs=blobs, metadata=Metadata(paths.database), writer=AsyncWriterService(inside.writer),
            uploads=UploadSessions(blobs), audit=station.audit,
        )  # fmt: skip
        yield inside, stack.enter_context(Server(services=services))


def left(inside: Inside) -> list[int]:
    """How many blobs wait in each grave, the oldest first."""
    graves = sorted(inside.station.paths.graveyard.iterdir())
    return [len(list(grave.iterdir())) for grave in graves]


def test_a_push_gets_the_room_of_the_oldest_grave_before_it_is_refused(full: Full) -> None:
    inside, server = full
    assert Reserve(inside.station.paths.reserve).read_only()
    assert left(inside) == [6, 6]
    assert server.push_blob("team/app", b"a small one")
    graves = left(inside)
    assert graves[-1] == 6, "the newer one is left alone"
    assert sum(graves) < 12
    answers = []
    while not answers or answers[-1] == 201:
        body = os.urandom(2 * MIB)
        answers.append(server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(body)}", body).status)
    assert answers[-1] == 507, "once there is nothing left to remove"
    assert len(answers) > 5
    assert sum(left(inside)) == 0
    assert inside.events("gc.empty")


def test_a_job_gets_room_for_a_blob_that_is_larger_than_what_is_free(full: Full) -> None:
    inside, _ = full
    body = os.urandom(8 * MIB)
    ballast = next(inside.root.parent.glob("ballast"))
    os.truncate(ballast, ballast.stat().st_size - 6 * MIB)
    assert Room.of(inside.root).free < len(body)
    inside.station.blobs.put(body, Digest.of(body))
    assert sum(left(inside)) < 12


def test_what_would_not_fit_after_all_takes_nothing_away(full: Full) -> None:
    inside, _ = full
    with pytest.raises(NoSpaceError):
        inside.station.blobs.require_room(1 << 50)
    assert left(inside) == [6, 6]


def test_an_import_gets_room(full: Full, tmp_path: Path) -> None:
    inside, _ = full
    bundle = small_bundle(tmp_path / "carried")
    inside.trust(bundle.key.public)
    ballast = next(inside.root.parent.glob("ballast"))
    os.truncate(ballast, ballast.stat().st_size - 25 * MIB)  # an import wants 64 MiB beside
    inside.bring(bundle.folder)
    assert inside.state(name_of()) == "quarantined"
    assert sum(left(inside)) < 12


def test_what_the_metadata_names_makes_room_for_nobody(full: Full) -> None:
    """A copy of the database was put back: what it names is to be given back, and stays."""
    inside, _ = full
    for grave in inside.station.paths.graveyard.iterdir():
        for path in grave.iterdir():
            digest = Digest(*path.name.split("-"))
            row = BlobRow(digest=str(digest), size=path.stat().st_size, crc32=0)
            inside.writer.submit(RecordBlobs(blobs=(row,), at=clock.now()))
    with pytest.raises(ReadOnlyError):
        inside.station.blobs.put(b"refused", Digest.of(b"refused"))
    assert left(inside) == [6, 6]
