"""What a standing release shows stays, and is found, whatever was done to the database's rows by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.jobs.kinds import Result
from appliance.lifecycle import gc
from appliance.release_check import moved_tags as module
from appliance.release_check.moved_tags import MISSING, alarms, moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.store.writes.registry import DeleteBlob, DeleteManifest
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

APP, OTHER = "team/app", "team/other"


class Shelf:
    """A station that has taken in a bundle for one repository or two; its manifests and blobs by repository."""

    def __init__(self, folder: Path, repositories: tuple[str, ...]) -> None:
        self.inside = Inside(folder / "bravo", approvals_needed=1)
        store = MemoryStore()
        self.blobs: dict[str, set[str]] = {}
        self.artifacts = []
        for name in repositories:
            self.artifacts.append(file_artifact(store, f"of {name}".encode(), name))
            with store.open_blob(Digest.parse(self.artifacts[-1].digest)) as file:
                self.blobs[name] = {str(blob.digest) for blob in parse_manifest(file.read()).blobs}
        self.name = name_of()
        made = carry(folder / "medium", store, self.artifacts)
        self.inside.trust(made.key.public, owner="Builder")
        self.inside.bring(made.folder)
        self.officer = self.inside.officer()

    def release(self, only: tuple[str, ...] = ()) -> None:
        if self.inside.state(self.name) != "released":
            self.inside.decide(self.name, self.officer)
        self.inside.release(self.name, only)

    def sql(self, *statements: str) -> None:
        with sqlite3.connect(self.inside.station.paths.database) as intruder:
            for statement in statements:
                intruder.execute(statement)
        intruder.close()

    def gc(self, **params: bool) -> Result:
        return gc.run(self.inside.context(now=True, **params))

    def held(self) -> set[str]:
        folder = self.inside.station.paths.blobs / "sha256"
        return {f"sha256:{path.name}" for path in folder.iterdir()}

    def missing(self) -> set[tuple[str, str, str]]:
        found = moved_tags(self.inside.station)
        return {(one["repository"], one["digest"], one["bundle"]) for one in found if one["kind"] == MISSING}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_SETTLES", 0)
    monkeypatch.setattr(gc.limits, "UNREFERENCED", -60.0)
    return tmp_path


@pytest.fixture(params=[(APP,), (APP, OTHER)], ids=["one repository", "two"])
def shelf(folder: Path, request: pytest.FixtureRequest) -> Iterator[Shelf]:
    made = Shelf(folder, request.param)
    with made.inside:
        yield made


HANDS = {
    "blob links": ["DELETE FROM links WHERE kind = 'blob'"],
    "every link": ["DELETE FROM tags", "DELETE FROM links"],
    "manifest links": ["DELETE FROM tags", "DELETE FROM links WHERE kind = 'manifest'"],
    "the repositories": ["DELETE FROM tags", "DELETE FROM links", "DELETE FROM repositories"],
    "what is held": ["DELETE FROM tags", "DELETE FROM links", "DELETE FROM manifests", "DELETE FROM blobs"],
    "the record too": ["DELETE FROM links WHERE kind = 'blob'", "DELETE FROM released", "DELETE FROM pins"],
}


@pytest.mark.parametrize("hand", list(HANDS))
def test_a_collection_takes_nothing_that_a_release_shows(shelf: Shelf, hand: str) -> None:
    shelf.release()
    before = shelf.held()
    assert shelf.gc()["kept"] == 0
    shelf.sql(*HANDS[hand])
    result = shelf.gc()
    assert (shelf.held(), result["blobs"]) == (before, 0)
    if hand != "manifest links":
        assert result["kept"] >= len(set().union(*shelf.blobs.values()))
        assert shelf.gc(dry_run=True)["kept"] == result["kept"]
    assert moved_tags(shelf.inside.station)


def test_a_released_blob_without_its_link_is_found(shelf: Shelf) -> None:
    shelf.release()
    assert moved_tags(shelf.inside.station) == []
    shelf.sql("DELETE FROM links WHERE kind = 'blob' AND repository_id = (SELECT id FROM repositories WHERE name"
              f" = '{APP}')")  # fmt: skip
    assert shelf.missing() == {(APP, blob, shelf.name) for blob in shelf.blobs[APP]}
    assert all(APP in line and shelf.name in line for line in alarms(moved_tags(shelf.inside.station)))
    shelf.gc()
    assert shelf.missing() == {(APP, blob, shelf.name) for blob in shelf.blobs[APP]}


def test_a_withdrawal_and_a_new_release_show_it_again(shelf: Shelf) -> None:
    shelf.release()
    shelf.sql("DELETE FROM links WHERE kind = 'blob'")
    shelf.gc()
    shelf.inside.withdraw(shelf.name)
    assert shelf.missing() == set()
    shelf.release()
    assert moved_tags(shelf.inside.station) == unexplained(shelf.inside.station) == []
    for repository, blobs in shelf.blobs.items():
        for blob in blobs:
            assert shelf.inside.station.metadata.linked_blob(repository, Digest.parse(blob)) is not None


def test_of_a_release_in_part_only_that_part_must_be_shown(folder: Path) -> None:
    shelf = Shelf(folder, (APP, OTHER))
    with shelf.inside:
        shelf.release((APP,))
        assert moved_tags(shelf.inside.station) == []
        shelf.sql("DELETE FROM links WHERE kind = 'blob'")
        assert shelf.missing() == {(APP, blob, shelf.name) for blob in shelf.blobs[APP]}


def test_a_blob_that_a_client_deleted_is_found_once_a_release_has_shown_it_again(folder: Path) -> None:
    """As an earlier version let clients."""
    shelf = Shelf(folder, (APP,))
    blob = min(shelf.blobs[APP])
    with shelf.inside:
        shelf.release()
        shelf.inside.station.audit.record(AuditEvent(Act.DELETE_BLOB, "tester(0)", f"{APP}@{blob}", "done", {}))
        shelf.inside.writer.submit(DeleteBlob(repository=APP, digest=blob))
        assert shelf.missing() == set()
        shelf.inside.withdraw(shelf.name)
        shelf.release()
        assert moved_tags(shelf.inside.station) == []
        shelf.sql(f"DELETE FROM links WHERE digest = '{blob}'")
        assert shelf.missing() == {(APP, blob, shelf.name)}


def test_what_came_in_and_waits_for_people_stays_without_its_pins(shelf: Shelf) -> None:
    before = shelf.held()
    shelf.sql("DELETE FROM pins")
    assert (shelf.gc()["blobs"], shelf.held()) == (0, before)
    shelf.inside.decide(shelf.name, shelf.officer, "reject", "not wanted")
    assert shelf.gc()["blobs"] == len(before)
    assert shelf.held() == set()


def test_what_was_withdrawn_and_rejected_goes(shelf: Shelf) -> None:
    shelf.release()
    shelf.inside.withdraw(shelf.name)
    shelf.gc()
    assert shelf.held(), "it may be released again"
    shelf.inside.decide(shelf.name, shelf.officer, "reject", "not wanted")
    shelf.gc()
    assert shelf.held() == set()


def test_what_a_client_deleted_goes_though_a_release_had_shown_it(shelf: Shelf) -> None:
    """As an earlier version let clients."""
    shelf.release()
    for one in shelf.artifacts:
        thing = f"{one.repository}@{one.digest}"
        shelf.inside.station.audit.record(AuditEvent(Act.DELETE_MANIFEST, "tester(0)", thing, "done", {}))
        shelf.inside.writer.submit(DeleteManifest(repository=one.repository, digest=one.digest))
    shelf.gc()
    assert shelf.held() == set()
    assert moved_tags(shelf.inside.station) == []
