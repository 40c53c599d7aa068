"""A release shows everything at once: links, manifests, then tags, and only what was approved."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.intake import release
from appliance.store.reads.intake import find_entry, report_text
from appliance.store.writes.decisions import Release, Released
from bundles.errors import FailedError, IncompleteError, RefusedError
from bundles.oci.digest import Digest
from tests.bundles.small import MemoryStore, SmallBundle, file_artifact
from tests.intake.inside import Inside, carry, name_of, small_bundle

NAME = name_of()


@pytest.fixture
def approved(inside: Inside, bundle: SmallBundle) -> Inside:
    inside.bring(bundle.folder)
    inside.decide(NAME, inside.officer())
    return inside


def test_a_release_shows_every_artifact_under_its_name(approved: Inside, bundle: SmallBundle) -> None:
    references = approved.release(NAME)
    assert references == ["files/big:1", "files/empty:1", "files/thing:1", "files/twin:1"]
    metadata = approved.station.metadata
    for artifact in bundle.artifacts:
        shown = metadata.tagged_manifest(artifact.repository, "1")
        assert shown is not None
        assert str(shown.digest) == artifact.digest
    for digest in bundle.store.blobs:
        assert metadata.shown_anywhere(digest, "blob") + metadata.shown_anywhere(digest, "manifest")


def test_a_blob_is_shown_only_in_the_repositories_whose_artifacts_name_it(approved: Inside) -> None:
    approved.release(NAME)
    assert approved.station.metadata.shown_anywhere(Digest.of(b"hello across the gap\n")) == ["files/thing"]


def test_what_is_released_needs_no_pin(approved: Inside) -> None:
    approved.release(NAME)
    assert approved.station.reader.execute("SELECT count(*) FROM pins").fetchone() == (0,)


def test_a_release_happens_once(approved: Inside) -> None:
    approved.release(NAME)
    with pytest.raises(FailedError, match="released, not approved"):
        approved.release(NAME)


def test_a_blob_that_is_gone_stops_the_release(approved: Inside) -> None:
    approved.station.blobs.remove(Digest.of(b"hello across the gap\n"))
    before = approved.visible()
    with pytest.raises(FailedError, match="missing from the store"):
        approved.release(NAME)
    assert approved.visible() == before


def test_a_blob_of_another_size_stops_the_release(approved: Inside) -> None:
    path = approved.station.paths.blob(Digest.of(b"hello across the gap\n"))
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(FailedError, match="missing from the store"):
        approved.release(NAME)


def test_a_release_that_fails_half_way_shows_nothing(approved: Inside) -> None:
    prepared = release.prepare(approved.station, find_entry(approved.station.reader, NAME), "x").write
    broken = Released(
        repository="files/zzz", manifest=prepared.artifacts[-1].manifest, blobs=("sha256:" + "0" * 64,), tags=("1",)
    )
    before = approved.everything()
    with pytest.raises(FailedError):
        approved.writer.submit(_with(prepared, artifacts=(*prepared.artifacts, broken)))
    assert approved.everything() == before


@pytest.mark.parametrize(
    ("change", "error"),
    [({"approved_by": ()}, RefusedError), ({"approved_by": ("0" * 16,)}, RefusedError),
     ({"report_digest": "sha256:" + "0" * 64}, RefusedError), ({"needed": 2}, RefusedError),
     ({"needed": 0, "approved_by": ()}, RefusedError)],
    ids=["nobody", "a stranger", "another report", "too few", "a threshold of none"],
)  # fmt: skip
def test_the_transaction_itself_counts_approvals(
    approved: Inside, change: dict[str, object], error: type[Exception]
) -> None:
    prepared = release.prepare(approved.station, find_entry(approved.station.reader, NAME), "x").write
    before = approved.everything()
    with pytest.raises(error):
        approved.writer.submit(_with(prepared, **change))
    assert approved.everything() == before


def _with(write: Release, **changes: object) -> Release:
    return msgspec.structs.replace(write, **changes)


def test_a_tag_that_moves_is_in_the_report_and_moves_on_release(
    tmp_path: Path, approved: Inside, bundle: SmallBundle
) -> None:
    approved.release(NAME)
    store = MemoryStore()
    artifact = file_artifact(store, b"a newer thing")
    second = carry(tmp_path / "second", store, [artifact], sequence=2, previous=str(Digest.of(bundle.signed.sums)))
    approved.trust(second.key.public)
    approved.bring(second.folder)
    section = report_section(approved, name_of(2), "changes")
    assert section["outcome"] == "note"
    old = next(entry.digest for entry in bundle.artifacts if entry.repository == "files/thing")
    assert section["details"]["moved"] == [
        {"reference": "files/thing:1", "from": old, "to": artifact.digest, "source": "alpha", "bundle": name_of(1)}
    ]
    assert section["details"]["since"]["bundle"] == NAME
    approved.decide(name_of(2), approved.officer("Second"))
    approved.release(name_of(2))
    shown = approved.station.metadata.tagged_manifest("files/thing", "1")
    assert shown is not None
    assert str(shown.digest) == artifact.digest


def report_section(inside: Inside, name: str, inspector: str) -> dict[str, Any]:
    report = json.loads(report_text(inside.station.reader, find_entry(inside.station.reader, name).digest) or "")
    return next(section for section in report["sections"] if section["inspector"] == inspector)


def test_an_id_that_two_bundles_claim_is_the_one_the_ledger_took(
    tmp_path: Path, inside: Inside, bundle: SmallBundle
) -> None:
    other = small_bundle(tmp_path / "other", media=2, purpose="made twice under one number")
    inside.trust(other.key.public)
    with pytest.raises(IncompleteError):
        inside.bring(other.out[0])
    inside.bring(bundle.folder)
    assert find_entry(inside.station.reader, NAME).digest == str(Digest.of(bundle.signed.sums))


def test_a_reader_of_the_database_sees_all_of_a_release_or_nothing(approved: Inside) -> None:
    watching = sqlite3.connect(f"file:{approved.station.paths.database}?mode=ro", uri=True)
    watching.execute("BEGIN")
    assert watching.execute("SELECT count(*) FROM tags").fetchone() == (0,)
    approved.release(NAME)
    assert watching.execute("SELECT count(*) FROM links").fetchone() == (0,)
    watching.rollback()
    assert watching.execute("SELECT count(*) FROM tags").fetchone() == (4,)
    watching.close()
