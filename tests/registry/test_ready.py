"""`/readyz` and `/healthz`: a state and codes from a closed list for whoever asks, at the cost of one look a second."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from appliance.limits import station as limits
from appliance.local_socket import listen_at
from appliance.readiness import Probe
from appliance.registry.errors import WireError
from appliance.store.reserve import Reserve
from appliance.store.writes.checks import EndCheck, NoteWrongRow
from appliance.store.writes.content import BlobRow
from appliance.store.writes.lifecycle import NoteUnread, RecordDamage
from appliance.store.writes.registry import LinkBlob
from appliance.store.writes.write import under_event
from bundles.oci.digest import Digest
from tests.registry_server import Server, Store

AT = "2026-01-01T00:00:00Z"


class Nobody:
    """Lets nobody in."""

    async def admit(self, request: web.Request) -> WireError:
        return WireError(401, "UNAUTHORIZED", "who are you")

    def check(self, *_: object) -> WireError:
        return WireError(403, "DENIED", "no")

    def events(self, *_: object) -> list[Any]:
        return []


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        opened.paths.run.mkdir()
        yield opened


@pytest.fixture
def server(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(limits, "READY_KEPT", 0.0)
    server = store.serve(access=Nobody())
    with contextlib.closing(listen_at(store.paths.writer_socket)):
        yield server


def ask(server: Server, path: str = "/readyz") -> tuple[int, Any]:
    answer = server.ask("GET", path)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, answer.json


def test_metadata_that_is_damaged_in_part_is_said_until_it_is_whole(store: Store, server: Server) -> None:
    said = (200, {"status": "degraded", "codes": ["metadata"]})
    with under_event():
        store.writer.submit(NoteWrongRow(rows="tag", repository="team/app", item="v1", at=AT))
        assert ask(server) == said, "a reader met a damaged row"
        store.writer.submit(EndCheck(at=AT, found=("an index lacks a row",), rows=()))
        assert ask(server) == said
        store.writer.submit(EndCheck(at=AT, found=(), rows=()))
    assert ask(server) == (200, {"status": "ready", "codes": []})


def test_whoever_asks_hears_a_state_and_codes_and_nothing_else(store: Store, server: Server) -> None:
    assert server.ask("GET", "/v2/").status == 401
    assert ask(server) == (200, {"status": "ready", "codes": []})
    assert ask(server, "/healthz") == (200, {"status": "ready", "codes": []})
    assert server.ask("HEAD", "/readyz").status == 200
    assert server.ask("POST", "/readyz").status == 401, "no other method is anything but a request of nobody"
    digest = Digest.of(b"x")
    unread = BlobRow(digest=str(Digest.of(b"y")), size=1, crc32=0)
    with under_event():
        store.writer.submit(LinkBlob(repository="team/app", blob=unread, at=AT))
        store.writer.submit(RecordDamage(digest=str(digest), why="rotted", at=AT))
        store.writer.submit(NoteUnread(digest=str(Digest.of(b"y")), why="EIO", at=AT))
    assert ask(server) == (200, {"status": "degraded", "codes": ["damaged", "unread"]})
    reserve = Reserve(store.paths.reserve)
    assert reserve.keep()
    assert reserve.give_back()
    codes = ["read-only", "reserve", "damaged", "unread"]
    assert ask(server) == (200, {"status": "degraded", "codes": codes})
    store.paths.writer_socket.unlink()
    codes = ["read-only", "reserve", "control", "damaged", "unread"]
    assert ask(server) == (200, {"status": "degraded", "codes": codes})
    assert ask(server, "/healthz")[1]["status"] == "ready"


def test_metadata_that_cannot_be_read_is_not_ready(server: Server) -> None:
    server.services.metadata.connection.close()
    assert ask(server) == (503, {"status": "not ready", "codes": ["metadata"]})


def test_it_is_looked_once_a_second(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READY_KEPT", 3600.0)
    looks = []
    real = Probe._outside
    monkeypatch.setattr(Probe, "_outside", lambda probe: looks.append(1) or real(probe))
    for _ in range(20):
        ask(server)
    assert len(looks) == 1
