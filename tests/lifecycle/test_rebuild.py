"""An outside that lost its database or a part of it does not start, and `lockgate rebuild` restores what is proven."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.audit.port import FileAudit
from appliance.cli.main import main
from appliance.image_signatures.attaching import Attaching, HandedIn, by_key_alone, event_of, write_of
from appliance.lifecycle import log_replay, rebuild_blobs
from appliance.lifecycle import rebuild as rebuilding
from appliance.lifecycle.forgotten import look, require_whole
from appliance.lifecycle.gc import run as collect_garbage
from appliance.origin import Origin, write_origin
from appliance.outgoing import build
from appliance.outgoing.blob_source import StationBlobSource
from appliance.outgoing.collect.collector import manifest_row
from appliance.paths import StationPaths
from appliance.release_check.replay import read_manifest
from appliance.serve.supervisor import serve
from appliance.settings.station import load_config
from appliance.store.commits import Promised, commits_file, promised
from appliance.store.integrity import findings
from appliance.store.reads.sites import known_sites
from appliance.store.writes.content import BlobRow
from appliance.store.writes.lifecycle import Block
from appliance.store.writes.outgoing import SignBundle
from appliance.store.writes.registry import DeleteTag, LinkBlob, PutManifest
from appliance.store.writes.sites import ListSite, RemoveSite
from bundles.errors import FailedError, RefusedError
from bundles.image_signatures.making import Form, sign_image
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, parse_manifest
from bundles.signing.keys import create_private
from tests.cli.conftest import Ended
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

AT = "2026-06-01T00:00:00Z"
EVERYTHING = (
    "SELECT r.name, l.digest, l.kind FROM links l JOIN repositories r ON r.id = l.repository_id ORDER BY 1, 2, 3",
    "SELECT r.name, t.tag, t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id ORDER BY 1, 2",
    "SELECT digest, media_type, artifact_type, subject, size, annotations FROM manifests ORDER BY 1",
    "SELECT digest, size, crc32 FROM blobs ORDER BY 1",
    "SELECT stream, last_sequence, last_digest FROM streams_out",
    "SELECT id, digest, state FROM bundles_out ORDER BY 1",
    "SELECT stream, sequence, digest, size FROM carried_out ORDER BY 1, 2, 3",
    "SELECT digest, why, actor, created FROM blocks",
)


@dataclass
class Lost:
    """A station that was stopped, what its database held, and a copy of it from before its last acts."""

    root: Path
    before: list[list[Any]]
    older: Path

    @property
    def paths(self) -> StationPaths:
        return StationPaths(self.root)

    def holds(self) -> list[list[Any]]:
        return contents(self.paths.database)


def in_process(*words: object) -> Ended:
    """Run `lockgate` in this process, without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["lockgate", *map(str, words)])
        patch.setattr("sys.stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, out.getvalue(), err.getvalue())


def contents(database: Path) -> list[list[Any]]:
    with closing(sqlite3.connect(database)) as reader:
        return [reader.execute(query).fetchall() for query in EVERYTHING]


def push(station: Outside, repository: str, data: bytes, *tags: str) -> str:
    """Push an artifact of one blob as the registry does: each act recorded first. Its digest."""
    blobs, audit, writer = station.station.blobs, station.station.audit, station.station.writer
    layer = Digest.of(data)
    row = BlobRow(digest=str(layer), size=len(data), crc32=blobs.put(data, layer))
    with recording(audit, AuditEvent(Act.PUSH_BLOB, "pusher", f"{repository}@{layer}")):
        writer.submit(LinkBlob(repository=repository, blob=row, at=AT))
    described = {"mediaType": "application/octet-stream", "digest": str(layer), "size": len(data)}
    raw = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": [described]}
    ).encode()
    digest = Digest.of(raw)
    manifest = manifest_row(digest, raw, parse_manifest(raw), blobs.put(raw, digest))
    event = AuditEvent(Act.PUSH_MANIFEST, "pusher", f"{repository}@{digest}", "done", {"tags": " ".join(tags)})
    with recording(audit, event):
        writer.submit(PutManifest(repository=repository, manifest=manifest, at=AT, tags=tags))
    return str(digest)


def delete_tag(station: Outside, repository: str, tag: str) -> None:
    with recording(station.station.audit, AuditEvent(Act.DELETE_TAG, "pusher", f"{repository}:{tag}")):
        station.station.writer.submit(DeleteTag(repository=repository, tag=tag))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lost:
    """Collects, pushes, two bundles (the second signed and not written), a number that was given up, and a block."""
    folder = tmp_path_factory.mktemp("made")
    root, older = folder / "alpha", folder / "older.sqlite"
    layout = Layout(folder / "tools")
    layout.tag("1", layout.index([layout.artifact({"a": b"1"}), layout.artifact({"b": b"2"})]))
    with Outside(root) as station:
        paths = StationPaths(root)
        write_origin(paths, Origin(site="alpha", side="outside", open=True, created=AT))
        (reference,) = station.collect_layout(layout.folder, "1", "team/tools:1")
        (folder / "m1").mkdir()
        station.build(folder / "m1", reference)
        push(station, "team/app", b"first", "1", "latest", "gone")
        with closing(sqlite3.connect(older)) as copy:
            station.station.reader.backup(copy)
        push(station, "team/app", b"second", "latest")
        push(station, "team/other", b"first")
        delete_tag(station, "team/app", "gone")
        given_up = station.building(folder / "m2", reference)
        given_up.on_sign = _cancelled
        with pytest.raises(FailedError):
            station.run(given_up, build.run)
        blocked = str(Digest.of(b"blocked"))
        with recording(station.station.audit, AuditEvent(Act.BLOCK, "anna", blocked, "done", {"why": "bad"})):
            station.station.writer.submit(Block(digest=blocked, why="bad", actor="anna", at=AT))
    before = contents(paths.database)
    before[-1] = [(digest, why, actor, None) for digest, why, actor, _ in before[-1]]
    return Lost(root, before, older)


def _cancelled(_: object) -> None:
    raise FailedError("nobody signs")


@pytest.fixture
def lost(made: Lost, tmp_path: Path) -> Lost:
    shutil.copytree(made.root, tmp_path / "alpha")
    return Lost(tmp_path / "alpha", made.before, made.older)


def delete(lost: Lost) -> None:
    lost.paths.database.unlink()


def empty(lost: Lost) -> None:
    lost.paths.database.write_bytes(b"")


def damage(lost: Lost) -> None:
    data = bytearray(lost.paths.database.read_bytes())
    data[:4096] = bytes(4096)
    lost.paths.database.write_bytes(data)


def cut(lost: Lost) -> None:
    data = lost.paths.database.read_bytes()
    lost.paths.database.write_bytes(data[: len(data) // 2 + 100])


def put_older(lost: Lost) -> None:
    shutil.copy(lost.older, lost.paths.database)


def delete_beside(lost: Lost) -> None:
    """The database and the number beside it."""
    delete(lost)
    commits_file(lost.paths.database).unlink()


def older_beside(lost: Lost) -> None:
    """An older copy, and the number beside it is gone: the audit log alone knows. Time has passed since its acts."""
    put_older(lost)
    commits_file(lost.paths.database).unlink()


WAYS = [delete, empty, damage, put_older, delete_beside]


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


def recorded(lost: Lost) -> Any:
    return recording(FileAudit(lost.paths.audit), AuditEvent(Act.REBUILD, "root(0)", "alpha"))


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


def test_what_cannot_be_restored_is_named(lost: Lost) -> None:
    with Outside.opened(lost.root) as station:
        rotten, gone = push(station, "bad/rotten", b"rotten", "1"), push(station, "bad/gone", b"gone", "1")
        station.station.audit.record(AuditEvent(Act.ACCOUNT_CREATE, "ada", "bo"))
        station.station.audit.record(AuditEvent(Act.RECEIPT_TAKE, "ada", "bravo", "done", {"number": 7}))
    lost.paths.blob(Digest.parse(rotten)).write_bytes(b"x")
    lost.paths.blob(Digest.parse(gone)).unlink()
    delete(lost)
    said = in_process("rebuild", "--yes", "-C", lost.root, "--json").document["cannot"]
    named = (f"blob {rotten}", f"bad/gone@{gone}", f"bad/rotten@{rotten}", "account bo", "receipt 7 of bravo")
    for what in named:
        assert any(what in line for line in said), (what, said)


@pytest.mark.parametrize("why", ["rotted", "missing"])
def test_a_layer_that_is_damaged_is_withdrawn_and_not_forgotten(lost: Lost, why: str) -> None:
    body = b"a layer that rots"
    with Outside.opened(lost.root) as station:
        push(station, "bad/layer", body, "1")
    layer = Digest.of(body)
    path = lost.paths.blob(layer)
    if why == "rotted":
        path.write_bytes(bytes(len(body)))
    else:
        path.unlink()
    delete(lost)
    dry = in_process("rebuild", "--dry-run", "-C", lost.root, "--json").document
    assert path.exists() == (why == "rotted"), "a dry run moves nothing"
    for document in (dry, in_process("rebuild", "--yes", "-C", lost.root, "--json").document):
        assert document["damaged"] == 1
        assert (
            f"bad/layer@{layer}: its bytes are {why}; it is shown as withdrawn, push or collect it again"
            in document["cannot"]
        )
    assert not path.exists()
    assert ("bad/layer", str(layer), "blob") in lost.holds()[0]
    with closing(sqlite3.connect(lost.paths.database)) as db:
        assert db.execute("SELECT digest, why, healed FROM damage").fetchall() == [(str(layer), why, None)]
        assert db.execute("SELECT size FROM blobs WHERE digest = ?", (str(layer),)).fetchone() == (len(body),)
    with Outside.opened(lost.root) as station:
        push(station, "bad/layer", body, "1")
        assert station.station.metadata.crc32(layer) == zlib.crc32(body)
        assert station.station.metadata.troubled() == (0, 0), "the right bytes heal it"


@pytest.mark.parametrize("why", ["rotted", "missing"])
def test_a_manifest_that_is_damaged_is_withdrawn_and_keeps_its_tag_and_all_it_may_name(lost: Lost, why: str) -> None:
    body = b"below a manifest that rots"
    with Outside.opened(lost.root) as station:
        digest = Digest.parse(push(station, "bad/manifest", body, "1"))
    path, layer = lost.paths.blob(digest), str(Digest.of(body))
    raw = path.read_bytes()
    if why == "rotted":
        path.write_bytes(raw.replace(b"2", b"3", 1))
    else:
        path.unlink()
    delete(lost)
    document = in_process("rebuild", "--yes", "-C", lost.root, "--json").document
    assert document["damaged"] == 1
    said = f"bad/manifest@{digest}: its bytes are {why}; it is shown as withdrawn, push or collect it again"
    assert said in document["cannot"]
    with closing(sqlite3.connect(lost.paths.database)) as db:
        assert db.execute("SELECT digest, why, healed FROM damage").fetchall() == [(str(digest), why, None)]
    with Outside.opened(lost.root) as station:
        metadata = station.station.metadata
        shown = metadata.tagged_manifest("bad/manifest", "1")
        assert (shown and shown.digest, metadata.is_withdrawn(digest)) == (digest, True)
        assert findings(station.station.reader).texts == []
        assert collect_garbage(station.context("gc", {"now": True}))["blobs"] == 0, "nobody knows what it names"
        assert station.station.blobs.has_blob(Digest.parse(layer))
        push(station, "bad/manifest", body, "1")
        healed = metadata.tagged_manifest("bad/manifest", "1")
        assert healed is not None
        assert (healed.size, metadata.crc32(digest)) == (len(raw), zlib.crc32(raw))
        assert metadata.troubled() == (0, 0)


def test_a_layer_that_is_whole_after_all_has_its_checksum_counted_where_it_is_asked_for(lost: Lost) -> None:
    body = b"a layer that rots for a while"
    with Outside.opened(lost.root) as station:
        push(station, "bad/layer", body, "1")
    path = lost.paths.blob(Digest.of(body))
    path.unlink()
    delete(lost)
    assert in_process("rebuild", "--yes", "-C", lost.root).status == 0
    path.write_bytes(body)
    with Outside.opened(lost.root) as station:
        source = StationBlobSource(station.station.blobs, station.station.metadata)
        assert source.crc32(Digest.of(body)) == zlib.crc32(body)


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


def test_a_database_that_is_damaged_by_a_bit_is_brought_into_order(lost: Lost) -> None:
    """Whichever copy of a digest it is, of a row or of an index, and after the station has found it."""
    with closing(sqlite3.connect(lost.paths.database)) as db, db:
        (digest,) = db.execute("SELECT digest FROM tags").fetchone()
        db.execute("INSERT INTO metadata_check (id, state, at, found) VALUES (1, 'damaged', ?, '[\"x\"]')", (AT,))
    whole = lost.paths.database.read_bytes()
    places, at = [], -1
    while (at := whole.find(digest.partition(":")[2].encode(), at + 1)) >= 0:
        places.append(at)
    assert len(places) > 4
    for place in places[:: max(1, len(places) // 6)]:
        changed = bytearray(whole)
        changed[place + 5] ^= 1
        lost.paths.database.write_bytes(changed)
        for suffix in ("-wal", "-shm"):
            lost.paths.database.with_name(f"metadata.sqlite{suffix}").unlink(missing_ok=True)
        ended = in_process("rebuild", "--yes", "-C", lost.root)
        assert ended.status == 0, ended.err
        held, before = lost.holds(), list(lost.before)
        assert set(before[3]) <= set(held[3]), "a blob's row under a wrong digest goes with the next collection"
        held[3] = before[3] = []
        held[-1] = [(*row[:3], None) for row in held[-1]]
        assert held == before
        with closing(sqlite3.connect(lost.paths.database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("SELECT * FROM metadata_check").fetchall() == []


def test_a_blob_that_cannot_be_read_is_named_and_holds_nothing_else_up(lost: Lost) -> None:
    with closing(sqlite3.connect(lost.paths.database)) as db:
        (digest,) = db.execute("SELECT digest FROM links WHERE kind = 'blob' ORDER BY digest LIMIT 1").fetchone()
    delete(lost)
    blob = lost.paths.blob(Digest.parse(digest))
    data = blob.read_bytes()
    blob.unlink()
    blob.mkdir()
    ended = in_process("rebuild", "--yes", "-C", lost.root, "--json")
    assert ended.status == 0, ended.err
    assert [line for line in ended.document["cannot"] if line.startswith(f"blob {digest}")]
    after = lost.holds()
    assert after[1] == lost.before[1], "every tag is there"
    assert digest not in [row[0] for row in after[3]]
    blob.rmdir()
    blob.write_bytes(data)
    assert in_process("rebuild", "--yes", "-C", lost.root).status == 0
    assert lost.holds()[:4] == lost.before[:4], "and once it can be read, all of it"


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
