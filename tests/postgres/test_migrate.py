"""`lockgate migrate` between a folder's file and a real PostgreSQL: nothing is lost, whatever is cut off."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from appliance.audit.reading import newest
from appliance.lifecycle import moving
from appliance.lifecycle.moving import Moving
from appliance.paths import StationPaths
from appliance.store.database import open_reader
from appliance.store.moving import state
from appliance.store.whereabouts import noted
from bundles.errors import LockgateError
from tests import forked
from tests.postgres.station import Station
from tests.postgres.test_server_away import Pusher, manifest, until
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

BEFORE = ("begun", "prepared", "copied", "settled", "compared", "finished", "recorded", "placed")
"""The steps at which the station's metadata is where it was."""


@pytest.fixture
def own(postgres: PostgresServer, tmp_path: Path) -> Station:
    """A station with its metadata in its folder, and an empty database."""
    made = Station(tmp_path / "alpha", postgres, postgres.empty_database())
    assert forked.run(["init", str(made.root), "--site", "alpha", "--side", "outside", "--open"]).returncode == 0
    return made


def shown(station: Station) -> list[tuple[object, ...]]:
    """What the station's metadata says of its tags, wherever that is."""
    with closing(open_reader(StationPaths(station.root).database)) as reader:
        return [tuple(row) for row in reader.execute("SELECT tag, digest FROM tags ORDER BY tag").fetchall()]


def filled(station: Station, tags: int = 3) -> list[tuple[object, ...]]:
    station.start()
    config = station.client.push_blob("team/app", b"{}")
    for number in range(tags):
        station.client.push_manifest("team/app", manifest(config, number), f"v{number}")
    station.stop()
    return shown(station)


def test_a_station_moves_there_and_back_while_clients_pull_and_push(own: Station) -> None:
    own.start()
    config = own.client.push_blob("team/app", b"{}")
    own.client.push_manifest("team/app", manifest(config), "v1")
    planned = own.json("migrate", "--metadata", own.url, "--dry-run")
    assert planned["rows"] > 0 < planned["size"]
    assert not (own.root / "metadata-move.json").exists()
    over, answers = threading.Event(), list[object]()

    def pull() -> None:
        while not over.is_set():
            try:
                answers.append(own.client.ask("GET", "/v2/team/app/manifests/v1").status)
            except OSError as error:  # a thread that ends would be counted as one that met no fault
                answers.append(repr(error))

    pusher, puller = Pusher(own, "one", config), threading.Thread(target=pull)
    for one in (pusher, puller):
        one.start()
    try:
        for place in (own.url, "file"):
            until(lambda: bool(pusher.acknowledged))
            moved = own.json("migrate", "--metadata", place)
            assert moved["stopped"] > 0
            assert moved["rows"] >= planned["rows"]
            before = len(pusher.acknowledged)
            until(lambda before=before: len(pusher.acknowledged) > before)  # type: ignore[misc]
            own.call("config", "check")
    finally:
        over.set()
        pusher.over.set()
        for one in (pusher, puller):
            one.join(30)
    assert set(answers) == {200}
    assert pusher.refused <= {503}
    for tag, digest in pusher.acknowledged.items():
        found = own.client.ask("HEAD", f"/v2/{pusher.repository}/manifests/{tag}")
        assert (found.status, found.headers["Docker-Content-Digest"]) == (200, digest)
    events = [event for event in newest(StationPaths(own.root).audit) if event["act"] == "station.metadata-move"]
    assert [event["detail"]["to"] for event in events] == ["file", own.url]
    own.stop()
    own.start()
    assert own.client.ask("GET", "/v2/team/app/manifests/v1").status == 200
    own.stop()


def cut_off(station: Station, place: str, at: str) -> int:
    """Move in a process that is killed at a step; how it ended."""

    def kill(name: str) -> None:
        if name == at:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            Moving(StationPaths(station.root), place, lambda *_: None, kill).move()
        finally:
            os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_any_step_the_same_command_goes_on_and_one_place_counts(own: Station) -> None:
    paths, said = StationPaths(own.root), filled(own)
    for place, last in ((own.url, "switched"), ("file", "released")):
        before = noted(paths.database)
        for step in BEFORE:
            assert cut_off(own, place, step) == -signal.SIGKILL, step
            assert noted(paths.database) == before, step
            assert shown(own) == said, step
        assert cut_off(own, place, last) == -signal.SIGKILL
        assert noted(paths.database) != before
        assert shown(own) == said
        if place == "file":
            assert own.json("migrate", "--metadata", place)["tables"] == 0
        else:
            own.start()  # which ends the move, too
            own.stop()
        assert not state.move_file(paths.database).exists()
        own.call("config", "check")
        assert shown(own) == said
    own.call("audit", "verify")


def test_the_old_database_is_opened_no_more_and_says_where_its_metadata_went(own: Station) -> None:
    paths, said = StationPaths(own.root), filled(own)
    own.call("migrate", "--metadata", own.url)
    note = (own.root / "metadata.json").read_bytes()
    (own.root / "metadata.json").unlink()
    own.set_url("")
    refused = own.call("serve", "--listen", "127.0.0.1:0", expect=3)
    assert own.url in refused
    assert refused.count("\n") == 1
    own.set_url(own.url)
    (own.root / "metadata.json").write_bytes(note)
    own.call("migrate", "--metadata", "file")
    (own.root / "metadata.json").write_bytes(note)
    own.set_url(own.url)
    assert "to file" in own.call("serve", "--listen", "127.0.0.1:0", expect=1)
    (own.root / "metadata.json").unlink()
    own.set_url("")
    assert "moved out of this database" in own.call("migrate", "--metadata", own.url, expect=1)
    assert shown(own) == said
    assert len(list(paths.root.glob("metadata.sqlite.moved-*"))) == 1


def test_what_was_filled_is_as_a_new_database_is(own: Station) -> None:
    """Keys, checks, triggers and numbers: the next row gets the number behind the last one."""
    filled(own)
    own.call("migrate", "--metadata", own.url)
    import psycopg

    looks = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferrable, convalidated"
        " FROM pg_constraint WHERE connamespace = 'lockgate'::regnamespace ORDER BY 1, 2",
        "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'lockgate' ORDER BY 1",
        "SELECT relname FROM pg_class WHERE relnamespace = 'lockgate'::regnamespace ORDER BY 1",
    )
    with (
        closing(psycopg.connect(own.server.conninfo(own.database))) as made,
        closing(psycopg.connect(own.server.new_database())) as new,
    ):
        for look in looks:
            assert made.execute(look.encode()).fetchall() == new.execute(look.encode()).fetchall()
        last = made.execute("SELECT max(entry) FROM lockgate.writer_starts").fetchone()
        given = made.execute("SELECT nextval(pg_get_serial_sequence('lockgate.writer_starts', 'entry'))").fetchone()
        assert last is not None
        assert given is not None
        assert given[0] == last[0] + 1


def test_what_would_be_lost_or_mixed_is_refused_and_nothing_is_changed(
    own: Station, station: Station, postgres: PostgresServer
) -> None:
    paths, said = StationPaths(own.root), filled(own, 1)
    letters = postgres.empty_database("TEMPLATE template0 LOCALE 'C.UTF-8'")
    full = postgres.empty_database()
    postgres.administer("CREATE SCHEMA lockgate CREATE TABLE steps (name text) CREATE TABLE tags (tag text)", full)
    postgres.administer("INSERT INTO lockgate.tags VALUES ('v1')", full)
    for database, word in (
        (station.database, "another station's"), (letters, "--locale=C"), (full, "not empty"), ("nowhere", "createdb"),
    ):  # fmt: skip
        said_of = own.call("migrate", "--metadata", own.url.replace(own.database, database), expect=1)
        assert word in said_of
        assert said_of.count("\n") == 1
    for place, word in (("file", "there already"), ("mysql://x", "postgresql://"), ("", "empty")):
        assert word in own.call("migrate", "--metadata", place, expect=2)
    for made, unmade, name in (
        ("CREATE TABLE kept (a TEXT)", "DROP TABLE kept", "kept"),
        ("ALTER TABLE tags ADD COLUMN extra TEXT", "ALTER TABLE tags DROP COLUMN extra", "tags"),
        ("CREATE TRIGGER quiet BEFORE INSERT ON tags BEGIN SELECT RAISE(IGNORE); END", "DROP TRIGGER quiet", "quiet"),
        ("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('lockgate', 'm9999_later', '')",
         "DELETE FROM _sqlite_migrations WHERE name = 'm9999_later'", "another version"),
    ):  # fmt: skip
        with closing(sqlite3.connect(paths.database)) as db, db:
            db.execute(made)
        assert name in own.call("migrate", "--metadata", own.url, "--dry-run", expect=3)
        assert name in own.call("migrate", "--metadata", own.url, expect=3)
        with closing(sqlite3.connect(paths.database)) as db, db:
            db.execute(unmade)
    assert shown(own) == said
    assert not state.move_file(paths.database).exists()
    assert cut_off(own, own.url, "copied") == -signal.SIGKILL
    other = own.url.replace(own.database, postgres.empty_database())
    assert "--abandon" in own.call("migrate", "--metadata", other, expect=2)
    own.call("migrate", "--abandon")
    assert "no move" in own.call("migrate", "--abandon", expect=2)
    own.call("migrate", "--metadata", own.url)
    assert shown(own) == said


def test_two_moves_at_once_and_a_log_that_takes_nothing(own: Station) -> None:
    paths, said = StationPaths(own.root), filled(own, 1)
    first = Moving(paths, own.url, lambda *_: None)
    assert "already" in own.call("migrate", "--metadata", own.url, expect=1)
    first.close()

    def full(name: str) -> None:
        if name == "finished":
            (own.root / "audit/lanes").rename(own.root / "audit/away")
            (own.root / "audit/lanes").touch()

    second = Moving(paths, own.url, lambda *_: None, full)
    with pytest.raises(LockgateError):
        second.move()
    second.close()
    (own.root / "audit/lanes").unlink()
    (own.root / "audit/away").rename(own.root / "audit/lanes")
    assert noted(paths.database) is None
    assert shown(own) == said
    own.call("migrate", "--metadata", own.url)
    assert noted(paths.database) is not None
    assert moving.finish(paths) is None
    assert json.loads((own.root / "metadata.json").read_text())["site"] == "alpha"
