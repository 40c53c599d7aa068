"""What metadata shows follows from links, and from nothing else."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlite_utils import Database

from appliance.paths import StationPaths
from appliance.store import migrations
from appliance.store.database import open_reader, open_writer
from appliance.store.migrations import m0021_clock_floors, m0029_intake_documents
from appliance.store.migrations.runner import migrate, step_names
from appliance.store.reads.registry import Metadata
from appliance.store.reads.repositories import find_repositories
from appliance.store.writer import LocalWriter
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.lifecycle import NoteUnread, RecordDamage
from appliance.store.writes.registry import (
    Condition,
    DeleteBlob,
    DeleteManifest,
    DeleteTag,
    LinkBlob,
    MountBlob,
    PutManifest,
    PutTag,
)
from bundles.errors import FailedError, NotFoundError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST

AT = "2026-01-01T00:00:00Z"
LAYER, CONFIG, IMAGE, OTHER = (Digest.of(name) for name in (b"layer", b"config", b"image", b"other"))


def row(digest: Digest, size: int = 10) -> BlobRow:
    return BlobRow(digest=str(digest), size=size, crc32=7)


def push(writer: LocalWriter, repository: str, digest: Digest = IMAGE, **fields: Any) -> dict[str, Any]:
    manifest = ManifestRow(blob=row(digest), media_type=OCI_MANIFEST, artifact_type="x/y", subject=None)
    result = writer.submit(PutManifest(repository=repository, manifest=manifest, at=AT, **fields))
    assert isinstance(result, dict)
    return result


def test_a_blob_is_visible_in_the_repository_that_links_it_and_in_no_other(
    writer: LocalWriter, metadata: Metadata
) -> None:
    writer.submit(LinkBlob(repository="a", blob=row(LAYER, 5), at=AT))
    found = metadata.linked_blob("a", LAYER)
    assert found is not None
    assert (found.size, found.crc32) == (5, 7)
    assert metadata.linked_blob("b", LAYER) is None
    assert metadata.linked_manifest("a", LAYER) is None
    assert metadata.shown_anywhere(LAYER) == ["a"]


def test_a_mount_needs_a_source_that_shows_the_blob(writer: LocalWriter, metadata: Metadata) -> None:
    writer.submit(LinkBlob(repository="a", blob=row(LAYER), at=AT))
    assert writer.submit(MountBlob(repository="b", source="a", digest=str(LAYER), at=AT)) is True
    assert writer.submit(MountBlob(repository="c", source="a", digest=str(CONFIG), at=AT)) is False
    assert metadata.linked_blob("b", LAYER) is not None
    assert metadata.repository_names(10) == ["a", "b"]


def test_a_manifest_that_names_what_its_repository_does_not_show_changes_nothing(
    writer: LocalWriter, metadata: Metadata
) -> None:
    writer.submit(LinkBlob(repository="a", blob=row(LAYER), at=AT))
    missing = push(writer, "b", needs_blobs=(str(LAYER),), needs_manifests=(str(OTHER),), tags=("v1",))
    assert missing["missing"] == [str(LAYER), str(OTHER)]
    assert not metadata.repository_exists("b")
    assert metadata.manifest(IMAGE) is None


def test_a_pushed_tag_resolves_until_it_is_deleted(writer: LocalWriter, metadata: Metadata) -> None:
    assert push(writer, "a", tags=("v1", "v2")) == {"missing": [], "stale": False}
    tagged = metadata.tagged_manifest("a", "v1")
    assert tagged is not None
    assert tagged.digest == IMAGE
    assert writer.submit(DeleteTag(repository="a", tag="v1")) is True
    assert writer.submit(DeleteTag(repository="a", tag="v1")) is False
    assert metadata.tagged_manifest("a", "v1") is None
    assert metadata.tags_of("a", IMAGE) == ["v2"]


def test_deleting_a_manifest_takes_its_tags_in_that_repository_alone(writer: LocalWriter, metadata: Metadata) -> None:
    for repository in ("a", "b"):
        push(writer, repository, tags=("v1",))
    assert writer.submit(DeleteManifest(repository="a", digest=str(IMAGE))) is True
    assert writer.submit(DeleteManifest(repository="a", digest=str(IMAGE))) is False
    assert metadata.tagged_manifest("a", "v1") is None
    assert metadata.tagged_manifest("b", "v1") is not None


def test_a_repository_exists_as_long_as_it_shows_something(writer: LocalWriter, metadata: Metadata) -> None:
    writer.submit(LinkBlob(repository="a", blob=row(LAYER), at=AT))
    assert metadata.repository_exists("a")
    assert writer.submit(DeleteBlob(repository="a", digest=str(LAYER))) is True
    assert not metadata.repository_exists("a")
    assert metadata.blob(LAYER) is not None


def test_a_tag_may_move_to_what_its_repository_shows_and_to_nothing_else(
    writer: LocalWriter, metadata: Metadata
) -> None:
    push(writer, "a", tags=("v1",))
    push(writer, "a", OTHER)
    writer.submit(PutTag(repository="a", tag="v1", digest=str(OTHER), at=AT))
    tagged = metadata.tagged_manifest("a", "v1")
    assert tagged is not None
    assert tagged.digest == OTHER
    with pytest.raises(NotFoundError):
        writer.submit(PutTag(repository="b", tag="v1", digest=str(OTHER), at=AT))


def test_the_same_bytes_may_be_shown_as_blob_and_as_manifest(writer: LocalWriter, metadata: Metadata) -> None:
    push(writer, "a")
    writer.submit(LinkBlob(repository="a", blob=row(IMAGE), at=AT))
    writer.submit(DeleteBlob(repository="a", digest=str(IMAGE)))
    assert metadata.linked_manifest("a", IMAGE) is not None
    assert metadata.linked_blob("a", IMAGE) is None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition(tag="v1", none_match=("*",)), False),
        (Condition(tag="new", none_match=("*",)), True),
        (Condition(tag="v1", match=(str(IMAGE),)), True),
        (Condition(tag="v1", match=(str(LAYER),)), False),
        (Condition(tag="new", match=("*",)), False),
        (Condition(tag="v1", none_match=(str(IMAGE),)), False),
        (Condition(none_match=("*",)), True),
        (Condition(match=("*",)), False),
    ],
)
def test_a_conditional_push_changes_nothing_where_its_condition_fails(
    writer: LocalWriter, metadata: Metadata, condition: Condition, holds: bool
) -> None:
    push(writer, "a", tags=("v1",))
    assert push(writer, "a", OTHER, tags=("v1",), condition=condition)["stale"] is not holds
    tagged = metadata.tagged_manifest("a", "v1")
    assert tagged is not None
    assert tagged.digest == (OTHER if holds else IMAGE)


def test_pages_follow_one_another_without_gap_or_double(writer: LocalWriter, metadata: Metadata) -> None:
    names = [f"team/app{number:02}" for number in range(25)]
    for name in names:
        push(writer, name, tags=("v1",))
    seen: list[str] = []
    while page := metadata.repository_names(10, seen[-1] if seen else ""):
        seen += page
    assert seen == names


def test_counts_and_filters_serve_the_console(writer: LocalWriter, metadata: Metadata) -> None:
    writer.submit(LinkBlob(repository="team/app", blob=row(LAYER, 100), at=AT))
    push(writer, "team/app", tags=("v1", "v2_x"))
    push(writer, "other", tags=("v1",))
    (facts,) = find_repositories(metadata.connection, 10, text="app")
    assert (facts.name, facts.tags, facts.manifests, facts.bytes) == ("team/app", 2, 1, 110)
    assert [tag.tag for tag in metadata.tags("team/app", 10, text="_")] == ["v2_x"]
    assert [tag.tag for tag in metadata.tags("team/app", 10, after="v1")] == ["v2_x"]
    assert metadata.totals() == (2, 110)
    assert metadata.troubled() == (0, 0)
    writer.submit(RecordDamage(digest=str(LAYER), why="rot", at=AT))
    writer.submit(NoteUnread(digest=str(IMAGE), why="EIO", at=AT))
    assert metadata.troubled() == (1, 1)


def test_referrers_are_those_the_repository_shows(writer: LocalWriter, metadata: Metadata) -> None:
    for repository, digest, kind in (("a", IMAGE, "x/y"), ("a", OTHER, "z/z"), ("b", CONFIG, "x/y")):
        manifest = ManifestRow(
            blob=row(digest),
            media_type=OCI_MANIFEST,
            artifact_type=kind,
            subject=str(LAYER),
            annotations={"k": "v"},
        )
        writer.submit(PutManifest(repository=repository, manifest=manifest, at=AT))
    assert {facts.digest for facts in metadata.referrers("a", LAYER, 10)} == {IMAGE, OTHER}
    (only,) = metadata.referrers("a", LAYER, 10, artifact_type="z/z")
    assert (only.digest, only.annotations, only.subject) == (OTHER, {"k": "v"}, LAYER)
    assert metadata.referrers("c", LAYER, 10) == []


def test_what_a_repository_does_not_show_is_named(writer: LocalWriter, metadata: Metadata) -> None:
    writer.submit(LinkBlob(repository="a", blob=row(LAYER), at=AT))
    assert metadata.unlinked("a", [CONFIG, LAYER], "blob") == [CONFIG]
    assert metadata.unlinked("b", [CONFIG, LAYER], "blob") == [CONFIG, LAYER]


def test_a_reader_cannot_write(writer: LocalWriter, metadata: Metadata) -> None:
    with pytest.raises(sqlite3.OperationalError):
        metadata.connection.execute("DELETE FROM tags")


def test_a_reader_without_a_database_says_what_to_do(paths: StationPaths) -> None:
    with pytest.raises(FailedError, match="start the station once"):
        open_reader(paths.database)


def test_what_is_no_database_is_refused_with_one_clear_line(paths: StationPaths) -> None:
    paths.database.write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    for opens in (open_reader, open_writer):
        with pytest.raises(FailedError, match="cannot be"):
            opens(paths.database)


def test_repositories_are_looked_for_below_the_prefixes_alone(writer: LocalWriter, metadata: Metadata) -> None:
    for name in ("a", "a/b", "lib/x-1", "lib/y", "team", "team/app", "team/app-2", "z"):
        push(writer, name)
    asked: list[str] = []

    def shown(name: str) -> bool:
        asked.append(name)
        return True

    def names(limit: int, after: str = "", text: str = "", prefixes: tuple[str, ...] = ("",)) -> list[str]:
        return [entry.name for entry in find_repositories(metadata.connection, limit, after, text, shown, prefixes)]

    assert names(9, prefixes=("team/", "lib/x-", "team/app")) == ["lib/x-1", "team/app", "team/app-2"]
    assert asked == ["lib/x-1", "team/app", "team/app-2"]
    assert names(1, "lib/x-1", prefixes=("lib/", "team/")) == ["lib/y"]
    assert names(9, text="app", prefixes=("", "team/")) == ["team/app", "team/app-2"]
    assert names(9, prefixes=()) == []
    assert names(9, "team") == ["team/app", "team/app-2", "z"]


def test_steps_are_applied_once_and_in_order(paths: StationPaths) -> None:
    connection = sqlite3.connect(paths.database, isolation_level=None)
    assert migrate(connection) == step_names()
    assert migrate(connection) == []


def test_a_database_of_a_newer_program_is_left_alone(
    paths: StationPaths, writer: LocalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer is not None
    monkeypatch.setattr(migrations.runner, "step_names", lambda: [])
    with pytest.raises(FailedError, match="newer version"):
        open_writer(paths.database)


def test_every_step_of_the_schema_has_a_number_of_its_own() -> None:
    numbers = [name.partition("_")[0] for name in step_names()]
    assert numbers == sorted(set(numbers))


def floors_after_the_step(*floors: tuple[str, str]) -> list[tuple[str, str]]:
    """(stream, floor) of each row, for a station of an earlier version with one floor: `floors` are (floor, why)."""
    db = Database(memory=True)
    db.execute("CREATE TABLE clock_floors (entry INTEGER PRIMARY KEY, floor TEXT, why TEXT, created TEXT, actor TEXT)")
    db.execute("CREATE TABLE ledger (entry INTEGER PRIMARY KEY, stream TEXT, id TEXT, created TEXT)")
    db.execute("INSERT INTO ledger VALUES (1, 'alpha.bravo', 'alpha.bravo-000001', '2026-06-01T00:00:00Z')")
    for floor, why in floors:
        db.execute("INSERT INTO clock_floors (floor, why, created, actor) VALUES (?, ?, '', '')", (floor, why))
    m0021_clock_floors.apply(db)
    return [(str(stream), str(floor)) for stream, floor in db.execute("SELECT stream, floor FROM clock_floors")]


def test_a_floor_that_a_source_moved_ahead_becomes_that_streams_own() -> None:
    rows = floors_after_the_step(("2026-06-03T00:00:00Z", "alpha.bravo-000001"))
    assert rows == [("alpha.bravo", "2026-06-03T00:00:00Z"), ("", "2026-06-01T00:00:00Z")]


def test_a_floor_that_people_set_stays_the_stations_and_those_before_it_come_back_for_no_stream() -> None:
    rows = floors_after_the_step(
        ("2099-01-01T00:00:00Z", "alpha.bravo-000001"), ("2026-05-01T00:00:00Z", "Anna: its clock was wrong")
    )
    assert rows == [("", "2099-01-01T00:00:00Z"), ("", "2026-05-01T00:00:00Z")]


def test_the_documents_of_an_earlier_version_are_moved_and_its_claims_are_numbered() -> None:
    db = Database(memory=True)
    db.execute("CREATE TABLE intake (digest TEXT PRIMARY KEY, state TEXT, manifest TEXT, report TEXT) WITHOUT ROWID")
    db.execute("INSERT INTO intake VALUES ('a', 'released', 'one', 'seen'), ('b', 'quarantined', 'two', NULL)")
    db.execute(
        "CREATE TABLE released (digest TEXT, repository TEXT, kind TEXT, item TEXT, target TEXT, made INTEGER,"
        " previous TEXT, at TEXT, entry INTEGER, PRIMARY KEY (digest, repository, kind, item)) WITHOUT ROWID"
    )
    db.execute(
        "INSERT INTO released VALUES ('a', 'r', 'tag', '1', 'm', 1, 'p', 't', 7), ('a', 'r', 'blob', 'l', 'l', 0, NULL,"
        " 't', 3)"
    )
    m0029_intake_documents.apply(db)
    assert list(db.execute("SELECT digest, manifest, report FROM intake_documents ORDER BY digest")) == [
        ("a", "one", "seen"),
        ("b", "two", None),
    ]
    assert list(db.execute("SELECT * FROM intake ORDER BY digest")) == [("a", "released"), ("b", "quarantined")]
    assert list(db.execute("SELECT entry, item, made, previous FROM released ORDER BY entry")) == [
        (1, "l", 0, None),
        (2, "1", 1, "p"),
    ]
