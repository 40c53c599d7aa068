"""Rows of the metadata carry checksums; a damaged one is not served, and is named. Nothing is deleted or collected
while the metadata is not known to be whole."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.lifecycle.metadata_check import check
from appliance.lifecycle.upkeep import find_missing, upkeep
from appliance.station import open_station
from appliance.store import writes
from appliance.store.database import open_writer
from appliance.store.integrity import findings
from appliance.store.migrations import m0030_checked_rows
from appliance.store.reads.blocks import why_blocked
from appliance.store.reads.registry import Metadata
from appliance.store.repair import repair
from appliance.store.rows import link_sum, manifest_sum, tag_sum
from appliance.store.writes.checks import BeginCheck, EndCheck
from appliance.store.writes.lifecycle import Block, Unblock
from bundles.errors import CancelledError, FailedError, RefusedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.lifecycle.conftest import Kept
from tests.lifecycle.edited import edited, metadata_check, two_images

ORIGINS = {
    "appliance/store/writes/rows.py": {"tags", "links", "manifests"},
    "appliance/store/writes/lifecycle.py": {"manifests"},
    "appliance/store/migrations/m0030_checked_rows.py": {"tags", "links", "manifests"},
}


@pytest.mark.parametrize(
    ("change", "path", "remedy"),
    [
        ("UPDATE tags SET digest = '{two}' WHERE tag = 'v1'", "team/app/manifests/v1", ""),
        ("UPDATE tags SET tag = 'v3' WHERE tag = 'v1'", "team/app/manifests/v3", None),
        ("UPDATE tags SET repository_id = 2 WHERE tag = 'v1'", "team/apq/manifests/v1", "team/apq/manifests/v1"),
        ("UPDATE tags SET updated = '2020-01-01T00:00:00Z' WHERE tag = 'v1'", "team/app/manifests/v1", ""),
        ("UPDATE links SET repository_id = 2 WHERE digest = '{two}'", "team/apq/manifests/{two}",
         "team/apq/manifests/{two}"),
        ("UPDATE links SET kind = 'blob' WHERE digest = '{two}'", "team/app/blobs/{two}", "team/app/blobs/{two}"),
        ("UPDATE repositories SET name = 'team/apr' WHERE name = 'team/app'", "team/apr/manifests/v1", None),
        ("UPDATE repositories SET name = 'team/apr' WHERE name = 'team/app'", "team/apr/tags/list", None),
        ("UPDATE manifests SET media_type = 'text/html' WHERE digest = '{one}'", "team/app/manifests/v1", None),
        ("UPDATE manifests SET subject = '{two}' WHERE digest = '{one}'", "team/app/referrers/{two}", None),
    ],
)  # fmt: skip
def test_a_row_that_is_not_what_was_written_is_not_served_is_named_and_is_put_right(
    kept: Kept, change: str, path: str, remedy: str | None
) -> None:
    """By what proves it, or by a remedy: what is to be deleted, "" for nothing, before the images are pushed again. A
    collection goes on meanwhile, and takes nothing that a row may stand for."""
    images = image(), image()
    one, two = (each.push(kept.server, "team/app", tag) for each, tag in zip(images, ("v1", "v2"), strict=True))
    images[0].push(kept.server, "team/apq", "other")
    (garbage := image()).push(kept.server, "team/old", "v1")
    kept.server.ask("DELETE", f"/v2/team/old/manifests/{(gone := Digest.of(garbage.manifest))}")
    with edited(kept) as database:
        assert database.execute(change.format(one=one, two=two)).rowcount > 0
    for method in ("GET", "HEAD") if "list" not in path and "referrers" not in path else ("GET",):
        answer = kept.server.ask(method, "/v2/" + path.format(two=two))
        assert answer.status == (404 if method == "HEAD" and "/blobs/" in path else 503)
    assert b"UNAVAILABLE" in kept.server.ask("GET", "/v2/" + path.format(two=two)).body
    noted = metadata_check(kept)
    assert noted["ok"] is False
    assert "is not what was written" in noted["detail"]
    if remedy is not None:
        result = kept.scrub()
        assert result["metadata"]["state"] == "damaged"
        assert len(result["metadata"]["found"]) >= 1
        assert kept.inside.events("metadata.damaged")[0]["detail"]["found"] == result["metadata"]["found"][:20]
        with pytest.raises(RefusedError, match="nothing is removed for good"):
            kept.gc(now=True)
        assert kept.gc()["doubtful"]["rows"] == result["metadata"]["found"]
        assert not kept.held(gone)[0], "and what no row stands for is collected"
        if remedy:
            assert kept.server.ask("DELETE", "/v2/" + remedy.format(two=two)).status == 202
        for each, tag in zip(images, ("v1", "v2"), strict=True):
            each.push(kept.server, "team/app", tag)
    assert kept.scrub()["metadata"] == {"state": "ok", "found": [], "unsummed": 0}
    assert metadata_check(kept)["ok"] is True
    for tag, each in zip(("v1", "v2"), images, strict=True):
        assert kept.server.ask("GET", f"/v2/team/app/manifests/{tag}").body == each.manifest
    assert kept.gc(now=True)["doubtful"] == {"rows": [], "blobs": 0}
    assert all(kept.held(Digest.of(raw))[0] for each in images for raw in (each.manifest, *each.blobs))


@pytest.mark.parametrize("table", ["links", "tags"])
def test_the_work_of_a_check_grows_with_the_rows_of_a_repository(kept: Kept, table: str) -> None:
    """Each page goes on where the last one ended, whatever the size of one repository."""

    def steps() -> int:
        told = [0]
        findings(kept.inside.station.reader, lambda: told.__setitem__(0, told[0] + 1))
        return told[0]

    def add(begin: int, end: int) -> None:
        with edited(kept) as database:
            database.execute("PRAGMA foreign_keys = OFF")
            (number,) = database.execute("SELECT min(id) FROM repositories").fetchone()
            for each in range(begin, end):
                row = (number, f"sha256:{each:064x}", "blob", "2020-01-01T00:00:00Z")
                if table == "tags":
                    row = (number, f"v{each:06}", f"sha256:{1:064x}", "2020-01-01T00:00:00Z")
                database.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?, NULL)", row)

    image().push(kept.server, "team/app", "v1")
    add(0, 12_000)
    once = steps()
    add(12_000, 24_000)
    assert steps() < 2.6 * once


def test_a_row_that_cannot_be_read_is_named_too(kept: Kept) -> None:
    """A text that is no text: SQLite gives it, and nobody can decode it."""
    content = image()
    content.push(kept.server, "team/app", "v1")
    two_images(kept)
    with edited(kept) as database:
        database.execute("UPDATE tags SET updated = CAST(x'ff' AS TEXT) WHERE tag = 'v1'")
    assert kept.server.ask("GET", "/v2/team/app/manifests/v1").status == 503
    noted = metadata_check(kept)
    assert (noted["ok"], noted["detail"].startswith("the metadata cannot be read")) == (False, True)
    assert kept.server.ask("GET", "/v2/team/app/manifests/v2").status == 200
    assert kept.scrub()["metadata"]["found"] == ["the tag team/app:v1 is not what was written"]
    assert len(kept.gc()["doubtful"]["rows"]) == 1
    content.push(kept.server, "team/app", "v1")
    assert kept.scrub()["metadata"]["state"] == "ok"


def test_a_push_puts_a_damaged_row_right(kept: Kept) -> None:
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    with edited(kept) as database:
        for table in ("tags", "links", "manifests"):
            database.execute(f"UPDATE {table} SET checksum = checksum + 1")
    assert kept.server.ask("GET", "/v2/team/app/manifests/v1").status == 503
    content.push(kept.server, "team/app", "v1")
    assert kept.server.ask("GET", f"/v2/team/app/manifests/{digest}").body == content.manifest
    assert check(kept.inside.station, "tester").texts == []
    assert metadata_check(kept)["ok"] is True


def _served(
    path: Path, names: list[tuple[str, str]], digests: list[Digest], absent: set[Any] | None = None
) -> dict[Any, Any]:
    """What a database shows under each tag and digest; nothing where it refuses to say. `absent` gets what it says is
    not there."""
    served: dict[Any, Any] = {}
    with contextlib.suppress(FailedError, sqlite3.Error), contextlib.closing(Metadata(path)) as metadata:
        for repository, tag in names:
            with contextlib.suppress(FailedError, sqlite3.Error):
                served[repository, tag] = metadata.tagged_manifest(repository, tag)
            for digest in digests:
                with contextlib.suppress(FailedError, sqlite3.Error):
                    served[repository, digest, "manifest"] = metadata.linked_manifest(repository, digest)
                with contextlib.suppress(FailedError, sqlite3.Error):
                    served[repository, digest, "blob"] = (
                        found := metadata.linked_blob(repository, digest)
                    ) and found.digest
    if absent is not None:
        absent.update(key for key, value in served.items() if value is None)
    return {key: value for key, value in served.items() if value is not None}


def test_one_flipped_bit_anywhere_never_shows_anything_else(kept: Kept, tmp_path: Path) -> None:
    """Each place where the database names a tag, a repository, a type or a digest, in tables and indexes alike."""
    two_images(kept)
    with edited(kept) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        digests = [Digest.parse(digest) for (digest,) in database.execute("SELECT digest FROM blobs")]
    tags = ("v0", "v1", "v2", "v3", "other", "nther")
    names = [(repository, tag) for repository in ("team/app", "team/apq", "team/apr") for tag in tags]
    content, copy = kept.paths.database.read_bytes(), tmp_path / "metadata.sqlite"
    right = _served(kept.paths.database, names, digests)
    assert len(right) > 10
    places = [found.end() - 1 for found in re.finditer(rb"v[12]|other|team/ap[pq]|sha256:|manifest", content)]
    places = [place - back for place in places[::3] for back in (0, 9)]
    shown = 0
    for place in places:
        for bit in (0, 3):
            hurt = bytearray(content)
            hurt[place] ^= 1 << bit
            copy.write_bytes(hurt)
            absent: set[Any] = set()
            served = _served(copy, names, digests, absent)
            shown += len(served)
            assert served.items() <= right.items(), (place, bit)
            assert not absent & right.keys(), (place, bit, "what is damaged is not there, it says")
    assert shown > len(places)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ("UPDATE tags SET digest = replace(digest, 'sha256:', 'sha257:')", "manifests/v1"),
        ("UPDATE manifests SET digest = replace(digest, 'sha256:', 'sha257:')", "manifests/{one}"),
        ("UPDATE manifests SET digest = replace(digest, 'sha256:', 'sha257:')", "manifests/v1"),
        ("UPDATE blobs SET digest = replace(digest, 'sha256:', 'sha257:')", "blobs/{layer}"),
    ],
)
def test_a_row_that_stands_on_a_damaged_one_is_never_said_to_be_absent(kept: Kept, change: str, path: str) -> None:
    content = image()
    names = {"one": content.push(kept.server, "team/app", "v1"), "layer": Digest.of(content.blobs[0])}
    with edited(kept) as database:
        database.execute(change)
    assert kept.workers[1].ask("GET", f"/v2/team/app/{path.format(**names)}").status == 503
    assert kept.server.ask("GET", "/v2/team/app/manifests/never").status == 404
    assert kept.server.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'never')}").status == 404


BLOCKED = Digest.of(b"blocked")


def test_a_block_whose_row_or_second_copy_is_damaged_still_blocks_and_is_named(kept: Kept, tmp_path: Path) -> None:
    kept.inside.writer.submit(Block(digest=str(BLOCKED), why="CVE", actor="officer", at=clock.now()))
    with edited(kept) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content, copy = kept.paths.database.read_bytes(), tmp_path / "metadata.sqlite"
    places = [found.start() for found in re.finditer(re.escape(str(BLOCKED).encode()), content)]
    assert len(places) == 3, "the table, its second copy, the checksum"
    for place in places:
        for at in (0, 7, 40, 70):
            hurt = bytearray(content)
            hurt[place + at] ^= 1
            copy.write_bytes(hurt)
            with contextlib.closing(Metadata(copy)) as metadata:
                assert metadata.blocked(BLOCKED) == "CVE"
                assert why_blocked(metadata.connection)[str(BLOCKED)] == "CVE"
                assert findings(metadata.connection).texts
            with contextlib.closing(open_writer(copy)) as database:
                assert repair(database)
            with contextlib.closing(Metadata(copy)) as metadata:
                kept_row = metadata.connection.execute("SELECT digest, why, actor FROM blocks").fetchall()
                assert kept_row == [(str(BLOCKED), "CVE", "officer")]


def test_a_block_changed_behind_the_stations_back_is_found_by_a_scrub(kept: Kept) -> None:
    kept.inside.writer.submit(Block(digest=str(BLOCKED), why="CVE", actor="officer", at=clock.now()))
    assert kept.scrub()["metadata"]["state"] == "ok"
    with edited(kept) as database:
        database.execute("UPDATE blocks SET why = 'harmless'")
    result = kept.scrub()["metadata"]
    assert result["found"] == [f"the block {BLOCKED} is not what was written"]
    kept.inside.writer.submit(Unblock(digest=str(BLOCKED)))
    assert kept.scrub()["metadata"]["state"] == "ok"


def test_a_row_of_another_program_is_served_and_counted(kept: Kept) -> None:
    """Who writes into the database could write a checksum, too: the audit log finds that, not a checksum."""
    two_images(kept)
    with edited(kept) as database:
        database.execute("UPDATE tags SET checksum = NULL")
    assert kept.server.ask("GET", "/v2/team/app/manifests/v1").status == 200
    result = kept.scrub()
    assert (result["metadata"]["state"], result["metadata"]["unsummed"]) == ("ok", 3)


def test_rows_from_before_get_their_checksums(kept: Kept) -> None:
    two_images(kept)
    with edited(kept) as database:
        tables = ("tags", "links", "manifests")
        before = {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
        assert all(row[-1] is not None for rows in before.values() for row in rows)
        for table in tables:
            database.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        for table in ("metadata_check", "wrong_rows", "tombstones"):
            database.execute(f"DROP TABLE {table}")
        database.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (m0030_checked_rows.__name__.split(".")[-1],))
    with contextlib.closing(open_writer(kept.paths.database)) as database:
        for table in tables:
            assert database.execute(f"SELECT * FROM {table}").fetchall() == before[table]


def test_each_field_of_a_row_counts() -> None:
    """A byte that moves from one field to the next makes another row."""
    assert (
        len({tag_sum(*fields) for fields in ("abcd", "bacd", "abdc", ["ab", "", "c", "d"], ["a", "b", "c", "e"])}) == 5
    )
    assert len({link_sum(*fields) for fields in ("abcd", "bacd", "abdc", ["ab", "", "c", "d"])}) == 4
    manifests = [("d", "m", "a", None, 1, "{}"), ("d", "m", "a", "", 1, "{}"), ("d", "m", "a", None, 2, "{}")]
    assert len({manifest_sum(*fields) for fields in manifests}) == 3


def test_all_writes_of_checked_rows_are_in_one_module() -> None:
    found: dict[str, set[str]] = {}
    for path in (Path(writes.__path__[0]).parents[1]).rglob("*.py"):
        tables = re.findall(r"(?:INTO|UPDATE|DELETE FROM) (tags|links|manifests)\b", path.read_text())
        if tables:
            found.setdefault(str(path.relative_to(Path(writes.__path__[0]).parents[2])), set()).update(tables)
    assert found == ORIGINS


def test_nothing_is_deleted_until_the_metadata_is_known_to_be_whole_and_all_else_goes_on(kept: Kept) -> None:
    content = image()
    digest = content.push(kept.server, "team/app", "v1")
    kept.inside.writer.submit(BeginCheck(at=clock.now()))
    things = [f"manifests/{digest}", "manifests/v1", f"blobs/{Digest.of(content.blobs[0])}"]
    for state in ("checking", "damaged"):
        for thing in things:
            refused = kept.server.ask("DELETE", f"/v2/team/app/{thing}")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert metadata_check(kept)["ok"] is False
        image().push(kept.server, "team/app", "v2")
        assert kept.server.ask("GET", "/v2/team/app/manifests/v1").body == content.manifest
        if state == "checking":
            kept.inside.writer.submit(EndCheck(at=clock.now(), found=("an index is damaged",), rows=()))
    assert check(kept.inside.station, "station").texts == []
    assert metadata_check(kept)["ok"] is True
    assert kept.server.ask("DELETE", f"/v2/team/app/{things[0]}").status == 202


def test_the_station_checks_by_itself_after_a_start(kept: Kept) -> None:
    lost = kept.server.push_blob("team/app", b"lost")
    kept.paths.blob(lost).unlink()
    kept.inside.writer.submit(BeginCheck(at=clock.now()))
    station = kept.inside.station
    with upkeep(lambda: open_station(kept.paths.root, station.writer)) as checked:
        assert checked.wait(10)
        deadline = time.monotonic() + 10
        while not station.reader.execute("SELECT count(*) FROM unread").fetchone()[0]:
            assert time.monotonic() < deadline
    assert metadata_check(kept)["ok"] is True


def test_a_check_can_be_ended_at_any_moment(kept: Kept) -> None:
    two_images(kept)
    calls = []

    def attend() -> None:
        calls.append(0)
        raise CancelledError("enough")

    kept.inside.writer.submit(BeginCheck(at=clock.now()))
    with edited(kept) as database:
        database.executemany("INSERT INTO blocks VALUES (?, '', '', '')", [(str(n),) for n in range(20_000)])
    with pytest.raises(CancelledError):
        check(kept.inside.station, "station", attend)
    assert len(calls) == 1
    assert metadata_check(kept)["ok"] is False
    find_missing(kept.inside.station)
