"""A link that was taken away is explained by nothing that happened before: who shows it again by hand is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.lifecycle import gc
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as audit_limits
from appliance.limits import lifecycle as limits
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.intake import find_entry, read_manifest
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteBlob, DeleteManifest, LinkBlob, PutManifest
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

NAME, MINE, TEAM = name_of(), "robots/mine", "team/one"


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """A station with a bundle of one artifact in quarantine."""
    monkeypatch.setattr(audit_limits, "AUDIT_SEGMENT", 2_000)
    with Inside(tmp_path / "bravo", approvals_needed=1) as station:
        store = MemoryStore()
        made = carry(tmp_path / "medium", store, [file_artifact(store, b"content", TEAM)])
        station.trust(made.key.public)
        station.bring(made.folder)
        yield station


def say(inside: Inside, act: Act, thing: str, **detail: object) -> AuditEvent:
    event = AuditEvent(act, "robot", thing, "done", detail)
    inside.station.audit.record(event)
    return event


def artifact(inside: Inside) -> tuple[str, list[str]]:
    """The bundle's manifest, and every blob of it."""
    manifest = read_manifest(inside.station.reader, find_entry(inside.station.reader, NAME).digest)
    digest = manifest.artifacts[0].digest
    return digest, [blob.digest for blob in manifest.blobs if blob.digest != digest]


def push(inside: Inside, act: Act = Act.PUSH_BLOB) -> str:
    """A robot brings the bytes of the artifact itself, as a client may where config.toml lets it."""
    digest, blobs = artifact(inside)
    at = clock.now()
    for blob in blobs:
        say(inside, act, f"{MINE}@{blob}")
        inside.writer.submit(LinkBlob(repository=MINE, blob=BlobRow(digest=blob, size=1, crc32=0), at=at))
    say(inside, Act.PUSH_MANIFEST, f"{MINE}@{digest}", tags="1")
    row = ManifestRow(blob=BlobRow(digest=digest, size=1, crc32=0), media_type=OCI_MANIFEST)
    inside.writer.submit(PutManifest(repository=MINE, manifest=row, at=at, tags=("1",)))
    return digest


def delete(inside: Inside, repository: str = MINE) -> None:
    digest, blobs = artifact(inside)
    say(inside, Act.DELETE_MANIFEST, f"{repository}@{digest}")
    inside.writer.submit(DeleteManifest(repository=repository, digest=digest))
    for blob in blobs:
        say(inside, Act.DELETE_BLOB, f"{repository}@{blob}")
        inside.writer.submit(DeleteBlob(repository=repository, digest=blob))


def show_by_hand(inside: Inside, digest: str, repository: str = MINE, kind: str = "manifest") -> None:
    with sqlite3.connect(inside.station.paths.database) as intruder:
        at = "2020-01-01T00:00:00Z"
        intruder.execute("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, ?)", (repository, at))
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, ?, ? FROM repositories"
            " WHERE name = ?",
            (digest, kind, clock.now(), repository),
        )
    intruder.close()


def release_it(inside: Inside) -> None:
    inside.decide(NAME, inside.officer())
    inside.release(NAME)


def prune(inside: Inside, out: str = "out") -> None:
    for number in range(16):
        say(inside, Act.JOB_READ, f"{out}{number}", pad="x" * 400)
    paths = inside.station.paths
    target = paths.root.parent / out
    export.export(paths, target, {}, site="bravo", at=clock.now())
    gone, _ = prune_log(paths, target)
    assert gone > 0


def found(inside: Inside) -> set[tuple[str, str]]:
    return {(one["repository"], one["digest"]) for one in unexplained(inside.station)}


@pytest.mark.parametrize("pruned", ["never", "before the deletion", "after the deletion"])
@pytest.mark.parametrize("act", [Act.PUSH_BLOB, Act.MOUNT_BLOB])
def test_what_a_client_pushed_and_deleted_and_somebody_shows_by_hand_is_found(
    inside: Inside, act: Act, pruned: str
) -> None:
    digest, (blob, *_) = push(inside, act), artifact(inside)[1]
    if pruned == "before the deletion":
        prune(inside)
    delete(inside)
    if pruned == "after the deletion":
        prune(inside)
    assert found(inside) == set()
    show_by_hand(inside, digest)
    show_by_hand(inside, blob, kind="blob")
    assert found(inside) == {(MINE, digest), (MINE, blob)}


@pytest.mark.parametrize("pruned", [False, True])
def test_what_is_pushed_again_after_a_deletion_is_explained(inside: Inside, pruned: bool) -> None:
    push(inside)
    delete(inside)
    if pruned:
        prune(inside)
    push(inside)
    assert found(inside) == set()
    if pruned:
        prune(inside, "again")
    assert found(inside) == set()


@pytest.mark.parametrize("pruned", [False, True])
def test_what_was_released_and_deleted_is_explained_only_by_a_later_release(inside: Inside, pruned: bool) -> None:
    release_it(inside)
    delete(inside, TEAM)
    if pruned:
        prune(inside)
    digest, (blob, *_) = artifact(inside)
    show_by_hand(inside, digest, TEAM)
    show_by_hand(inside, blob, TEAM, "blob")
    assert found(inside) == {(TEAM, digest), (TEAM, blob)}
    inside.withdraw(NAME)
    with sqlite3.connect(inside.station.paths.database) as intruder:
        intruder.execute("DELETE FROM links")
    intruder.close()
    release_it(inside)
    assert found(inside) == set()


def test_what_was_collected_and_deleted_is_explained_only_by_a_later_collection(inside: Inside) -> None:
    digest, blobs = artifact(inside)
    say(inside, Act.COLLECT, f"{MINE}:1", digest=digest)
    for one, kind in ((digest, "manifest"), *((blob, "blob") for blob in blobs)):
        show_by_hand(inside, one, kind=kind)
    assert found(inside) == set()
    say(inside, Act.DELETE_MANIFEST, f"{MINE}@{digest}")
    assert found(inside) == {(MINE, digest)}, "its blobs stay until they are collected as garbage"
    prune(inside)
    assert found(inside) == {(MINE, digest)}
    say(inside, Act.COLLECT, f"{MINE}:1", digest=digest)
    assert found(inside) == set()


def test_a_deletion_that_did_not_happen_ends_nothing(inside: Inside) -> None:
    digest = push(inside)
    event = say(inside, Act.DELETE_MANIFEST, f"{MINE}@{digest}")
    error = FailedError("the disk is full")
    inside.station.audit.record(refusal(event.act, event.actor, event.thing, error, recorded=True))
    assert found(inside) == set()


def test_a_link_that_garbage_collection_took_is_explained_by_nothing_before_that(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNREFERENCED", -60.0)
    body = b"of no manifest"
    digest = str(Digest.of(body))
    inside.station.blobs.put(body, Digest.of(body))
    say(inside, Act.PUSH_BLOB, f"{MINE}@{digest}")
    row = BlobRow(digest=digest, size=len(body), crc32=0)
    inside.writer.submit(LinkBlob(repository=MINE, blob=row, at=clock.now()))
    assert found(inside) == set()
    gc.run(inside.context())  # type: ignore[arg-type]
    assert not inside.visible()["links"]
    assert [event["detail"]["digests"] for event in inside.events(Act.GC_UNLINK)] == [[digest]]
    inside.station.blobs.put(body, Digest.of(body))
    show_by_hand(inside, digest, kind="blob")
    assert found(inside) == {(MINE, digest)}


def test_a_collection_that_finds_the_repository_changed_ends_nothing(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNREFERENCED", -60.0)
    body = b"of no manifest"
    digest = str(Digest.of(body))
    inside.station.blobs.put(body, Digest.of(body))
    say(inside, Act.PUSH_BLOB, f"{MINE}@{digest}")
    row = BlobRow(digest=digest, size=len(body), crc32=0)
    inside.writer.submit(LinkBlob(repository=MINE, blob=row, at=clock.now()))
    real = inside.writer.submit

    def submit(write: object) -> object:
        if type(write).__name__ == "UnlinkBlobs":  # pushed again, this moment
            real(LinkBlob(repository=MINE, blob=row, at=clock.now()))
            with sqlite3.connect(inside.station.paths.database) as other:
                other.execute("UPDATE links SET created = '9999-01-01T00:00:00Z'")
            other.close()
        return real(write)  # type: ignore[arg-type]

    monkeypatch.setattr(inside.writer, "submit", submit)
    gc.run(inside.context())  # type: ignore[arg-type]
    assert inside.visible()["links"]
    assert found(inside) == set()


@pytest.mark.parametrize("pruned", [False, True])
def test_a_mount_from_a_link_that_somebody_made_by_hand_for_a_moment_explains_nothing(
    inside: Inside, pruned: bool
) -> None:
    _, (blob, *_) = artifact(inside)
    show_by_hand(inside, blob, "stolen", "blob")
    say(inside, Act.MOUNT_BLOB, f"{MINE}@{blob}", source="stolen")
    show_by_hand(inside, blob, MINE, "blob")
    say(inside, Act.MOUNT_BLOB, f"robots/second@{blob}", source=MINE)
    show_by_hand(inside, blob, "robots/second", "blob")
    with sqlite3.connect(inside.station.paths.database) as intruder:
        intruder.execute("DELETE FROM links WHERE repository_id = (SELECT id FROM repositories WHERE name = 'stolen')")
    intruder.close()
    if pruned:
        prune(inside)
    assert found(inside) == {(MINE, blob), ("robots/second", blob)}


@pytest.mark.parametrize("pruned", ["never", "before the mount", "after the mount"])
@pytest.mark.parametrize("how", ["pushed", "pushed and deleted", "released", "withdrawn", "collected", "mounted"])
def test_a_mount_from_what_was_let_in_is_explained(inside: Inside, how: str, pruned: str) -> None:
    digest, (blob, *_) = artifact(inside)
    source = TEAM if how in ("released", "withdrawn") else "robots/source"
    if source == TEAM:
        release_it(inside)
    elif how == "collected":
        say(inside, Act.COLLECT, f"{source}:1", digest=digest)
        show_by_hand(inside, digest, source)
        show_by_hand(inside, blob, source, "blob")
    else:
        say(inside, Act.PUSH_BLOB, f"robots/first@{blob}")
        show_by_hand(inside, blob, "robots/first", "blob")
        say(inside, Act.MOUNT_BLOB, f"{source}@{blob}", source="robots/first")
        show_by_hand(inside, blob, source, "blob")
    if pruned == "before the mount":
        prune(inside)
    say(inside, Act.MOUNT_BLOB, f"{MINE}@{blob}", source=source)
    show_by_hand(inside, blob, MINE, "blob")
    if how == "withdrawn":
        inside.withdraw(NAME)
    if how == "pushed and deleted":
        say(inside, Act.DELETE_BLOB, f"{source}@{blob}")
        inside.writer.submit(DeleteBlob(repository=source, digest=blob))
    if pruned == "after the mount":
        prune(inside)
    assert found(inside) == set()
