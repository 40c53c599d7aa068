"""An outside's station that was stopped, to lose its database in every way."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
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
from appliance.outgoing.collect.collector import manifest_row
from appliance.paths import StationPaths
from appliance.store.commits import commits_file
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import DeleteTag, LinkBlob, PutManifest
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, parse_manifest
from tests.cli.conftest import Ended
from tests.outgoing.outside import Outside

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


def cancelled(_: object) -> None:
    raise FailedError("nobody signs")


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


def recorded(lost: Lost) -> Any:
    return recording(FileAudit(lost.paths.audit), AuditEvent(Act.REBUILD, "root(0)", "alpha"))
