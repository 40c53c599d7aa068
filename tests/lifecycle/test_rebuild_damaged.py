"""What was damaged or gone when the database was rebuilt: it is withdrawn and named, and is healed by a push."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.lifecycle.gc import run as collect_garbage
from appliance.outgoing.blob_source import StationBlobSource
from appliance.store.integrity import findings
from bundles.oci.digest import Digest
from tests.lifecycle.lost import (
    AT,
    Lost,
    delete,
    in_process,
    push,
)
from tests.outgoing.outside import Outside


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
