"""After a prune of the audit log the check of what is shown still knows what the log said before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.intake import approvals
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.origin import Origin, write_origin
from appliance.release_check import cut_record, log_record
from appliance.release_check import moved_tags as tags_moved
from appliance.release_check.unexplained import alarms, unexplained
from appliance.store.reads.intake import decisions_of, find_entry
from bundles import limits as bundle_limits
from bundles.errors import FailedError, RefusedError
from bundles.io import strict_json
from bundles.oci.digest import Digest
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

NAME = name_of()
ONE, TWO = "team/one", "team/two"


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """A station with a bundle of two artifacts, in two repositories, in quarantine."""
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    with Inside(tmp_path / "strict", open_=False) as station:
        store = MemoryStore()
        artifacts = [file_artifact(store, name.encode(), name) for name in (ONE, TWO)]
        made = carry(tmp_path / "carried", store, artifacts)
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        yield station


def say(station: Inside, act: Act, thing: str = NAME, **detail: object) -> None:
    station.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))


def prune(station: Inside, out: str = "out") -> None:
    """Everything that was said so far is exported and goes."""
    for number in range(16):
        say(station, Act.JOB_READ, f"{out}{number}", pad="x" * 400)
    paths = station.station.paths
    target = paths.root.parent / out
    export.export(paths, target, {}, site="bravo", at=clock.now())
    gone, cut = prune_log(paths, target)
    assert cut is not None
    assert gone > 0
    assert not any(b'"act":"intake.' in path.read_bytes() for path in (paths.audit / "lanes").glob("*.jsonl"))


def digest_of(station: Inside, name: str = NAME) -> str:
    return find_entry(station.station.reader, name).digest


def artifact(station: Inside, repository: str, name: str = NAME) -> str:
    """The digest of the bundle's artifact in a repository."""
    manifest = json.loads(
        station.station.reader.execute(
            "SELECT manifest FROM intake_documents d JOIN intake i USING (digest) WHERE i.id = ?", (name,)
        ).fetchone()[0]
    )
    return next(str(one["digest"]) for one in manifest["artifacts"] if one["repository"] == repository)


def link(station: Inside, digest: str, repository: str) -> str:
    """A row made by hand."""
    with sqlite3.connect(station.station.paths.database) as intruder:
        intruder.execute("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, ?)", (repository, clock.now()))
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, 'manifest', ? FROM repositories"
            " WHERE name = ?",
            (digest, "2020-01-01T00:00:00Z", repository),
        )
    intruder.close()
    return digest


def approved(station: Inside) -> None:
    for owner in ("Anna", "Boris"):
        station.decide(NAME, station.officer(owner))


def released(station: Inside, *only: str) -> None:
    station.release(NAME, only)


def kinds(station: Inside) -> set[tuple[str, str]]:
    return {(one["kind"], one["repository"]) for one in unexplained(station.station)}


def test_a_link_to_what_stands_in_quarantine_since_before_a_prune_is_found(inside: Inside) -> None:
    prune(inside)
    assert unexplained(inside.station) == []
    digest = link(inside, artifact(inside, ONE), "stolen")
    found = unexplained(inside.station)
    assert found == [{"repository": "stolen", "digest": digest, "kind": "manifest", "bundle": NAME}]


@pytest.mark.parametrize("prunes", [1, 2])
def test_what_was_released_before_a_prune_is_explained_after_it(inside: Inside, prunes: int) -> None:
    approved(inside)
    released(inside)
    for number in range(prunes):
        prune(inside, f"out{number}")
    assert unexplained(inside.station) == []
    link(inside, artifact(inside, ONE), "stolen")
    link(inside, artifact(inside, ONE), TWO)
    assert kinds(inside) == {("manifest", "stolen"), ("manifest", TWO)}


def test_a_withdrawal_after_a_prune_ends_what_was_released_before_it(inside: Inside) -> None:
    approved(inside)
    released(inside)
    prune(inside)
    inside.withdraw(NAME)
    assert unexplained(inside.station) == []
    link(inside, artifact(inside, ONE), ONE)
    assert kinds(inside) == {("manifest", ONE)}


def test_a_withdrawal_before_a_prune_stays_one(inside: Inside) -> None:
    approved(inside)
    released(inside)
    inside.withdraw(NAME)
    prune(inside)
    assert unexplained(inside.station) == []
    link(inside, artifact(inside, ONE), ONE)
    assert kinds(inside) == {("manifest", ONE)}


def test_a_release_that_is_taken_back_after_a_prune_explains_nothing(inside: Inside) -> None:
    approved(inside)
    say(inside, Act.INTAKE_RELEASE, digest=digest_of(inside), whole=True)
    prune(inside)
    error = FailedError("the disk is full")
    inside.station.audit.record(refusal(Act.INTAKE_RELEASE, "tester(0)", NAME, error, recorded=True))
    link(inside, artifact(inside, ONE), ONE)
    assert kinds(inside) == {("manifest", ONE)}


@pytest.mark.parametrize("act", [Act.PUSH_MANIFEST, Act.MOUNT_BLOB, Act.COLLECT])
def test_a_link_that_was_pushed_or_collected_before_a_prune_is_explained_after_it(inside: Inside, act: Act) -> None:
    digest = link(inside, artifact(inside, ONE), "mine")
    say(inside, act, f"mine@{digest}", digest=digest)
    prune(inside)
    prune(inside, "again")
    assert unexplained(inside.station) == []
    link(inside, artifact(inside, TWO), "mine")
    assert kinds(inside) == {("manifest", "mine")}


def test_a_push_before_a_prune_explains_no_link_that_was_gone_by_then(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_record, "_SETTLES", 0)
    say(inside, Act.PUSH_MANIFEST, f"mine@{artifact(inside, ONE)}")
    prune(inside)
    link(inside, artifact(inside, ONE), "mine")
    assert kinds(inside) == {("manifest", "mine")}


def test_a_push_that_is_on_its_way_into_the_database_during_a_prune_is_explained_after_it(inside: Inside) -> None:
    say(inside, Act.PUSH_MANIFEST, f"mine@{artifact(inside, ONE)}")
    prune(inside)
    link(inside, artifact(inside, ONE), "mine")
    assert kinds(inside) == set()


def test_a_bundle_that_comes_after_a_prune_finds_an_older_link_explained(inside: Inside, tmp_path: Path) -> None:
    """A client pushed the same content before anybody carried it in, and what said so went."""
    store = MemoryStore()
    later = file_artifact(store, b"later", "team/later")
    link(inside, later.digest, "mine")
    say(inside, Act.PUSH_MANIFEST, f"mine@{later.digest}")
    prune(inside)
    made = carry(tmp_path / "later", store, [later], stream="alpha2.bravo")
    trust_key(inside.station.paths.trust, made.key.public, purpose="bundle", owner="Builder Two", sites=["alpha2"])
    inside.bring(made.folder)
    assert unexplained(inside.station) == []


def test_a_part_that_was_released_explains_nothing_else_of_the_bundle(inside: Inside) -> None:
    approved(inside)
    released(inside, ONE)
    assert unexplained(inside.station) == []
    digest = link(inside, artifact(inside, TWO), TWO)
    assert unexplained(inside.station) == [{"repository": TWO, "digest": digest, "kind": "manifest", "bundle": NAME}]
    prune(inside)
    assert [one["digest"] for one in unexplained(inside.station)] == [digest]


def test_two_parts_explain_both(inside: Inside) -> None:
    approved(inside)
    released(inside, ONE)
    released(inside, TWO)
    assert unexplained(inside.station) == []
    prune(inside)
    assert unexplained(inside.station) == []
    inside.withdraw(NAME)
    link(inside, artifact(inside, ONE), ONE)
    assert kinds(inside) == {("manifest", ONE)}


def test_a_part_that_an_earlier_version_released_is_told_by_its_references(inside: Inside) -> None:
    approved(inside)
    say(
        inside,
        Act.INTAKE_RELEASE,
        digest=digest_of(inside),
        references=inside.release(NAME, [ONE], recorded=False),
        whole=False,
    )
    assert unexplained(inside.station) == []
    digest = link(inside, artifact(inside, TWO), TWO)
    assert [one["digest"] for one in unexplained(inside.station)] == [digest]


def test_a_whole_release_explains_no_artifact_in_another_repository_of_its_bundle(inside: Inside) -> None:
    approved(inside)
    released(inside)
    link(inside, artifact(inside, ONE), TWO)
    assert kinds(inside) == {("manifest", TWO)}


def test_a_manifest_whose_bytes_were_changed_explains_nothing_by_what_it_names_now(inside: Inside) -> None:
    approved(inside)
    released(inside, ONE)
    one, two = (Digest.parse(artifact(inside, name)) for name in (ONE, TWO))
    paths = inside.station.paths
    paths.blob(one).chmod(0o600)
    paths.blob(one).write_bytes(paths.blob(two).read_bytes())
    content = json.loads(paths.blob(two).read_bytes())["layers"][0]["digest"]
    link(inside, content, ONE)
    assert content in {found["digest"] for found in unexplained(inside.station)}


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_of_a_part_whose_manifest_is_damaged_that_one_is_named_and_no_blob(inside: Inside, harm: str) -> None:
    approved(inside)
    released(inside, ONE)
    digest = Digest.parse(artifact(inside, ONE))
    path = inside.station.paths.blob(digest)
    path.chmod(0o600)
    path.unlink() if harm == "gone" else path.write_bytes(b"{}")
    found = unexplained(inside.station)
    assert found == [{"repository": ONE, "digest": str(digest), "kind": "damaged", "bundle": NAME}]
    assert str(digest) in alarms(found)[0]
    other = link(inside, artifact(inside, TWO), ONE)
    assert {one["digest"] for one in unexplained(inside.station)} == {str(digest), other}


def retag(station: Inside, digest: str) -> None:
    """A tag moved by hand."""
    with sqlite3.connect(station.station.paths.database) as intruder:
        where = "(SELECT id FROM repositories WHERE name = ?)"
        intruder.execute(f"UPDATE tags SET digest = ? WHERE repository_id = {where}", (digest, ONE))
    intruder.close()


def test_a_tag_that_was_released_before_a_prune_and_moved_after_it_is_found(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags_moved, "_SETTLES", 0)
    approved(inside)
    released(inside)
    prune(inside)
    prune(inside, "again")
    assert tags_moved.moved_tags(inside.station) == []
    retag(inside, artifact(inside, TWO))
    (found,) = tags_moved.moved_tags(inside.station)
    assert (found["repository"], found["digest"], found["bundle"]) == (ONE, artifact(inside, ONE), NAME)


def test_a_withdrawal_after_a_prune_ends_what_a_release_before_it_said_of_tags(inside: Inside) -> None:
    approved(inside)
    released(inside)
    prune(inside)
    inside.withdraw(NAME)
    prune(inside, "again")
    assert tags_moved.moved_tags(inside.station) == []


@pytest.mark.parametrize("prunes", [1, 2])
@pytest.mark.parametrize("how", ["withdrawn", "rejected"])
def test_when_a_bundle_was_taken_back_and_who_brought_it_is_known_after_a_prune(
    inside: Inside, how: str, prunes: int
) -> None:
    """Else somebody could put the rows of older approvals back."""
    officers = [inside.officer(owner) for owner in ("Anna", "Boris")]
    if how == "rejected":
        inside.decide(NAME, officers[0], "reject", "not wanted")
    else:
        for key in officers:
            inside.decide(NAME, key)
        inside.release(NAME)
        inside.withdraw(NAME)
    entry = find_entry(inside.station.reader, NAME)
    before = approvals.logged(inside.station, entry)
    assert before.undone
    assert before.importer == "tester(0)"
    for number in range(prunes):
        prune(inside, f"out{number}")
    after = approvals.logged(inside.station, entry)
    assert (after.undone, after.importer) == (before.undone, before.importer)
    cut_file(inside).write_bytes(b"")
    assert approvals.logged(inside.station, entry).undone == "", "`intake check` names the file"


@pytest.mark.parametrize("prunes", [1, 2])
def test_what_was_handed_in_and_imported_while_the_station_was_open_is_known_after_a_prune(
    inside: Inside, prunes: int
) -> None:
    """The events of the approval, of the import and of the closing go together, or the closing alone comes after."""
    first, second = inside.officer("Anna"), inside.officer("Boris")
    inside.decide(NAME, first)
    if prunes == 2:
        prune(inside, "before")
    say(inside, Act.CLOSE, "bravo", administrator="ada")
    inside.decide(NAME, second)
    prune(inside, "after")
    entry = find_entry(inside.station.reader, NAME)
    said = approvals.logged(inside.station, entry)
    assert (set(said.while_open), said.brought_while_open) == ({first.public.keyid}, True)
    assert said.hands == {first.public.keyid: "Anna", second.public.keyid: "Boris"}
    with pytest.raises(RefusedError, match="open when the approval by Anna"):
        inside.release(NAME)
    inside.decide(NAME, first)
    with pytest.raises(RefusedError, match="2 of 3"):
        inside.release(NAME)
    inside.decide(NAME, inside.officer("Carla"))
    assert inside.release(NAME)


@pytest.mark.parametrize("how", ["an earlier version's cut", "a removed file"])
def test_an_approval_of_which_nothing_is_known_counts_where_it_is_younger_than_the_closing(
    inside: Inside, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved(inside)
    if how == "an earlier version's cut":
        lines = cut_record.lines
        monkeypatch.setattr(cut_record, "lines", lambda *args, **more: map(earlier, lines(*args, **more)))
    prune(inside)
    if how == "a removed file":
        cut_file(inside).unlink()
    entry = find_entry(inside.station.reader, NAME)
    stored = decisions_of(inside.station.reader, entry.digest)
    assert approvals.still_counting(inside.station, entry, stored).people == 2
    paths, origin = inside.station.paths, Origin(site="bravo", side="inside", open=False, created=clock.after(5))
    write_origin(paths, origin)
    assert approvals.still_counting(inside.station, entry, stored).people == 0
    assert approvals.logged(inside.station, entry).brought_while_open


def earlier(line: bytes) -> bytes:
    """A line of a cut as a program wrote it that kept nothing of approvals."""
    said = json.loads(line)
    for name in ("closed", "open", "approved"):
        said.pop(name, None)
    return strict_json.canonical(said) + b"\n"


def test_an_approval_that_was_taken_back_makes_no_older_one_count(inside: Inside) -> None:
    first = inside.officer("Anna")
    inside.decide(NAME, first)
    say(inside, Act.CLOSE, "bravo", administrator="ada")
    detail = {"digest": digest_of(inside), "keyid": first.public.keyid}
    entry = find_entry(inside.station.reader, NAME)
    for cut in ("", "out"):
        say(inside, Act.INTAKE_APPROVE, **detail)
        if cut:
            prune(inside, cut)
        failed = AuditEvent(Act.INTAKE_APPROVE, "anna", NAME, "failed", {"takes_back": True})
        inside.station.audit.record(failed)
        said = approvals.logged(inside.station, entry)
        assert (first.public.keyid in said.hands) == (first.public.keyid in said.while_open)


def remove(path: Path) -> None:
    path.unlink()


def alter(path: Path) -> None:
    released = b'"released":{"artifacts":{},"everything":true,"references":[]}'
    path.write_bytes(path.read_bytes().replace(b'"released":null', released))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_file(station: Inside) -> Path:
    (path,) = station.station.paths.imported.glob("*.cut")
    return path


@pytest.mark.parametrize("harm", [remove, alter, empty])
def test_what_a_cut_kept_is_missed_and_not_believed_when_it_is_changed(
    inside: Inside, harm: Callable[[Path], None]
) -> None:
    prune(inside)
    link(inside, artifact(inside, ONE), ONE)
    harm(cut_file(inside))
    found = unexplained(inside.station)
    assert [one["kind"] for one in found] == ["cut"]
    assert "what was kept of it is missing or changed" in alarms(found)[0]
    with pytest.raises(RefusedError, match="earlier prune"):
        prune(inside, "again")


@pytest.mark.parametrize("harm", [remove, empty])
def test_a_kept_manifest_of_a_pruned_import_is_missed(inside: Inside, harm: Callable[[Path], None]) -> None:
    prune(inside)
    harm(next(inside.station.paths.imported.glob("*.json")))
    assert [(one["kind"], one["bundle"]) for one in unexplained(inside.station)] == [("kept", NAME)]


def test_an_entry_that_is_deleted_after_a_prune_is_missed(inside: Inside) -> None:
    prune(inside)
    with sqlite3.connect(inside.station.paths.database) as intruder:
        intruder.execute("DROP TRIGGER IF EXISTS intake_steps")
        intruder.execute("DELETE FROM intake")
    intruder.close()
    assert [(one["kind"], one["bundle"]) for one in unexplained(inside.station)] == [("entry", NAME)]


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("name", [f"{'0' * 64}.json", f"{'0' * 64}.cut", "notes", ".hidden"])
def test_a_file_among_the_kept_ones_that_nothing_names_is_found_and_proves_nothing(
    inside: Inside, name: str, pruned: bool
) -> None:
    if pruned:
        prune(inside)
    imported = inside.station.paths.imported
    (imported / name).write_bytes(next(imported.glob("*.json")).read_bytes())
    found = unexplained(inside.station)
    assert [(one["kind"], one["digest"]) for one in found] == [("stray", name)]
    assert name in alarms(found)[0]


def test_more_that_goes_than_the_cut_said_is_found(inside: Inside) -> None:
    prune(inside)
    for number in range(8):
        say(inside, Act.JOB_READ, str(number), pad="x" * 400)
    lanes = sorted((inside.station.paths.audit / "lanes").glob("*.jsonl"))
    for path in lanes[:-1]:
        path.unlink()
    assert ("cut", "") in kinds(inside)


def test_a_prune_that_was_cut_off_before_anything_went_changes_nothing(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(export, "prune", lambda *_: (_ for _ in ()).throw(FailedError("the power went")))
        with pytest.raises(FailedError):
            prune(inside)
    assert unexplained(inside.station) == []
    prune(inside, "again")
    assert unexplained(inside.station) == []
    assert len(list(inside.station.paths.imported.glob("*.cut"))) == 1


def test_a_log_that_explains_too_much_is_not_cut(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_limits, "CUT_RECORD", 100)
    with pytest.raises(FailedError, match="too many links"):
        prune(inside)
    assert unexplained(inside.station) == []
