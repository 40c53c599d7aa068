"""`gc --untagged` takes manifests to which no tag has led for so long, and nothing that anything still stands on."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.lifecycle import forgotten, gc, gc_untagged
from appliance.lifecycle.gc_untagged import UntaggedCollection
from appliance.lifecycle.untagged import ManifestReferences, count, untagged
from appliance.limits import lifecycle as limits
from appliance.release_check.unexplained import unexplained
from appliance.settings.station import Config
from appliance.store.reads.tombstones import find
from appliance.store.rows import link_sum
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.registry import PutTag
from bundles.errors import UsageError
from bundles.oci.digest import Digest
from tests.bundles.small import MemoryStore, file_artifact
from tests.conformance.shapes import Content, artifact, image, index
from tests.faults.test_kill import pull_whole
from tests.intake.inside import carry, name_of
from tests.lifecycle.conftest import Kept

TEAM = "team/app"
HOUR = 3600


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs that no manifest names go at once, not after a day."""
    monkeypatch.setattr(limits, "UNREFERENCED", -60.0)


@contextlib.contextmanager
def edited(kept: Kept) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(kept.paths.database)) as database:
        yield database
        database.commit()


def linked_at(kept: Kept, digest: Digest, at: str) -> None:
    """As if the manifest had been pushed then."""
    checksum = link_sum(TEAM, str(digest), "manifest", at)
    with edited(kept) as database:
        database.execute("UPDATE links SET created = ?, checksum = ? WHERE digest = ?", (at, checksum, str(digest)))


def shown(kept: Kept, repository: str = TEAM) -> set[str]:
    rows = kept.inside.station.reader.execute(
        "SELECT l.digest FROM links l JOIN repositories r ON r.id = l.repository_id WHERE l.kind = 'manifest'"
        " AND r.name = ?",
        (repository,),
    )
    return {digest for (digest,) in rows}


def collect(kept: Kept, older_than: int = 0, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = kept.gc(untagged=True, older_than=older_than, **more)["untagged"]
    return found


def overwritten(kept: Kept) -> tuple[Content, Content]:
    first, second = image(), image()
    first.push(kept.server, TEAM, "v1")
    second.push(kept.server, TEAM, "v1")
    return first, second


def test_what_an_overwritten_tag_left_goes_and_what_it_names_now_stays(kept: Kept) -> None:
    first, second = overwritten(kept)
    assert [one["digest"] for one in collect(kept, dry_run=True)["named"]] == [str(first.digest)]
    assert shown(kept) == {str(first.digest), str(second.digest)}, "a dry run takes nothing"
    dry = kept.gc(untagged=True, older_than=0, dry_run=True)
    result = kept.gc(untagged=True, older_than=0)
    assert (dry["blobs"], dry["links"]) == (result["blobs"], result["links"])
    assert dry["untagged"] == result["untagged"]
    assert result["untagged"]["manifests"] == 1
    assert result["blobs"] == len(first.blobs) + 1
    assert shown(kept) == {str(second.digest)}
    assert pull_whole(kept.server, TEAM, "v1") == second.manifest
    assert kept.held(first.digest) == (False, False)
    buried = find(kept.inside.station.reader, TEAM, str(first.digest), "manifest")
    assert buried is not None
    assert buried.why == "no tag of the repository led to it"
    (event,) = kept.inside.events(Act.GC_UNTAGGED)
    assert (event["thing"], event["detail"]["digests"]) == (TEAM, [str(first.digest)])


def test_without_being_asked_for_nothing_without_a_tag_goes(kept: Kept) -> None:
    first, _ = overwritten(kept)
    assert kept.gc()["untagged"] is None
    assert str(first.digest) in shown(kept)


def test_the_age_counts_from_when_the_last_tag_left(kept: Kept) -> None:
    first, second = overwritten(kept)
    old, young = clock.after(-40 * HOUR), clock.after(-2 * HOUR)
    linked_at(kept, first.digest, old)
    assert collect(kept, HOUR)["kept"] == {"young": 1}, "its tag was moved a moment ago"
    with edited(kept) as database:
        database.execute("UPDATE untagged SET since = ?", (young,))
    assert collect(kept, 30 * HOUR, dry_run=True)["manifests"] == 0
    assert collect(kept, HOUR)["manifests"] == 1
    assert shown(kept) == {str(second.digest)}


@pytest.mark.parametrize("how", ["deleted", "pushed by digest"])
def test_a_manifest_whose_tag_was_deleted_or_that_never_had_one_has_its_age(kept: Kept, how: str) -> None:
    content = image()
    content.push(kept.server, TEAM, "v1" if how == "deleted" else "")
    image().push(kept.server, TEAM, "other")
    linked_at(kept, content.digest, clock.after(-40 * HOUR))
    if how == "deleted":
        assert kept.server.ask("DELETE", f"/v2/{TEAM}/manifests/v1").status == 202
        assert collect(kept, HOUR)["kept"] == {"young": 1}
    else:
        assert collect(kept, HOUR)["manifests"] == 1


def test_what_an_index_lists_goes_with_the_index_and_not_before(kept: Kept) -> None:
    old, new = index([image(), image()]), index([image()])
    old.push(kept.server, TEAM, "v1")
    new.push(kept.server, TEAM, "v1")
    with edited(kept) as database:  # only the children are old
        database.execute("UPDATE links SET created = '2020-01-01T00:00:00Z', checksum = NULL WHERE kind = 'manifest'")
    assert collect(kept, HOUR)["kept"] == {"young": 1, "referenced": 2}
    found = collect(kept)
    assert found["named"][0]["digest"] == str(old.digest), "an index goes before what it lists"
    assert found["manifests"] == 3
    assert shown(kept) == {str(new.digest), str(new.children[0].digest)}
    assert count(kept.inside.station, ManifestReferences(kept.inside.station.blobs), TEAM) == 0


def test_what_refers_to_a_tag_and_what_a_tag_refers_to_stay(kept: Kept) -> None:
    tagged, lost = image(), image()
    tagged.push(kept.server, TEAM, "v1")
    sbom = artifact(subject=tagged.described())
    of_sbom = artifact(subject=sbom.described())
    lost.push(kept.server, TEAM)
    signature = artifact(subject=lost.described())
    for content, tag in ((sbom, ""), (of_sbom, ""), (signature, "sig")):
        content.push(kept.server, TEAM, tag)
    assert collect(kept)["manifests"] == 0
    assert kept.server.ask("DELETE", f"/v2/{TEAM}/manifests/sig").status == 202
    assert {one["digest"] for one in collect(kept)["named"]} == {str(lost.digest), str(signature.digest)}
    assert shown(kept) == {str(one.digest) for one in (tagged, sbom, of_sbom)}


def test_what_refers_to_something_young_keeps_it(kept: Kept) -> None:
    lost = image()
    lost.push(kept.server, TEAM)
    image().push(kept.server, TEAM, "v1")
    linked_at(kept, lost.digest, clock.after(-40 * HOUR))
    artifact(subject=lost.described()).push(kept.server, TEAM)
    assert collect(kept, HOUR)["kept"] == {"young": 1, "referenced": 1}


@pytest.mark.parametrize("what", ["manifest", "layer", "child"])
def test_what_is_blocked_stays_with_all_that_leads_to_it(kept: Kept, what: str) -> None:
    child = image()
    lost = index([child, image()]) if what == "child" else child
    lost.push(kept.server, TEAM)
    digest = {"manifest": child.digest, "layer": Digest.of(child.blobs[-1]), "child": child.digest}[what]
    kept.inside.writer.submit(Block(digest=str(digest), why="CVE", actor="anna", at=clock.now()))
    found = collect(kept)
    assert (found["manifests"], found["kept"]["blocked"]) == (0, 2 if what == "child" else 1)
    assert str(lost.digest) in shown(kept)


def test_what_is_pinned_stays(kept: Kept) -> None:
    first, _ = overwritten(kept)
    with edited(kept) as database:
        database.execute("INSERT INTO pins VALUES ('receipt:1', ?)", (str(first.digest),))
    assert collect(kept)["kept"] == {"pinned": 1}


def test_what_a_running_build_carries_stays(kept: Kept) -> None:
    first, _ = overwritten(kept)
    work = UntaggedCollection(
        kept.inside.station, "tester(0)", clock.now(), building={str(first.digest)}, turn=contextlib.nullcontext,
        log=lambda _: None, attend=lambda: None,
    )  # fmt: skip
    assert work.run(dry_run=False).to_json()["kept"] == {"building": 1}


@pytest.fixture
def released(kept: Kept, tmp_path: Path) -> Content:
    """A bundle's artifact is released beside what clients left without a tag."""
    store = MemoryStore()
    carried = carry(tmp_path / "medium", store, [file_artifact(store, b"content", TEAM)])
    kept.inside.trust(carried.key.public)
    kept.inside.bring(carried.folder)
    first, _ = overwritten(kept)
    kept.inside.decide(name_of(), kept.inside.officer())
    kept.inside.decide(name_of(), kept.inside.officer("Second"))
    kept.inside.release(name_of())
    return first


@pytest.mark.parametrize("rows", ["whole", "deleted by hand"])
def test_a_repository_with_released_content_is_left_alone_whatever_the_rows_say(
    kept: Kept, released: Content, rows: str
) -> None:
    if rows != "whole":
        with edited(kept) as database:
            database.execute("DELETE FROM released")
    before = shown(kept)
    assert set(collect(kept)["kept"]) == {"released"}
    assert str(released.digest) in shown(kept) == before


def test_what_is_released_between_look_and_transaction_stays(
    kept: Kept, released: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UntaggedCollection, "_released_by_the_log", lambda _: frozenset())
    monkeypatch.setattr("appliance.store.reads.untagged.holds_released", lambda *_: False)
    assert collect(kept)["manifests"] == 0
    assert str(released.digest) in shown(kept)


def test_a_repository_where_a_manifest_cannot_be_read_is_left_alone(kept: Kept) -> None:
    first, _ = overwritten(kept)
    broken = index([image()])
    broken.push(kept.server, TEAM, "v2")
    kept.rot(broken.digest)
    context = kept.inside.context(untagged=True, older_than=0)
    assert gc.run(context)["untagged"]["manifests"] == 0
    assert any("nothing without a tag was taken" in line for line in context.lines)
    assert str(first.digest) in shown(kept)


@pytest.mark.parametrize("change", ["a tag", "a push"])
def test_where_the_repository_changes_between_look_and_transaction_nothing_is_taken_for_that_look(
    kept: Kept, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = overwritten(kept)
    real, changed = UntaggedCollection._unlink, list[int]()

    def unlink(work: UntaggedCollection, repository: str, digests: tuple[str, ...], state: str) -> str:
        if not changed:
            changed.append(1)
            if change == "a tag":
                at = clock.now()
                kept.inside.writer.submit(PutTag(repository=TEAM, tag="again", digest=str(first.digest), at=at))
            else:
                image().push(kept.server, TEAM, "v9")
        return real(work, repository, digests, state)

    monkeypatch.setattr(UntaggedCollection, "_unlink", unlink)
    found = collect(kept)
    assert found["manifests"] == (0 if change == "a tag" else 1)
    assert (str(first.digest) in shown(kept)) is (change == "a tag")
    taken_back = [event for event in kept.inside.events(Act.GC_UNTAGGED) if event["outcome"] != "done"]
    assert len(taken_back) == 1
    assert taken_back[0]["detail"]["takes_back"]


def test_many_go_in_pages_of_one_event_each(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GC_PAGE", 2)
    old = index([image(), image(), image()])
    old.push(kept.server, TEAM, "v1")
    image().push(kept.server, TEAM, "v1")
    assert collect(kept)["manifests"] == 4
    events = kept.inside.events(Act.GC_UNTAGGED)
    assert [len(event["detail"]["digests"]) for event in events] == [2, 2]
    assert len(shown(kept)) == 1


def test_a_link_made_by_hand_afterwards_is_found_and_the_database_has_forgotten_nothing(kept: Kept) -> None:
    for worker in kept.workers:
        worker.services = dataclasses.replace(worker.services, audit=kept.inside.station.audit)
    first, _ = overwritten(kept)
    for content in (first,):
        kept.inside.station.audit.record(
            gc_untagged.AuditEvent(Act.PUSH_MANIFEST, "robot", f"{TEAM}@{content.digest}", "done", {"tags": "v1"})
        )
    collect(kept)
    assert str(first.digest) not in {one["digest"] for one in unexplained(kept.inside.station)}
    assert list(forgotten._missing_links(kept.paths, kept.inside.station.reader)) == []
    with edited(kept) as database:
        database.execute("INSERT OR IGNORE INTO blobs VALUES (?, 1, 0, '', NULL)", (str(first.digest),))
        database.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, 'manifest', ? FROM repositories"
            " WHERE name = ?",
            (str(first.digest), clock.now(), TEAM),
        )
    assert str(first.digest) in {one["digest"] for one in unexplained(kept.inside.station)}


@pytest.mark.parametrize("older_than", [-1, 1.5, "30d", True, limits.UNTAGGED_OLDER_MOST + 1])
def test_an_age_that_is_none_is_a_usage_error(kept: Kept, older_than: object) -> None:
    with pytest.raises(UsageError, match="older_than"):
        kept.gc(untagged=True, older_than=older_than)


def test_an_age_without_the_word_is_a_usage_error(kept: Kept) -> None:
    with pytest.raises(UsageError, match="older_than"):
        kept.gc(older_than=3)


def test_usually_what_lost_its_tag_within_thirty_days_stays(kept: Kept) -> None:
    overwritten(kept)
    assert kept.gc(untagged=True)["untagged"]["kept"] == {"young": 1}


def test_an_index_that_refers_to_what_it_lists_is_ordered_in_the_end(kept: Kept) -> None:
    child = image()
    odd = index([child], subject=child.described())
    odd.push(kept.server, TEAM, "v1")
    image().push(kept.server, TEAM, "v1")
    assert len(untagged(kept.inside.station, ManifestReferences(kept.inside.station.blobs), TEAM)) == 2
    assert collect(kept)["manifests"] == 2


def test_an_outside_asks_no_log_of_releases(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Callable[..., Any]] = []
    monkeypatch.setattr(gc_untagged, "read_log", called.append)
    station = dataclasses.replace(kept.inside.station, config=Config(site="bravo", side="outside"))
    UntaggedCollection(
        station, "a", "", building=(), turn=contextlib.nullcontext, log=lambda _: None, attend=lambda: None
    )
    assert called == []
