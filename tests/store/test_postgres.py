"""Metadata in PostgreSQL where two write at once, a connection is lost, or the server is killed."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from appliance.limits import store as limits
from appliance.store.database import open_writer
from appliance.store.engine import revision
from appliance.store.integrity import findings
from appliance.store.ports import Connection
from appliance.store.postgres.engine import PostgresEngine
from appliance.store.reads.registry import Metadata
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.jobs import CreateJob
from appliance.store.writes.registry import BumpEpoch, Condition, LinkBlob, PutManifest
from appliance.store.writes.write import LostAnswerError, Write
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.postgres_server import PostgresServer, running_server

pytestmark = pytest.mark.postgres
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def source(postgres: PostgresServer) -> PostgresEngine:
    return PostgresEngine(postgres.new_database())


@pytest.fixture
def writer(source: PostgresEngine) -> Iterator[LocalWriter]:
    with closing(source.open_writer()) as connection:
        yield LocalWriter(connection)


def link(text: str) -> LinkBlob:
    return LinkBlob(repository="a", blob=BlobRow(digest=str(Digest.of(text.encode())), size=1, crc32=0), at=AT)


def push(text: str, condition: Condition | None = None) -> PutManifest:
    blob = BlobRow(digest=str(Digest.of(text.encode())), size=1, crc32=0)
    manifest = ManifestRow(blob=blob, media_type=OCI_MANIFEST)
    return PutManifest(repository="a", manifest=manifest, tags=("1",), condition=condition, at=AT)


class Meddled(Write, frozen=True):
    """Counts the epoch up from what it read; somebody else does the same in between, `rounds` times."""

    rounds: int
    others: ClassVar[Callable[[], object]]
    seen: ClassVar[list[int]]

    def apply(self, db: Connection) -> int:
        (value,) = db.execute("SELECT value FROM epoch").fetchone()
        if len(self.seen) < self.rounds:
            self.others()
        self.seen.append(value)
        db.execute("UPDATE epoch SET value = ?", (value + 1,))
        return int(value) + 1


@pytest.fixture
def meddled(source: PostgresEngine) -> Iterator[type[Meddled]]:
    with closing(source.open_writer()) as connection:
        Meddled.others = staticmethod(lambda: LocalWriter(connection).submit(BumpEpoch()))
        Meddled.seen = []
        yield Meddled


def test_a_write_that_met_another_one_is_applied_again_on_what_that_left(
    writer: LocalWriter, meddled: type[Meddled]
) -> None:
    assert writer.submit(meddled(rounds=3)) == 5
    assert meddled.seen == [1, 2, 3, 4]


def test_a_write_that_always_meets_another_one_fails_and_changes_nothing(
    writer: LocalWriter, source: PostgresEngine, meddled: type[Meddled], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SERIALIZATION_ROUNDS", 4)
    with pytest.raises(FailedError):
        writer.submit(meddled(rounds=100))
    assert meddled.seen == [1, 2, 3, 4]
    assert writer.submit(BumpEpoch()) == 6


def test_two_connections_give_no_number_twice(source: PostgresEngine) -> None:
    def create(side: str) -> None:
        with closing(source.open_writer()) as connection:
            for number in range(15):
                make = CreateJob(id=f"{side}-{number}", kind="gc", params="{}", actor="root(0)", at=AT)
                LocalWriter(connection).submit(make)

    with ThreadPoolExecutor(2) as both:
        list(both.map(create, "ab"))
    with closing(source.open_reader()) as reader:
        rows = reader.execute("SELECT number FROM jobs ORDER BY number").fetchall()
    assert rows == [(number,) for number in range(1, 31)]


def test_of_two_conditional_pushes_of_one_tag_one_wins(source: PostgresEngine, tmp_path: Path) -> None:
    """Each pushes where the tag is still what both saw: a second winner would have overwritten the first unseen."""
    with closing(source.open_writer()) as one, closing(source.open_writer()) as two:
        LocalWriter(one).submit(push("0"))
        standing = "0"
        for turn in range(1, 8):
            start = threading.Barrier(2)
            seen = Condition(tag="1", match=(str(Digest.of(standing.encode())),))

            def put(db: Connection, text: str, start: threading.Barrier = start, seen: Condition = seen) -> bool:
                start.wait()
                return bool(LocalWriter(db).submit(push(text, seen))["stale"])

            with ThreadPoolExecutor(2) as both:
                names = [f"{turn}-one", f"{turn}-two"]
                stale = list(both.map(put, (one, two), names))
            assert sorted(stale) == [False, True]
            standing = names[stale.index(False)]
            with closing(Metadata(tmp_path / "metadata.sqlite", source)) as metadata:
                found = metadata.tagged_manifest("a", "1")
            assert found is not None
            assert found.digest == Digest.of(standing.encode())


class Cut(Write, frozen=True):
    """Its connection is ended by an administrator in the middle of it."""

    server: ClassVar[PostgresServer]

    def apply(self, db: Connection) -> None:
        db.execute("UPDATE epoch SET value = value + 1")
        (number,) = db.execute("SELECT pg_backend_pid()").fetchone()
        self.server.administer(f"SELECT pg_terminate_backend({number}, 10000)")
        db.execute("UPDATE epoch SET value = value + 1")


def test_a_connection_that_is_lost_in_a_transaction_leaves_nothing_and_comes_back(
    writer: LocalWriter, postgres: PostgresServer
) -> None:
    Cut.server = postgres
    with pytest.raises(FailedError) as refused:
        writer.submit(Cut())
    assert not isinstance(refused.value, LostAnswerError)
    assert writer.submit(BumpEpoch()) == 2


def test_a_reader_comes_back_by_itself(source: PostgresEngine, postgres: PostgresServer, tmp_path: Path) -> None:
    with closing(Metadata(tmp_path / "metadata.sqlite", source)) as metadata:
        (number,) = metadata.connection.execute("SELECT pg_backend_pid()").fetchone()
        postgres.administer(f"SELECT pg_terminate_backend({number}, 10000)")
        assert metadata.epoch() == 1


class Wire:
    """A way to the server that is cut at the first COMMIT once `armed`: before the server has it, or (`delivered`)
    before the client has the answer. `shut`: nobody comes through it after that."""

    def __init__(self, folder: Path, target: Path, *, delivered: bool, shut: bool) -> None:
        self._target, self._delivered, self._shut = target, delivered, shut
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self.armed = self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.cut and self._shut:
                    client.close()
                else:
                    threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        swallow = False
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._target / ".s.PGSQL.5432"))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if server in ready:
                    data = server.recv(1 << 16)
                    if swallow or not data:
                        return
                    client.sendall(data)
                if client in ready:
                    data = client.recv(1 << 16)
                    if not data:
                        return
                    if self.armed and b"COMMIT" in data:
                        self.armed, self.cut = False, True
                        if not self._delivered:
                            return
                        swallow = True
                    server.sendall(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def wired(postgres: PostgresServer) -> Iterator[Callable[..., tuple[Wire, PostgresEngine, PostgresEngine]]]:
    """Makes a wire, a source through it, and the same one without it."""
    with tempfile.TemporaryDirectory(prefix="lg-") as folder, contextlib.ExitStack() as held:

        def make(*, delivered: bool, shut: bool = False) -> tuple[Wire, PostgresEngine, PostgresEngine]:
            straight = postgres.new_database()
            wire = Wire(Path(folder), postgres.folder, delivered=delivered, shut=shut)
            held.callback(wire.close)
            return wire, PostgresEngine(f"{straight} host={folder}"), PostgresEngine(straight)

        yield make


@pytest.mark.parametrize("delivered", [True, False])
def test_a_commit_whose_answer_was_lost_is_told_as_what_became_of_it(wired: Any, delivered: bool) -> None:
    wire, through, straight = wired(delivered=delivered)
    with closing(through.open_writer()) as connection:
        writer = LocalWriter(connection)
        writer.submit(link("before"))
        wire.armed = True
        if delivered:
            writer.submit(link("cut"))
        else:
            with pytest.raises(FailedError) as refused:
                writer.submit(link("cut"))
            assert not isinstance(refused.value, LostAnswerError)
        assert wire.cut
        writer.submit(link("after"))
    names = ["before", "cut", "after"] if delivered else ["before", "after"]
    assert linked(straight) == {str(Digest.of(name.encode())) for name in names}


def test_a_commit_of_which_nobody_tells_is_an_answer_that_was_lost(wired: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POSTGRES_ASKED", 0.3)
    wire, through, straight = wired(delivered=True, shut=True)
    with closing(through.open_writer()) as connection:
        wire.armed = True
        with pytest.raises(LostAnswerError):
            LocalWriter(connection).submit(link("cut"))
    assert linked(straight) == {str(Digest.of(b"cut"))}


def linked(source: PostgresEngine) -> set[str]:
    with closing(source.open_reader()) as reader:
        return {digest for (digest,) in reader.execute("SELECT digest FROM links")}


def test_no_acknowledged_write_is_lost_when_the_server_is_killed() -> None:
    """Four write without a pause while the server is killed and started again, twice. What was acknowledged is there;
    what was refused is not; what nobody knows may be either."""
    acknowledged, refused, unknown = set[str](), set[str](), set[str]()
    ending = threading.Event()

    def write(source: PostgresEngine, name: str, moved: threading.Event) -> None:
        with closing(source.open_writer()) as connection:
            writer, number = LocalWriter(connection), 0
            while not ending.is_set():
                number += 1
                one = link(f"{name}-{number}")
                try:
                    writer.submit(one)
                except LostAnswerError:
                    unknown.add(one.blob.digest)
                except FailedError:
                    refused.add(one.blob.digest)
                else:
                    acknowledged.add(one.blob.digest)
                    moved.set()

    with running_server() as server:
        source = PostgresEngine(server.new_database())
        moved = [threading.Event() for _ in range(4)]
        threads = [threading.Thread(target=write, args=(source, f"w{n}", one)) for n, one in enumerate(moved)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                for one in moved:
                    one.clear()
                assert all(one.wait(60) for one in moved)  # each has written since the server came back
                server.kill()
                server.start()
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        found = linked(source)
    assert len(acknowledged) > 20
    assert acknowledged <= found
    assert not refused & found
    assert found <= acknowledged | unknown


def open_many(held: contextlib.ExitStack, source: PostgresEngine, count: int) -> None:
    for _ in range(count):
        held.enter_context(closing(source.open_reader()))


def test_a_server_with_no_connection_left_or_that_may_forget_is_one_line() -> None:
    with running_server() as server:
        conninfo = server.new_database()
        server.stop()
        server.start("max_connections=4", "superuser_reserved_connections=0", "max_wal_senders=0")
        with contextlib.ExitStack() as held, pytest.raises(FailedError, match="cannot be reached") as refused:
            open_many(held, PostgresEngine(conninfo), 5)
        assert "\n" not in str(refused.value)
        server.stop()
        server.start("fsync=off")
        with pytest.raises(FailedError, match="may lose"):
            PostgresEngine(conninfo).open_writer()


def test_another_revision_follows_every_change(source: PostgresEngine, writer: LocalWriter) -> None:
    with closing(source.open_reader()) as reader:
        before = revision(reader)
        assert revision(reader) == before
        writer.submit(BumpEpoch())
        assert revision(reader) != before


def test_another_revision_follows_a_transaction_that_ends_behind_a_younger_one(
    source: PostgresEngine, writer: LocalWriter
) -> None:
    with closing(source.open_reader()) as reader, closing(source.open_writer()) as older:
        older.execute("BEGIN")
        older.execute("UPDATE commits SET value = value + 1")
        writer.submit(BumpEpoch())
        before = revision(reader)
        older.execute("COMMIT")
        assert revision(reader) != before


def test_a_check_finds_damaged_rows_and_never_takes_the_indexes_on_trust(
    postgres: PostgresServer, source: PostgresEngine, writer: LocalWriter
) -> None:
    attended = []
    writer.submit(push("0"))
    with closing(source.open_reader()) as reader:
        assert findings(reader, lambda: attended.append(1)).texts == []
        assert attended
        with closing(source.open_writer()) as connection:
            connection.execute("UPDATE tags SET checksum = checksum + 1")
        assert [str(one) for one in findings(reader).wrong] == ["the tag a:1 is not what was written"]
        postgres.administer("DROP EXTENSION amcheck", reader.execute("SELECT current_database()").fetchone()[0])
        with pytest.raises(FailedError, match="amcheck"):
            findings(reader)


TEXTS = [("a", "b", "C", "d"), ("é\n", "", "ÄB", "\U0001f512"), ("a'b", "\\x41", "%_", "?"), ("b", "a\x7f", "Z", "a ")]
DOCUMENT = '{"a":{"b":"c","n":7,"t":true,"u":null},"l":["x","y\\u00e9"],"e":[]}'
ASKED: list[tuple[str, tuple[Any, ...]]] = [
    *(("SELECT tag_sum(?1, ?2, ?3, ?4), link_sum(?1, ?2, ?3, ?4), block_sum(?1, ?2, ?3, ?4)", text) for text in TEXTS),
    *(("SELECT instr(?1, ?2), substr(?1, 2), lower(?3), max(?1, ?2), min(?1, ?2), max(?1, NULL), length(?4)", text)
      for text in TEXTS),
    *(("SELECT value FROM json_each(?) ORDER BY value", (json.dumps(text),)) for text in TEXTS),
    ("SELECT blob_sum(?, ?, ?)", ("sha256:0", 2**40, 2**32 - 1)),
    ("SELECT manifest_sum(?, ?, ?, ?, ?, ?)", ("sha256:0", "a/b", "", None, 12, '{"a":"é"}')),
    ("SELECT key, CAST(value AS TEXT) FROM json_each(?) ORDER BY key", ('[1,"a",null,true,{"b":[2]}]',)),
    ("SELECT value FROM json_each(?1, '$.l') ORDER BY id", (DOCUMENT,)),
    ("SELECT count(*) FROM json_each(?1, '$.none')", (DOCUMENT,)),
    ("SELECT json_extract(?1, '$.a.b'), CAST(json_extract(?1, '$.a.n') AS BIGINT), json_extract(?1, '$.none.b'),"
     " CAST(json_extract(?1, '$.a.t') AS BIGINT), json_extract(?1, '$.a'), json_extract(?1, '$.l[1]'),"
     " json_extract(?1, '$.a.u'), json_type(?1, '$.a') IS NULL, json_type(?1, '$.a.u') IS NULL,"
     " json_type(?1, '$.a.x') IS NULL", (DOCUMENT,)),
    ("SELECT json_valid(?1), json_valid(?2), json_valid(?3), json_valid(?4)", ("{", "{}", "", DOCUMENT)),
    ("SELECT json_extract(json_set(?1, '$.d', json_object('by', ?2, 'at', ?3)), '$.d.by')", (DOCUMENT, "é", "x")),
    ("SELECT group_concat(value, ' ') FROM json_each(?)", ('["a","b","c"]',)),
    ("SELECT sum(value) FROM (SELECT CAST(value AS BIGINT) AS value FROM json_each(?)) one", (f"[{2**62}, 1]",)),
    ("SELECT ? LIMIT ?", ("a", -1)),
    ("SELECT 1 = 1, ?, 'a' IN ('b')", (True,)),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(ASKED)))
def test_functions_answer_as_sqlites_do(postgres: PostgresServer, tmp_path: Path, place: int) -> None:
    sql, values = ASKED[place]
    theirs = PostgresEngine(postgres.conninfo("with_schema"))
    with closing(open_writer(tmp_path / "metadata.sqlite")) as one, closing(theirs.open_reader()) as other:
        assert other.execute(sql, values).fetchall() == one.execute(sql, values).fetchall()


def test_random_numbers_are_of_64_bits_and_of_either_sign(source: PostgresEngine) -> None:
    with closing(source.open_reader()) as reader:
        found = [reader.execute("SELECT random()").fetchone()[0] for _ in range(200)]
    assert len(set(found)) == len(found)
    assert min(found) < -(2**60) < 2**60 < max(found)
    for bit in range(64):
        assert len({number >> bit & 1 for number in found}) == 2
