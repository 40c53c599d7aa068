"""One writer: every write alone in its savepoint, every group durable before anybody hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.limits import store as limits
from appliance.local_socket import connect_to
from appliance.paths import StationPaths
from appliance.store.commits import promised
from appliance.store.database_file import exchanged
from appliance.store.integrity import findings
from appliance.store.reads.registry import Metadata
from appliance.store.writer import AsyncSocketWriter, AsyncWriterService, SocketWriter, WriterService, serve_writer
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import BumpEpoch, LinkBlob, PutTag
from bundles.errors import FailedError, NotFoundError
from bundles.oci.digest import Digest

AT = "2026-01-01T00:00:00Z"


def blob(text: str, repository: str = "team/app") -> LinkBlob:
    return LinkBlob(repository=repository, blob=BlobRow(digest=str(Digest.of(text.encode())), size=1, crc32=0), at=AT)


REFUSED = PutTag(repository="nowhere", tag="t", digest=str(Digest.of(b"")), at=AT)


@pytest.fixture
def service(paths: StationPaths) -> Iterator[WriterService]:
    with WriterService(paths.database) as running:
        yield running


@pytest.mark.parametrize("what", ["log", "database", "both", "exchanged"])
def test_files_that_go_under_a_running_writer_end_all_writes_and_take_nothing_with_them(
    paths: StationPaths, what: str
) -> None:
    """What was acknowledged is in the place of the database, or beside what somebody put there."""
    database, log = paths.database, paths.database.with_name("metadata.sqlite-wal")
    with WriterService(database) as service:
        service.submit(blob("before"))
        reader = Metadata(database)
        assert reader.placement.lost() == ""
        if what in ("log", "both"):
            log.unlink()
        if what in ("database", "both", "exchanged"):
            database.unlink()
        if what == "exchanged":
            database.write_bytes(b"")
        assert reader.placement.lost()
        for _ in range(2):
            with pytest.raises(FailedError, match="nothing is written"):
                service.submit(blob("after"))
        reader.close()
    saved = list(database.parent.glob("metadata.sqlite.saved-*"))
    assert len(saved) == (what == "exchanged")
    with contextlib.closing(Metadata(saved[0] if saved else database)) as found:
        assert found.linked_blob("team/app", Digest.of(b"before")) is not None
        assert found.linked_blob("team/app", Digest.of(b"after")) is None
        assert findings(found.connection).texts == []
    if not saved:
        with WriterService(database) as service:
            service.submit(blob("after"))


def test_a_database_that_is_written_over_under_a_running_writer_ends_all_writes(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file with an older copy's bytes: the number beside it stays, for the next start to see it, too."""
    database, log = paths.database, paths.database.with_name("metadata.sqlite-wal")
    monkeypatch.setattr(limits, "METADATA_LOOK", 0.0)
    with WriterService(database) as service:
        service.submit(blob("before"))
    older = database.read_bytes()
    with WriterService(database) as service:
        service.submit(blob("after"))
        told = promised(database)
        for path, data in ((log, b""), (database, older)):
            with path.open("r+b") as file:
                file.truncate(0)
                file.write(data)
        with pytest.raises(FailedError, match="nothing is written"):
            service.submit(blob("more"))
    assert promised(database) == told
    assert exchanged(database).startswith("the metadata went back")


def test_a_writer_that_has_nothing_to_write_saves_what_it_holds(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "METADATA_LOOK", 0.01)
    with WriterService(paths.database) as service:
        service.submit(blob("before"))
        paths.database.unlink()
        deadline = time.monotonic() + 10
        while not paths.database.exists():
            assert time.monotonic() < deadline


class Socket:
    """The service behind its Unix socket, in a thread with a loop of its own."""

    def __init__(self, path: Path, service: WriterService, lease: str = "") -> None:
        self.path = path
        self._lease = lease
        self._service = service
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Socket:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve_writer(self.path, self._service, self._lease):
            self._ready.set()
            await self._stop.wait()


@pytest.fixture
def socket(tmp_path: Path, service: WriterService) -> Iterator[Socket]:
    with Socket(tmp_path / "writer.sock", service) as running:
        yield running


def test_a_write_is_visible_to_readers_when_its_sender_hears_of_it(service: WriterService, paths: StationPaths) -> None:
    metadata = Metadata(paths.database)
    for number in range(20):
        service.submit(blob(str(number)))
        assert metadata.linked_blob("team/app", Digest.of(str(number).encode())) is not None


def test_a_refused_write_undoes_itself_and_nothing_else(service: WriterService, paths: StationPaths) -> None:
    futures = [service.enqueue(write) for write in (blob("a"), REFUSED, blob("b"))]
    with pytest.raises(NotFoundError, match="no such manifest"):
        futures[1].result()
    assert [futures[0].result(), futures[2].result()] == [None, None]
    assert Metadata(paths.database).totals() == (2, 2)


def test_writes_of_many_threads_are_all_applied(service: WriterService, paths: StationPaths) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(service.submit, [blob(str(number)) for number in range(400)]))
    assert Metadata(paths.database).totals()[0] == 400


def test_a_bug_in_one_write_is_that_senders_error_alone(
    service: WriterService, paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: LinkBlob, db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO repositories (name, created) VALUES ('half', 'done')")
        db.execute("SELECT nonsense")

    good = service.enqueue(BumpEpoch())
    monkeypatch.setattr(LinkBlob, "apply", broken)
    with pytest.raises(FailedError, match="a write failed inside the station"):
        service.submit(blob("a"))
    assert good.result() == 2
    assert not Metadata(paths.database).repository_exists("half")


def test_a_stopped_service_takes_no_write(paths: StationPaths) -> None:
    service = WriterService(paths.database)
    service.submit(blob("a"))
    service.close()
    service.close()
    with pytest.raises(FailedError, match="stopping"):
        service.submit(blob("b"))


async def test_coroutines_of_the_same_process_write_without_a_socket(service: WriterService) -> None:
    assert await AsyncWriterService(service).submit(BumpEpoch()) == 2


def test_results_and_errors_cross_the_socket(socket: Socket) -> None:
    client = SocketWriter(socket.path)
    assert client.submit(BumpEpoch()) == 2
    with pytest.raises(NotFoundError, match="nowhere"):
        client.submit(REFUSED)
    assert client.submit(BumpEpoch()) == 3
    client.close()


async def test_many_writes_are_under_way_on_one_async_connection(socket: Socket) -> None:
    client = AsyncSocketWriter(socket.path)
    results = await asyncio.gather(
        *(client.submit(BumpEpoch()) for _ in range(300)), client.submit(REFUSED), return_exceptions=True
    )
    assert sorted(result for result in results if isinstance(result, int)) == list(range(2, 302))
    assert isinstance(results[-1], NotFoundError)
    await client.close()


def test_a_blocking_client_comes_back_after_a_restart(tmp_path: Path, service: WriterService) -> None:
    client = SocketWriter(tmp_path / "writer.sock")
    for expected in (2, 3):
        with Socket(tmp_path / "writer.sock", service):
            assert client.submit(BumpEpoch()) == expected


def test_a_job_writes_to_the_control_process_that_started_it_and_to_no_other(
    tmp_path: Path, service: WriterService
) -> None:
    job = SocketWriter(tmp_path / "writer.sock", lease="first")
    with Socket(tmp_path / "writer.sock", service, "first"):
        assert [job.submit(BumpEpoch()) for _ in range(2)] == [2, 3]
    with Socket(tmp_path / "writer.sock", service, "second"):
        for _ in range(2):
            with pytest.raises(FailedError, match="control process has ended"):
                job.submit(BumpEpoch())
        assert SocketWriter(tmp_path / "writer.sock").submit(BumpEpoch()) == 4, "a worker outlives control processes"


async def test_an_async_client_comes_back_after_a_restart(tmp_path: Path, service: WriterService) -> None:
    client = AsyncSocketWriter(tmp_path / "writer.sock")
    for expected in (2, 3):
        with Socket(tmp_path / "writer.sock", service):
            assert await client.submit(BumpEpoch()) == expected
        await asyncio.sleep(0)
    await client.close()


async def test_without_a_station_a_write_fails_with_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="the station is not running"):
        SocketWriter(tmp_path / "none.sock", wait=0).submit(BumpEpoch())
    with pytest.raises(FailedError, match="the station is not running"):
        await AsyncSocketWriter(tmp_path / "none.sock", wait=0).submit(BumpEpoch())


def test_a_socket_path_beyond_108_bytes_works(tmp_path: Path, service: WriterService) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    with Socket(folder / "writer.sock", service) as socket:
        assert SocketWriter(socket.path).submit(BumpEpoch()) == 2


def test_a_frame_that_is_no_write_ends_its_connection_and_no_other(socket: Socket) -> None:
    with connect_to(socket.path) as stranger:
        stranger.sendall(b"\x00\x00\x00\x03abc")
        assert stranger.recv(1) == b""
    assert SocketWriter(socket.path).submit(BumpEpoch()) == 2
