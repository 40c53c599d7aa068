"""In a repository that held released content every tag stands where the audit log says, or is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance import clock
from appliance.audit import export
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent, refusal
from appliance.lifecycle.prune import prune_log
from appliance.limits import audit as limits
from appliance.release_check import cut_record
from appliance.release_check import moved_tags as module
from appliance.release_check import replay as replay_module
from appliance.release_check.moved_tags import alarms, moved, moved_tags
from appliance.release_check.unexplained import unexplained
from appliance.store.reads.intake import find_entry
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.registry import DeleteManifest, DeleteTag, PutManifest
from bundles.errors import FailedError
from bundles.oci.manifest import OCI_MANIFEST
from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

TEAM, OTHER = "team/app", "team/other"


class Line:
    """A station with three bundles of one stream: the second moves the tag that the first sets in TEAM."""

    def __init__(self, folder: Path) -> None:
        self.inside = Inside(folder / "bravo", approvals_needed=1)
        self.digests: dict[int, dict[str, str]] = {}
        self.patch = pytest.MonkeyPatch()
        key, previous = None, None
        for number in (1, 2, 3):
            store = MemoryStore()
            names = (TEAM, OTHER) if number == 1 else (TEAM,)
            artifacts = [file_artifact(store, f"{number} {name}".encode(), name) for name in names]
            made = carry(folder / f"medium{number}", store, artifacts, sequence=number, previous=previous)
            key, previous = made.key, made.digest
            self.inside.trust(key.public, owner=f"Builder {number}")
            self.inside.bring(made.folder)
            self.digests[number] = {one.repository: one.digest for one in artifacts}
        (self.tag,) = artifacts[0].tags
        self.officer = self.inside.officer()

    def say(self, act: Act, thing: str, **detail: object) -> None:
        self.inside.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))

    def release(self, *numbers: int, only: tuple[str, ...] = ()) -> None:
        for number in numbers:
            name = name_of(number)
            if self.inside.state(name) != "released":
                self.inside.decide(name, self.officer)
            self.inside.release(name, only)

    def sql(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.inside.station.paths.database) as intruder:
            intruder.execute(statement, values)
        intruder.close()

    def move(self, digest: str, tag: str = "", repository: str = TEAM) -> None:
        """A tag set by hand, "" for a deletion."""
        tag, at = tag or self.tag, "(SELECT id FROM repositories WHERE name = ?)"
        self.sql(f"DELETE FROM tags WHERE tag = ? AND repository_id = {at}", tag, repository)
        if digest:
            self.sql(f"INSERT INTO tags (repository_id, tag, digest, updated) VALUES ({at}, ?, ?, '')",
                     repository, tag, digest)  # fmt: skip

    def prune(self, out: str = "out") -> None:
        for number in range(16):
            self.say(Act.JOB_READ, f"{out}{number}", pad="x" * 400)
        paths = self.inside.station.paths
        target = paths.root.parent / out
        export.export(paths, target, {}, site="bravo", at=clock.now())
        gone, _ = prune_log(paths, target)
        assert gone > 0

    def push(self, digest: str, *tags: str, **said: object) -> None:
        """A client's push of a manifest that is shown, as it is where config.toml lets clients write."""
        self.say(Act.PUSH_MANIFEST, f"{TEAM}@{digest}", tags=" ".join(tags), **said)
        row = ManifestRow(blob=BlobRow(digest=digest, size=1, crc32=0), media_type=OCI_MANIFEST)
        self.inside.writer.submit(PutManifest(repository=TEAM, manifest=row, at=clock.now(), tags=tags))

    def found(self) -> list[tuple[str, str, str]]:
        return [(one["tag"], one["digest"], one["found"]) for one in moved_tags(self.inside.station)]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(limits, "AUDIT_SEGMENT", 2_000)
    monkeypatch.setattr(module, "_SETTLES", 0)
    made = Line(tmp_path)
    made.patch = monkeypatch
    with made.inside:
        yield made


@pytest.mark.parametrize("pruned", [False, True])
def test_after_a_withdrawal_the_tag_stands_at_what_counts_and_nowhere_else(line: Line, pruned: bool) -> None:
    line.release(1, 2)
    line.inside.withdraw(name_of(2))
    if pruned:
        line.prune()
    assert line.found() == []
    first, second = line.digests[1][TEAM], line.digests[2][TEAM]
    for wrong in ("", second, line.digests[1][OTHER]):
        line.move(wrong)
        assert line.found() == [(line.tag, first, wrong)]
    (alarm,) = alarms(moved_tags(line.inside.station))
    assert name_of(1) in alarm
    assert f"{TEAM}:{line.tag}" in alarm


@pytest.mark.parametrize("pruned", [False, True])
def test_a_tag_of_which_every_release_was_withdrawn_stands_nowhere(line: Line, pruned: bool) -> None:
    line.release(1, 2)
    line.inside.withdraw(name_of(2))
    line.inside.withdraw(name_of(1))
    line.release(3)
    line.inside.withdraw(name_of(3))
    line.release(1, only=(OTHER,))
    if pruned:
        line.prune()
        line.prune("again")
    assert line.found() == []
    line.sql("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, '')", TEAM)
    for digest in (line.digests[1][TEAM], line.digests[1][OTHER], line.digests[3][TEAM]):
        line.move(digest)
        assert line.found() == [(line.tag, "", digest)]
    assert "nowhere" in alarms(moved_tags(line.inside.station))[0]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_tag_that_nobody_set_is_found(line: Line, pruned: bool) -> None:
    line.release(1)
    if pruned:
        line.prune()
    line.move(line.digests[1][TEAM], "invented")
    assert line.found() == [("invented", "", line.digests[1][TEAM])]


def test_a_tag_that_a_release_of_another_part_did_not_set_is_found(line: Line) -> None:
    line.release(1, only=(OTHER,))
    assert line.found() == []
    line.move(line.digests[1][OTHER], "new", OTHER)
    assert line.found() == [("new", "", line.digests[1][OTHER])]


@pytest.mark.parametrize("pruned", [False, True])
def test_what_clients_did_before_and_after_a_release_raises_no_alarm(line: Line, pruned: bool) -> None:
    line.release(1)
    line.push(line.digests[1][TEAM], "mine", "other")
    line.say(Act.DELETE_TAG, f"{TEAM}:other")
    line.inside.writer.submit(DeleteTag(repository=TEAM, tag="other"))
    line.release(2)
    if pruned:
        line.prune()
    assert line.found() == []
    line.move(line.digests[2][TEAM], "mine")
    assert line.found() == [("mine", line.digests[1][TEAM], line.digests[2][TEAM])]
    line.move(line.digests[1][TEAM], "mine")
    line.move(line.digests[1][TEAM], "other")
    assert line.found() == [("other", "", line.digests[1][TEAM])]
    line.move("", "other")
    line.say(Act.DELETE_MANIFEST, f"{TEAM}@{line.digests[1][TEAM]}")
    line.inside.writer.submit(DeleteManifest(repository=TEAM, digest=line.digests[1][TEAM]))
    assert line.found() == []
    line.inside.withdraw(name_of(2))
    assert line.found() == []


@pytest.mark.parametrize("pruned", [False, True])
def test_a_push_that_was_taken_back_moves_no_tag(line: Line, pruned: bool) -> None:
    line.release(1)
    thing = f"{TEAM}@{line.digests[1][TEAM]}"
    line.say(Act.PUSH_MANIFEST, thing, tags="stale")
    if pruned:
        line.prune()
    error = FailedError("nothing was changed")
    line.inside.station.audit.record(refusal(Act.PUSH_MANIFEST, "tester(0)", thing, error, recorded=True))
    assert line.found() == []
    if pruned:
        line.prune("again")
    assert line.found() == []


@pytest.mark.parametrize("pruned", [False, True])
def test_a_push_into_released_content_after_somebody_deleted_its_rows_counts_for_nothing(
    line: Line, monkeypatch: pytest.MonkeyPatch, pruned: bool
) -> None:
    """The station lets no client write where released content is; which the database then does not know."""
    line.release(1, 2)
    line.sql("DELETE FROM released")
    real = clock.micros
    monkeypatch.setattr(clock, "micros", lambda: real() + 3_000_000)  # later than two processes may disagree
    first, second = line.digests[1][TEAM], line.digests[2][TEAM]
    line.push(first, line.tag, keeps_released=True)
    if pruned:
        line.prune()
    assert line.found() == [(line.tag, second, first)]


def test_a_push_beside_a_withdrawal_counts_whichever_was_recorded_first(line: Line) -> None:
    line.release(1, only=(OTHER,))
    line.release(3)
    line.inside.withdraw(name_of(3))
    line.say(Act.INTAKE_RELEASE, name_of(3), digest=bundle(line, 3))
    thing = f"{TEAM}@{line.digests[1][TEAM]}"
    line.say(Act.PUSH_MANIFEST, thing, tags="robots", keeps_released=True)
    line.say(Act.INTAKE_WITHDRAW, name_of(3), digest=bundle(line, 3))
    line.push(line.digests[1][TEAM], "robots")
    assert line.found() == []


@pytest.mark.parametrize("pruned", [False, True])
def test_a_push_of_what_a_release_showed_explains_nothing_once_that_is_withdrawn(line: Line, pruned: bool) -> None:
    line.release(1)
    line.push(line.digests[1][TEAM])
    line.inside.withdraw(name_of(1))
    if pruned:
        line.prune()
    assert line.found() == []
    line.sql("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, '')", TEAM)
    line.sql("INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, 'manifest', '' FROM repositories"
             " WHERE name = ?", line.digests[1][TEAM], TEAM)  # fmt: skip
    assert line.found() == [("", line.digests[1][TEAM], line.digests[1][TEAM])]
    assert "withdrawn" in alarms(moved_tags(line.inside.station))[0]


@pytest.mark.parametrize("pruned", [False, True])
def test_a_released_manifest_that_is_not_shown_is_found(line: Line, pruned: bool) -> None:
    line.release(1, 2)
    if pruned:
        line.prune()
    second = line.digests[2][TEAM]
    line.sql("DELETE FROM tags WHERE digest = ?", second)
    line.sql("DELETE FROM links WHERE digest = ?", second)
    found = [(one["kind"], one["digest"], one["bundle"]) for one in moved_tags(line.inside.station)]
    assert found == [("tag", second, name_of(2)), ("missing", second, name_of(2))]
    assert name_of(2) in alarms(moved_tags(line.inside.station))[1]
    line.say(Act.DELETE_MANIFEST, f"{TEAM}@{second}")
    assert line.found() == [], "a client deleted it, as an earlier version let clients"


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM released",
        "DELETE FROM released WHERE kind = 'tag'",
        "UPDATE released SET made = 0",
        "UPDATE released SET made = 1 - made",
        "UPDATE released SET previous = (SELECT digest FROM tags WHERE digest != coalesce(previous, '') LIMIT 1)"
        " WHERE kind = 'tag'",
        "UPDATE released SET entry = 1000 - entry",
        "UPDATE OR IGNORE released SET digest = (SELECT digest FROM intake WHERE id LIKE '%3')",
        "UPDATE OR IGNORE released SET repository = 'team/else'",
    ],
)
def test_a_withdrawal_that_edited_rows_lead_astray_is_found(line: Line, edit: str) -> None:
    line.release(1, 2)
    line.sql(edit)
    line.inside.withdraw(name_of(2))
    now = moved_tags(line.inside.station) + unexplained(line.inside.station)
    right = line.inside.station.metadata.tag_target(TEAM, line.tag) == line.digests[1][TEAM]
    shown = {row[1] for row in line.inside.visible()["links"]}
    assert now or (right and line.digests[2][TEAM] not in shown)


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(
    ("edit", "how"),
    [
        ("DELETE FROM released WHERE kind = 'tag'", "missing"),
        ("DELETE FROM released WHERE kind = 'manifest'", "missing"),
        ("DELETE FROM released", "missing"),
        ("UPDATE OR IGNORE released SET digest = (SELECT digest FROM intake WHERE id LIKE '%3')", "unexplained"),
        ("UPDATE released SET repository = repository || '/else'", "unexplained"),
        ("UPDATE released SET item = 'latest' WHERE kind = 'tag' AND digest = (SELECT max(digest) FROM released)",
         "unexplained"),
    ],
)  # fmt: skip
def test_a_claim_that_was_edited_is_found(line: Line, edit: str, how: str, pruned: bool) -> None:
    line.release(1, 2)
    if pruned:
        line.prune()
    assert moved(line.inside.station) == []
    line.sql(edit)
    found = [one for one in moved(line.inside.station) if one["kind"] == module.CLAIM]
    assert how in {one["found"] for one in found}
    assert "row" in alarms(found)[0]


def test_clients_tags_where_nothing_was_ever_released_are_their_own(line: Line) -> None:
    line.release(1, only=(OTHER,))
    line.sql("INSERT INTO repositories (name, created) VALUES ('robots/own', '')")
    line.move(line.digests[1][OTHER], "any", "robots/own")
    assert line.found() == []


@pytest.mark.parametrize("kept", ["file", "entry", "neither"])
def test_the_signed_manifest_says_which_tags_a_release_set(line: Line, kept: str) -> None:
    line.release(1)
    if kept != "file":
        for path in line.inside.station.paths.imported.glob("*.json"):
            path.unlink()
    if kept != "entry":
        line.sql("UPDATE intake_sums SET sums = x'00'")
    assert line.found() == []
    line.move(line.digests[1][OTHER])
    if kept == "neither":  # then that is what is wrong, and the bundle is named
        assert line.found() == []
        assert {("entry", name_of(1)), ("kept", name_of(1))} <= {
            (one["kind"], one["bundle"]) for one in unexplained(line.inside.station)
        }
    else:
        assert line.found() == [(line.tag, line.digests[1][TEAM], line.digests[1][OTHER])]


def test_a_cut_of_an_earlier_version_still_says_where_released_tags_stand(line: Line) -> None:
    """It kept releases and withdrawals alone: what clients did before it is not known, and raises no alarm."""
    line.release(1)
    line.push(line.digests[1][TEAM], "mine")
    line.prune()
    earlier(line, [{"step": True, "digest": bundle(line, 1), "id": name_of(1),
                    "references": [f"{TEAM}:{line.tag}", f"{OTHER}:{line.tag}"]}])  # fmt: skip
    assert line.found() == []
    line.move(line.digests[1][OTHER])
    assert line.found() == [(line.tag, line.digests[1][TEAM], line.digests[1][OTHER])]


def bundle(line: Line, number: int) -> str:
    return find_entry(line.inside.station.reader, name_of(number)).digest


def earlier(line: Line, steps: list[dict[str, object]]) -> None:
    """Put the newest cut's record into the form of an earlier version, and its digest into the signed cut."""
    (path,) = line.inside.station.paths.imported.glob("*.cut")
    said = [json.loads(text) for text in path.read_text().splitlines()]
    old = [
        {name: one[name] for name in ("bundle", "id", "manifest", "released")} for one in said if "bundle" in one
    ] + steps + [one for one in said if "links" in one]  # fmt: skip
    for one in old:
        if one.get("released") is not None:
            one["released"] = {"everything": True, "artifacts": {}, "references": []}
    path.write_text("".join(json.dumps(one) + "\n" for one in old))
    real = cut_record.newest_cut
    changed = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(path.with_name(f"{changed}.cut"))

    def newest(*args: object) -> object:
        record = real(*args)  # type: ignore[arg-type]
        return None if record is None else msgspec.structs.replace(record, sha256=changed)

    line.patch.setattr(cut_record, "newest_cut", newest)


@pytest.mark.parametrize("column", ["digest", "updated"])
def test_a_damaged_tag_stops_no_release_and_no_withdrawal_and_is_right_after_either(line: Line, column: str) -> None:
    def damage() -> None:
        line.sql(f"UPDATE tags SET {column} = 'x' WHERE tag = ? AND repository_id ="
                 " (SELECT id FROM repositories WHERE name = ?)", line.tag, TEAM)  # fmt: skip

    def stands() -> str | None:
        facts = line.inside.station.metadata.tagged_manifest(TEAM, line.tag)
        return None if facts is None else str(facts.digest)

    line.release(1)
    damage()
    line.release(2)
    assert stands() == line.digests[2][TEAM]
    damage()
    line.inside.withdraw(name_of(2))
    assert stands() == line.digests[1][TEAM]
    assert moved_tags(line.inside.station) == []


def test_a_collection_of_what_has_no_tag_counts_for_nothing_where_released_content_stands(line: Line) -> None:
    line.patch.setattr(replay_module, "_RACE", 0)
    line.release(1)
    digest = line.digests[1][TEAM]
    line.say(Act.GC_UNTAGGED, TEAM, digests=[digest], keeps_released=True)
    line.sql("DELETE FROM links WHERE digest = ?", digest)
    assert ("missing", digest) in {(one["kind"], one["digest"]) for one in moved_tags(line.inside.station)}


@pytest.mark.parametrize("pruned", [False, True])
def test_what_was_collected_for_want_of_a_tag_is_missing_nowhere_and_copies_set_tags(line: Line, pruned: bool) -> None:
    line.release(1)
    line.inside.withdraw(name_of(1))
    line.release(1, only=(OTHER,))
    digest = line.digests[1][TEAM]
    line.say(Act.COPY_MANIFEST, f"{TEAM}@{digest}", source=OTHER, tags="copied")
    row = ManifestRow(blob=BlobRow(digest=digest, size=1, crc32=0), media_type=OCI_MANIFEST)
    line.inside.writer.submit(PutManifest(repository=TEAM, manifest=row, at=clock.now(), tags=("copied",)))
    if pruned:
        line.prune()
    assert line.found() == []
    line.say(Act.DELETE_TAG, f"{TEAM}:copied")
    line.inside.writer.submit(DeleteTag(repository=TEAM, tag="copied"))
    line.say(Act.GC_UNTAGGED, TEAM, digests=[digest])
    line.inside.writer.submit(DeleteManifest(repository=TEAM, digest=digest))
    if pruned:
        line.prune("again")
    assert line.found() == []
    line.sql("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, '')", TEAM)
    line.move(digest, "copied")
    assert line.found() == [("copied", "", digest)]
