"""Everything that is shown follows from the audit log; what does not is found, and what does raises no alarm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import clock
from appliance.audit.event import AuditEvent, refusal
from appliance.release_check.unexplained import OLDER, alarms, unexplained
from appliance.store.reads.intake import find_entry
from bundles.documents.audit_log import line_of
from bundles.errors import FailedError, IncompleteError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.intake.inside import Inside, name_of, small_bundle
from tests.observe.station import as_earlier_version

NAME = name_of()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "strict", open_=False) as station:
        made = small_bundle(tmp_path / "carried")
        station.trust(made.key.public, owner="Builder")
        station.bring(made.folder)
        yield station


def link(station: Inside, kind: str, repository: str = "stolen") -> str:
    """A row made by hand: the first artifact's manifest, or a blob of it, shown in a repository."""
    which = {"manifest": "$.artifacts[0].digest", "blob": "$.blobs[0].digest"}[kind]
    with sqlite3.connect(station.station.paths.database) as intruder:
        digest = intruder.execute(f"SELECT json_extract(manifest, '{which}') FROM intake_documents").fetchone()[0]
    intruder.close()
    row(station, digest, kind, repository)
    return str(digest)


def row(station: Inside, digest: str, kind: str, repository: str) -> None:
    """A link made by hand."""
    with sqlite3.connect(station.station.paths.database) as intruder:
        intruder.execute("INSERT OR IGNORE INTO repositories (name, created) VALUES (?, ?)", (repository, clock.now()))
        intruder.execute(
            "INSERT INTO links (repository_id, digest, kind, created) SELECT id, ?, ?, ? FROM repositories"
            " WHERE name = ?",
            (digest, kind, clock.now(), repository),
        )
    intruder.close()


def say(station: Inside, act: str, thing: str = NAME, **detail: object) -> None:
    station.station.audit.record(AuditEvent(act, "tester(0)", thing, "done", detail))


def digest_of(station: Inside) -> str:
    return find_entry(station.station.reader, NAME).digest


def released(station: Inside) -> None:
    for owner in ("Anna", "Boris"):
        station.decide(NAME, station.officer(owner))
    station.release(NAME)


def test_nothing_is_shown_and_nothing_found(strict: Inside) -> None:
    assert unexplained(strict.station) == []


def test_what_was_released_is_explained_until_it_is_withdrawn(strict: Inside) -> None:
    released(strict)
    assert unexplained(strict.station) == []
    strict.withdraw(NAME)
    assert unexplained(strict.station) == []
    link(strict, "manifest")
    assert [one["repository"] for one in unexplained(strict.station)] == ["stolen"]


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_a_link_made_by_hand_is_found(strict: Inside, kind: str) -> None:
    digest = link(strict, kind)
    found = unexplained(strict.station)
    assert found == [{"repository": "stolen", "digest": digest, "kind": kind, "bundle": NAME}]
    assert NAME in alarms(found)[0]


def test_content_of_a_bundle_that_is_still_receiving_is_found(tmp_path: Path) -> None:
    """Its volumes that came have their blobs in the store, and no import is in the log yet."""
    with Inside(tmp_path / "strict", open_=False) as station:
        made = small_bundle(tmp_path / "carried", media=2)
        station.trust(made.key.public, owner="Builder")
        with pytest.raises(IncompleteError):
            station.bring(made.folders[0])
        assert station.state(NAME) == "receiving"
        assert unexplained(station.station) == []
        digest = link(station, "manifest")
        found = [{"repository": "stolen", "digest": digest, "kind": "manifest", "bundle": ""}]
        assert unexplained(station.station) == found
        assert "no bundle" in alarms(found)[0]


def test_content_that_no_bundle_brought_is_found(strict: Inside) -> None:
    """As what a refused bundle left in the store."""
    body = b"of a refused bundle"
    strict.station.blobs.put(body, Digest.of(body))
    edit(
        strict, "INSERT INTO blobs (digest, size, crc32, created) VALUES (?, ?, 0, ?)",
        str(Digest.of(body)), len(body), clock.now(),
    )  # fmt: skip
    row(strict, str(Digest.of(body)), "blob", "stolen")
    assert [(one["digest"], one["bundle"]) for one in unexplained(strict.station)] == [(str(Digest.of(body)), "")]


def test_a_state_set_by_hand_explains_nothing(strict: Inside) -> None:
    link(strict, "manifest")
    with sqlite3.connect(strict.station.paths.database) as intruder:
        intruder.execute("UPDATE intake SET state = 'released'")
    intruder.close()
    assert unexplained(strict.station)


def test_a_release_that_was_recorded_and_did_not_happen_explains_nothing(strict: Inside) -> None:
    link(strict, "manifest")
    say(strict, "intake.release", digest=digest_of(strict))
    error = FailedError("the bundle is quarantined, not approved")
    strict.station.audit.record(refusal("intake.release", "tester(0)", NAME, error, recorded=True))
    assert unexplained(strict.station)


def test_a_later_refusal_takes_no_release_back(strict: Inside) -> None:
    released(strict)
    error = FailedError("the bundle is released, not approved")
    strict.station.audit.record(refusal("intake.release", "tester(0)", NAME, error))
    assert unexplained(strict.station) == []


@pytest.mark.parametrize("act", ["push-manifest", "push-blob", "mount-blob"])
def test_what_a_client_pushed_is_explained_by_that_very_link(strict: Inside, act: str) -> None:
    digest = link(strict, "manifest", "mine")
    say(strict, act, f"mine@{digest}")
    assert unexplained(strict.station) == []
    link(strict, "manifest", "stolen")
    assert [one["repository"] for one in unexplained(strict.station)] == ["stolen"]


def test_what_the_station_itself_collected_is_explained_by_its_digest_and_not_by_the_repository(
    strict: Inside,
) -> None:
    digest = link(strict, "manifest", "mine")
    say(strict, "collect", "mine:1", digest=f"sha256:{'1' * 64}")
    assert [one["digest"] for one in unexplained(strict.station)] == [digest], "another artifact was collected there"
    blob = link(strict, "blob", "mine")
    say(strict, "collect", "mine:2", digest=digest)
    explained = {digest, blob} - {one["digest"] for one in unexplained(strict.station)}
    assert digest in explained


def test_a_collected_artifacts_blobs_are_explained_through_its_manifest(strict: Inside) -> None:
    digest = link(strict, "manifest", "mine")
    with strict.station.blobs.open_blob(Digest.parse(digest)) as file:
        blobs = parse_manifest(file.read()).blobs
    for blob in blobs:
        row(strict, str(blob.digest), "blob", "mine")
    assert len(unexplained(strict.station)) == 1 + len({str(blob.digest) for blob in blobs})
    say(strict, "collect", "mine:1", digest=digest)
    assert unexplained(strict.station) == []


def test_a_release_explains_no_link_in_another_repository(strict: Inside) -> None:
    released(strict)
    link(strict, "manifest", "stolen")
    assert [one["repository"] for one in unexplained(strict.station)] == ["stolen"]


@pytest.mark.parametrize(
    ("act", "thing"), [("pull", "stolen@{}"), ("intake.inspect", "stolen"), ("delete-tag", "stolen:1")]
)
def test_what_changes_nothing_explains_nothing(strict: Inside, act: str, thing: str) -> None:
    digest = link(strict, "manifest")
    say(strict, act, thing.format(digest))
    assert unexplained(strict.station)


def test_a_link_that_says_it_is_older_than_a_pruned_log_is_a_finding_of_its_own_kind(strict: Inside) -> None:
    """A client pushed it, long ago, and what said so was pruned; or whoever made it up wrote an old date beside it."""
    digest = link(strict, "manifest", "mine")
    with sqlite3.connect(strict.station.paths.database) as database:
        database.execute("UPDATE links SET created = '2020-01-01T00:00:00Z' WHERE digest = ?", (digest,))
    database.close()
    assert unexplained(strict.station), "a log that was never pruned knows every link"
    lanes = strict.station.paths.audit / "lanes"
    (lanes / "01.000001.jsonl").rename(lanes / "01.000002.jsonl")
    assert [(one["kind"], one["repository"]) for one in unexplained(strict.station)] == [(OLDER, "mine")]
    assert "1 link to imported content is older than the audit log" in alarms(unexplained(strict.station))[0]
    link(strict, "manifest", "stolen")
    found = unexplained(strict.station)
    assert sorted((one["kind"], one["repository"]) for one in found) == [("manifest", "stolen"), (OLDER, "mine")]
    say(strict, "collect", "mine:1", digest=digest)
    assert [one["repository"] for one in unexplained(strict.station)] == ["stolen"], "an event explains one of any age"


def edit(station: Inside, statement: str, *values: object) -> None:
    with sqlite3.connect(station.station.paths.database) as intruder:
        intruder.execute("DROP TRIGGER IF EXISTS intake_steps")
        intruder.execute(statement, values)
    intruder.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE intake_documents SET manifest = substr(manifest, 2)",
        "UPDATE intake_documents SET manifest = json_set(manifest, '$.blobs', json('[]'))",
        "UPDATE intake_sums SET sums = x'00'",
        "UPDATE intake_documents SET manifest = CAST(x'ff' || manifest AS TEXT)",
        "UPDATE intake_documents SET manifest = replace(hex(zeroblob(40000000)), '00', '0')",
        "DELETE FROM intake_documents",
        "DELETE FROM intake_sums",
        f"UPDATE intake SET digest = 'sha256:{'0' * 64}'",
        "DELETE FROM intake",
    ],
)
def test_an_entry_that_is_not_what_was_signed_is_found_and_hides_no_link(strict: Inside, statement: str) -> None:
    """Whoever edits or deletes what a bundle holds would else hide what they show of it."""
    digest = link(strict, "manifest")
    edit(strict, statement)
    found = [(one["kind"], one["bundle"], one["digest"]) for one in unexplained(strict.station)]
    assert found[0][:2] == ("entry", NAME)
    assert ("manifest", NAME, digest) in found


def test_an_invented_entry_with_the_same_content_explains_nothing(strict: Inside) -> None:
    digest = link(strict, "manifest")
    edit(
        strict,
        "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, job, actor, received)"
        f" SELECT 'sha256:{'0' * 64}', id || 'x', stream, sequence + 1, 'released', artifacts, bytes, job, actor,"
        " received FROM intake",
    )
    edit(
        strict,
        "INSERT INTO intake_documents (digest, report, manifest)"
        f" SELECT 'sha256:{'0' * 64}', report, manifest FROM intake_documents",
    )
    assert [one["digest"] for one in unexplained(strict.station)] == [digest]


def test_a_fresh_database_is_found(strict: Inside, tmp_path: Path) -> None:
    for table in ("intake", "intake_sums", "intake_signatures", "links"):
        edit(strict, f"DELETE FROM {table}")
    assert [(one["kind"], one["bundle"]) for one in unexplained(strict.station)] == [("entry", NAME)]
    assert NAME in alarms(unexplained(strict.station))[0]


@pytest.mark.parametrize("harm", ["missing", "changed", "another"])
def test_a_kept_manifest_that_is_not_the_recorded_one_is_found(strict: Inside, harm: str) -> None:
    (path,) = strict.station.paths.imported.iterdir()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if harm == "changed" else b"{}")
    digest = link(strict, "manifest")
    found = {(one["kind"], one["digest"]) for one in unexplained(strict.station)}
    assert found == {("kept", digest_of(strict)), ("manifest", digest)}, "the entry still tells what it holds"


def test_an_event_that_the_station_did_not_write_explains_nothing(strict: Inside) -> None:
    """A release, as the station itself records it, in a lane that somebody else wrote."""
    digest, lanes = link(strict, "manifest"), strict.station.paths.audit / "lanes"
    event = json.loads((lanes / "01.000001.jsonl").read_bytes().splitlines()[-1])
    event |= {"act": "intake.release", "thing": NAME, "outcome": "done", "lane": 9, "seq": 1, "prev": "0" * 64}
    event["detail"] = {"digest": digest_of(strict)}
    (lanes / "09.000001.jsonl").write_bytes(line_of(event))
    found = unexplained(strict.station)
    assert [(one["kind"], one["digest"]) for one in found] == [("manifest", digest), ("foreign", "09.000001.jsonl")]
    assert any("did not write" in line for line in alarms(found))


def test_of_an_import_that_an_older_program_recorded_the_entry_alone_tells(strict: Inside) -> None:
    """Its event names no manifest: an intact entry is enough, and a missing one is reported, never passed over."""
    digest = link(strict, "manifest")

    def older(event: dict[str, Any]) -> dict[str, Any]:
        event["detail"].pop("manifest", None)
        return event

    as_earlier_version(strict.station.paths, older)
    assert [one["digest"] for one in unexplained(strict.station)] == [digest]
    bundle = digest_of(strict)
    edit(strict, "DELETE FROM intake")
    found = [(one["kind"], one["digest"], one["bundle"]) for one in unexplained(strict.station)]
    assert found == [("entry", bundle, NAME), ("manifest", digest, "")], "whose content it is cannot be told any more"
