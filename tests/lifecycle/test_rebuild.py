"""An outside that lost its database or a part of it does not start, and `lockgate rebuild` restores what is proven."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit
from appliance.image_signatures.attaching import Attaching, HandedIn, by_key_alone, event_of, write_of
from appliance.lifecycle import log_replay, rebuild_blobs
from appliance.lifecycle import rebuild as rebuilding
from appliance.lifecycle.forgotten import look, require_whole
from appliance.lifecycle.gc import run as collect_garbage
from appliance.outgoing import build
from appliance.paths import StationPaths
from appliance.release_check.replay import read_manifest
from appliance.serve.supervisor import serve
from appliance.settings.station import load_config
from appliance.store.commits import Promised, commits_file, promised
from appliance.store.reads.sites import known_sites
from appliance.store.writes.outgoing import SignBundle
from appliance.store.writes.sites import ListSite, RemoveSite
from bundles.errors import RefusedError
from bundles.image_signatures.making import Form, sign_image
from bundles.oci.digest import Digest
from bundles.signing.keys import create_private
from tests.lifecycle.lost import (
    AT,
    WAYS,
    Lost,
    contents,
    cut,
    delete,
    delete_beside,
    in_process,
    older_beside,
    push,
    put_older,
    recorded,
)
from tests.outgoing.outside import Outside


@pytest.mark.parametrize("way", [*WAYS, cut])
def test_a_station_that_lost_its_database_does_not_start_and_says_what_helps(
    way: Callable[[Lost], None], lost: Lost
) -> None:
    way(lost)
    held = lost.paths.database.exists() and lost.paths.database.read_bytes()
    with pytest.raises(RefusedError) as raised:
        serve(lost.root, "127.0.0.1:0")
    assert "lockgate rebuild" in raised.value.remedy
    assert (lost.paths.database.exists() and lost.paths.database.read_bytes()) == held


def take_number_away(root: Path) -> None:
    commits_file(root / "metadata.sqlite").unlink()


def raise_number(root: Path) -> None:
    with closing(sqlite3.connect(root / "metadata.sqlite")) as database, database:
        database.execute("UPDATE commits SET value = value + 1000")


@pytest.mark.parametrize("also", [take_number_away, raise_number], ids=["without-the-number", "with-a-raised-number"])
def test_an_older_copy_is_seen_whatever_was_done_to_its_number(also: Callable[[Path], None], tmp_path: Path) -> None:
    """Within the moments in which a kill may explain what is missing, too."""
    with Outside(tmp_path / "alpha") as station:
        push(station, "team/app", b"first", "1")
    root = tmp_path / "alpha"
    older = (root / "metadata.sqlite").read_bytes()
    with Outside.opened(root) as station:
        lost = push(station, "team/app", b"second", "2")
        paths = station.station.paths
    for left in root.glob("metadata.sqlite*"):
        left.unlink()
    (root / "metadata.sqlite").write_bytes(older)
    also(root)
    found = look(paths)
    assert found is not None
    assert found.missing[0] == f"team/app@{lost}"
    with pytest.raises(RefusedError, match="metadata"):
        require_whole(paths, load_config(paths.config))


@pytest.mark.parametrize("way", WAYS)
def test_all_that_the_folder_proves_comes_back(way: Callable[[Lost], None], lost: Lost) -> None:
    way(lost)
    ended = in_process("rebuild", "--yes", "-C", lost.root, "--json")
    assert ended.status == 0, ended.err
    after = lost.holds()
    after[-1] = [(digest, reason, actor, None) for digest, reason, actor, _ in after[-1]]
    assert after == lost.before
    assert look(lost.paths) is None
    assert ended.document["streams"] == {"alpha.bravo": 2}
    assert json.loads(lost.paths.rebuilt.read_text())["links"] == ended.document["links"]
    assert [line for line in ended.document["cannot"] if "blob" in line or "team/" in line] == []
    if way is not delete and way is not delete_beside:
        assert list(lost.root.glob("metadata.sqlite.lost-*"))


def test_a_write_ahead_log_that_was_deleted_is_noticed_and_its_pushes_come_back(lost: Lost) -> None:
    with Outside.opened(lost.root) as station:
        digest = push(station, "late/app", b"late", "1")
        kept = lost.paths.database.read_bytes()
    lost.paths.database.write_bytes(kept)  # as it was before the log was brought in, as by a kill and a deletion
    found = look(lost.paths)
    assert found is not None
    assert found.usable
    assert f"late/app@{digest}" in found.missing
    assert in_process("rebuild", "--yes", "-C", lost.root).status == 0
    assert ("late/app", "1", digest) in lost.holds()[1]


def test_an_older_copy_is_noticed_by_the_log_where_nothing_stands_beside_it(lost: Lost) -> None:
    with Outside.opened(lost.root) as station:
        (lost.root / "m9").mkdir()
        station.build(lost.root / "m9", "team/tools:1")
    older_beside(lost)
    found = look(lost.paths)
    assert found is not None
    assert found.missing[0] == "alpha.bravo-000003"


def test_the_list_of_destinations_comes_back(lost: Lost) -> None:
    with Outside.opened(lost.root) as station:
        for act, site in ((Act.SITE_ADD, "charlie"), (Act.SITE_ADD, "delta"), (Act.SITE_REMOVE, "delta")):
            write = (ListSite if act == Act.SITE_ADD else RemoveSite)(site=site, actor="clerk", at=AT)
            with recording(station.station.audit, AuditEvent(act, "clerk", site)):
                station.station.writer.submit(write)
        before = [one.site for one in known_sites(station.station.reader)]
    delete(lost)
    ended = in_process("rebuild", "--yes", "-C", lost.root, "--json")
    assert ended.document["sites"] == 1
    with Outside.opened(lost.root) as station:
        assert [one.site for one in known_sites(station.station.reader)] == before == ["bravo", "charlie"]
        assert next(one.actor for one in known_sites(station.station.reader) if one.listed) == "clerk"


def test_no_number_is_given_out_twice(lost: Lost) -> None:
    """One that was taken and never signed is void, and so is one of which only a job's folder knows."""
    with Outside.opened(lost.root) as station:
        context = station.building(lost.root / "m3", "team/tools:1")
        context.on_sign = _power_cut
        with pytest.raises(KeyboardInterrupt):
            station.run(context, build.run)
    delete(lost)
    ended = in_process("rebuild", "--yes", "-C", lost.root, "--json")
    assert ended.document["streams"] == {"alpha.bravo": 3}
    with Outside.opened(lost.root) as station:
        assert station.bundles() == {
            "alpha.bravo-000001": "written", "alpha.bravo-000002": "voided", "alpha.bravo-000003": "voided",
        }  # fmt: skip
        (lost.root / "m4").mkdir()
        assert station.build(lost.root / "m4", "team/tools:1")["id"] == "alpha.bravo-000004"


def _power_cut(_: object) -> None:
    raise KeyboardInterrupt


def test_a_bundle_that_was_signed_counts_though_the_log_does_not_say_written(lost: Lost) -> None:
    with Outside.opened(lost.root) as station:
        context = station.building(lost.root / "m3", "team/tools:1")
        (lost.root / "m3").mkdir()
        real = station.station.writer.submit

        class Dying:
            def submit(self, write: Any) -> Any:
                if isinstance(write, SignBundle):
                    raise KeyboardInterrupt
                return real(write)

        context.station = dataclasses.replace(station.station, writer=Dying())
        with pytest.raises(KeyboardInterrupt):
            station.run(context, build.run)
    delete(lost)
    assert in_process("rebuild", "--yes", "-C", lost.root).status == 0
    (row,) = [row for row in lost.holds()[5] if row[0] == "alpha.bravo-000003"]
    assert row[2] == "signed"
    assert lost.holds()[4] == [("alpha.bravo", 3, row[1])]


def test_a_rebuild_that_is_cut_off_goes_on_and_reads_no_blob_twice(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    delete(lost)
    monkeypatch.setattr(rebuild_blobs, "_BATCH", 1)
    read, left = rebuild_blobs.BlobFiles._read_blob, [4]

    def reading(self: Any, digest: str) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return read(self, digest)

    monkeypatch.setattr(rebuild_blobs.BlobFiles, "_read_blob", reading)
    config = load_config(lost.paths.config)
    with pytest.raises(KeyboardInterrupt), recorded(lost):
        rebuilding.rebuild(lost.paths, config, look(lost.paths), [], lambda *_: None)
    assert look(lost.paths) is not None
    every = len(lost.before[3])
    left[0] = every - 4
    with recorded(lost):
        rebuilding.rebuild(lost.paths, config, look(lost.paths), [], lambda *_: None)
    assert left == [0]
    assert lost.holds()[:4] == lost.before[:4]
    assert not list(lost.root.glob("rebuilding*"))


def test_a_dry_run_changes_nothing_and_says_the_same(lost: Lost) -> None:
    put_older(lost)
    before = snapshot(lost.root)
    dry = in_process("rebuild", "--dry-run", "-C", lost.root, "--json")
    assert snapshot(lost.root) == before
    real = in_process("rebuild", "--yes", "-C", lost.root, "--json")
    assert dry.document | {"dry_run": False} == real.document


def snapshot(root: Path) -> dict[str, bytes]:
    skipped = ("lock", "lease", "metadata.sqlite-shm", "metadata.sqlite-wal")
    return {
        str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file() and path.name not in skipped
    }


def test_nothing_is_rebuilt_unrecorded(lost: Lost) -> None:
    delete(lost)
    shutil.rmtree(lost.paths.audit / "lanes")
    (lost.paths.audit / "lanes").write_bytes(b"")
    ended = in_process("rebuild", "--yes", "-C", lost.root)
    assert ended.status == 1, ended.err
    assert not lost.paths.database.exists()
    assert not lost.paths.rebuilding.exists()


def test_a_rebuild_is_confirmed_and_of_an_outside_that_does_not_run(lost: Lost) -> None:
    delete(lost)
    ended = in_process("rebuild", "-C", lost.root)
    assert (ended.status, "--yes" in ended.err) == (2, True)
    assert not lost.paths.database.exists()
    text = lost.paths.config.read_text()
    lost.paths.config.write_text(text.replace('"outside"', '"inside"'))
    ended = in_process("rebuild", "--yes", "-C", lost.root)
    assert ended.status == 3
    assert not lost.paths.database.exists()


def test_garbage_collection_refuses_on_a_database_that_went_back(lost: Lost) -> None:
    put_older(lost)
    before = sorted(path.name for path in lost.paths.blobs.rglob("*"))
    said = promised(lost.paths.database)
    with Outside.opened(lost.root) as station:
        context = station.context("gc", {})
        Promised(lost.paths.database).set(said)  # as where the database was exchanged while the station runs
        with pytest.raises(RefusedError, match="went back"):
            collect_garbage(context)
    assert sorted(path.name for path in lost.paths.blobs.rglob("*")) == before


def test_a_new_station_and_one_that_was_killed_within_an_act_start(tmp_path: Path) -> None:
    """An event whose act never came is no loss: nobody was told."""
    with Outside(tmp_path / "alpha") as station:
        push(station, "team/app", b"first", "1")
        thing = f"team/app@{Digest.of(b'never')}"
        station.station.audit.record(AuditEvent(Act.PUSH_BLOB, "pusher", thing))
        station.station.audit.record(AuditEvent(Act.PUSH_MANIFEST, "pusher", thing, "done", {"tags": "2"}))
    assert look(StationPaths(tmp_path / "alpha")) is None
    fresh = tmp_path / "fresh"
    for folder in (fresh, fresh / "audit", fresh / "jobs", fresh / "keys"):
        folder.mkdir()
    FileAudit(fresh / "audit", create_private()).record(AuditEvent(Act.INIT, "root(0)", "alpha"))
    assert look(StationPaths(fresh)) is None


def test_copies_are_replayed_and_what_a_collection_took_for_want_of_a_tag_stays_away(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as station:
        first = push(station, "team/app", b"first", "1")
        second = push(station, "team/app", b"second", "1")
        audit = station.station.audit
        blob = str(Digest.of(b"second"))
        said = {"source": "team/app"}
        audit.record(AuditEvent(Act.MOUNT_BLOB, "anna", f"prod/app@{blob}", "done", said))
        audit.record(AuditEvent(Act.COPY_MANIFEST, "anna", f"prod/app@{second}", "done", said | {"tags": "1 2"}))
        audit.record(AuditEvent(Act.GC_UNTAGGED, "anna", "team/app", "done", {"digests": [first]}))
        found = log_replay.replay(station.station.paths, lambda _: None).repositories
    assert found["prod/app"].links.keys() == {(second, "manifest"), (blob, "blob")}
    assert {tag: digest for tag, (digest, _) in found["prod/app"].tags.items()} == {"1": second, "2": second}
    assert (first, "manifest") in found["team/app"].deleted
    assert (first, "manifest") not in found["team/app"].links
    assert found["team/app"].tags["1"][0] == second


def test_signatures_that_were_attached_are_replayed_with_their_tags(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as station:
        digest = Digest.parse(push(station, "team/app", b"signed", "1"))
        here = station.station
        for key, form in ((create_private(), Form.COSIGN), (create_private(), Form.COSIGN),
                          (create_private(), Form.SIGSTORE)):  # fmt: skip
            attaching = Attaching(here.blobs, here.metadata, "team/app", by_key_alone(key.public, "alpha", AT))
            (one,) = attaching.attach([HandedIn(digest, sign_image(form, digest, key))])
            with recording(here.audit, event_of(one, "anna", "team/app", key.public.keyid)):
                here.writer.submit(write_of("team/app", [one], AT))
        links, tags = contents(here.paths.database)[:2]
        found = log_replay.replay(here.paths, lambda one: read_manifest(here.blobs, one)).repositories["team/app"]
    assert found.links.keys() == {(digest, kind) for name, digest, kind in links if name == "team/app"}
    shown = {tag: digest for name, tag, digest in tags if name == "team/app"}
    assert {tag: digest for tag, (digest, _) in found.tags.items()} == shown
    assert len(shown) == 2
