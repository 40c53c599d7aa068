"""Each measure of the registry moves by its event alone, and no set of labels grows by what clients send."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.door import Door
from appliance.measures.catalogue import RESULT, layout
from appliance.measures.objectives import Objectives
from appliance.measures.series import family
from appliance.measures.slots import Slots
from appliance.paths import StationPaths
from appliance.registry.errors import WireError
from appliance.registry.services import ACTOR, OpenAccess
from appliance.store.writes.lifecycle import Block
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.observe.counted import Counted
from tests.registry_server import Server, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


@pytest.fixture
def counted() -> Counted:
    return Counted(("production", ("prod/**",)), ("all", ("**",)))


@pytest.fixture
def server(store: Store, counted: Counted) -> Server:
    return store.serve(measures=counted.measures)


def ended(name: str, slo: str, kind: str, reason: str) -> str:
    return f'lockgate_{name}_total{{kind="{kind}",reason="{reason}",result="{RESULT[reason]}",slo="{slo}"}}'


def requests(method: str, status: int) -> str:
    return f'lockgate_registry_requests_total{{method="{method}",status="{status}"}}'


def test_pulls_are_counted_by_objective_kind_size_and_source(store: Store, server: Server, counted: Counted) -> None:
    content = image()
    digest = content.push(server, "prod/app", "v1")
    layer = Digest.of(content.blobs[0])
    counted.moved()
    body = server.ask("GET", "/v2/prod/app/manifests/v1").body
    assert counted.moved() == {
        requests("GET", 200): 1,
        ended("pulls", "production", "manifest", "ok"): 1,
        'lockgate_pull_seconds_count{size="manifest",slo="production"}': 1,
        'lockgate_pull_bytes_total{size="manifest",slo="production"}': len(body),
        'lockgate_manifest_reads_total{source="disk"}': 1,
    }
    server.ask("GET", f"/v2/prod/app/manifests/{digest}")
    assert counted.moved()['lockgate_manifest_reads_total{source="memory"}'] == 1
    server.ask("GET", f"/v2/prod/app/blobs/{layer}")
    assert counted.moved() == {
        requests("GET", 200): 1,
        ended("pulls", "production", "blob", "ok"): 1,
        'lockgate_pull_seconds_count{size="small",slo="production"}': 1,
        'lockgate_pull_bytes_total{size="small",slo="production"}': len(content.blobs[0]),
    }
    server.ask("HEAD", f"/v2/prod/app/blobs/{layer}")
    assert counted.moved() == {requests("HEAD", 200): 1}, "who asks whether it is there pulls nothing"


def test_a_large_pull_is_counted_when_its_last_byte_is_sent(server: Server, counted: Counted) -> None:
    digest = server.push_blob("team/app", bytes(1_200_000))
    counted.moved()
    assert len(server.ask("GET", f"/v2/team/app/blobs/{digest}").body) == 1_200_000
    name, moved = 'lockgate_pull_seconds_count{size="medium",slo="all"}', dict[str, float]()
    while name not in moved:  # the suite's own limit ends a test that waits for ever
        moved |= counted.moved()
    assert moved[name] == 1
    assert moved['lockgate_pull_bytes_total{size="medium",slo="all"}'] == 1_200_000


def test_a_pull_that_fails_is_counted_by_whose_doing_it_is(store: Store, server: Server, counted: Counted) -> None:
    digest = server.push_blob("team/app", b"1" * 100)
    damaged = server.push_blob("team/app", b"2" * 100)
    broken = server.push_blob("team/app", os.urandom(8_000_000))
    counted.moved()
    server.ask("GET", "/v2/team/app/manifests/none")
    assert counted.moved() == {requests("GET", 404): 1, ended("pulls", "all", "manifest", "name"): 1}
    os.truncate(store.paths.blob(damaged), 10)
    server.ask("GET", f"/v2/team/app/blobs/{damaged}")
    assert counted.moved() == {requests("GET", 503): 1, ended("pulls", "all", "blob", "damaged"): 1}
    store.writer.submit(Block(digest=str(digest), why="CVE", at="2026-01-01T00:00:00Z", actor="ada"))
    server.ask("GET", f"/v2/team/app/blobs/{digest}")
    assert counted.moved() == {requests("GET", 403): 1, ended("pulls", "all", "blob", "block"): 1}
    server.ask("GET", "/v2/team/app/blobs/sha256:nothing")
    assert counted.moved() == {requests("GET", 400): 1, ended("pulls", "all", "blob", "request"): 1}
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET /v2/team/app/blobs/{broken} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        client.recv(1000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    name, moved = ended("pulls", "all", "blob", "network"), dict[str, float]()
    while name not in moved:  # the suite's own limit ends a test that waits for ever
        moved |= counted.moved()
    assert moved[name] == 1
    assert ended("pulls", "all", "blob", "ok") not in moved


def test_pushes_are_counted_when_their_content_is_there(server: Server, counted: Counted) -> None:
    content = image()
    content.push(server, "prod/app", "v1")
    moved = counted.moved()
    assert moved[ended("pushes", "production", "manifest", "ok")] == 1
    assert moved[ended("pushes", "production", "blob", "ok")] == len(content.blobs)
    assert moved['lockgate_push_seconds_count{kind="manifest",slo="production"}'] == 1
    assert moved['lockgate_push_bytes_total{slo="production"}'] > sum(map(len, content.blobs))
    assert server.ask("POST", "/v2/prod/app/blobs/uploads/").status == 202
    assert counted.moved() == {requests("POST", 202): 1}, "a push that goes on has not ended"
    server.ask("PUT", "/v2/prod/app/manifests/v2", b"{}")
    moved = counted.moved()
    assert moved[ended("pushes", "production", "manifest", "request")] == 1
    assert moved[requests("PUT", 400)] == 1


class _Door(OpenAccess):
    """Answers the credentials of a request with an error, or knows them."""

    async def admit(self, request: Any) -> WireError | None:
        said = request.headers.get("Authorization", "")
        if said.endswith("known"):
            request[ACTOR] = "ada"
            return None
        return WireError({"wrong": 401, "many": 429}.get(said.partition(" ")[2], 401), "UNAUTHORIZED", "no")

    def glance(self, *_: object) -> None:
        return None


def test_log_ins_are_counted_and_the_first_challenge_is_none(store: Store, counted: Counted) -> None:
    server = store.serve(measures=counted.measures, access=_Door())

    def ask(sent: str) -> dict[str, float]:
        server.ask("GET", "/v2/team/app/manifests/v1", None, {"Authorization": sent} if sent else {})
        return counted.moved()

    assert ask("") == {requests("GET", 401): 1}
    tried = {"Basic wrong": ("basic", "wrong", "token"), "Bearer many": ("bearer", "locked", "rate"),
             "Bearer known": ("bearer", "good", "name")}  # fmt: skip
    for sent, (scheme, result, reason) in tried.items():
        moved = ask(sent)
        assert moved[f'lockgate_authentications_total{{result="{result}",scheme="{scheme}"}}'] == 1
        assert moved[ended("pulls", "all", "manifest", reason)] == 1


def test_an_act_that_the_log_does_not_take_is_counted(tmp_path: Path, counted: Counted) -> None:
    paths = StationPaths(tmp_path)
    paths.audit.write_bytes(b"no folder")
    with pytest.raises(LockgateError):
        FileAudit(paths.audit, unwritten=counted.measures.unwritten).record(AuditEvent(Act.BLOCK, "ada", "x"))
    assert counted.moved() == {"lockgate_audit_unwritten_total": 1}


async def test_connections_are_counted(counted: Counted) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server: Any = asyncio.Protocol
        door = Door(server, listener, lambda *_: "a", count=counted.measures.connection)
        door.open()
        _, writer = await asyncio.open_connection(*listener.getsockname())
        while not (moved := counted.moved()):
            await asyncio.sleep(0)
        assert moved == {'lockgate_connections_total{result="accepted"}': 1}
        writer.close()
        door.close()


def test_no_series_is_made_by_what_clients_send(server: Server, counted: Counted) -> None:
    before = set(counted.now())
    for number in range(30):
        server.ask("PROPFIND" if number % 2 else "MKCOL", f"/v2/name{number}/app/manifests/tag{number}")
        server.ask("GET", f"/v2/name{number}/app/manifests/tag{number}", None, {"Authorization": f"Odd{number} x"})
        server.ask("GET", f"/{number}")
    assert set(counted.now()) == before
    moved = counted.moved()
    assert moved['lockgate_registry_requests_total{method="other",status="405"}'] == 30


def test_a_slot_goes_on_where_the_process_before_it_was(tmp_path: Path) -> None:
    slots = Slots(layout(), tmp_path / "metrics")
    slots.prepare()
    for _ in range(5):  # processes of one slot, one after the other
        slots.open("worker-1").add(0)
    slots.open("worker-2").add(0, 2)
    assert slots.totals()[0] == 7
    assert sorted(path.name for path in (tmp_path / "metrics").iterdir()) == ["worker-1", "worker-2"]
    slots.prepare()
    assert set(slots.totals()) == {0.0}


def test_without_room_for_its_file_a_process_counts_alone(tmp_path: Path) -> None:
    slots = Slots(layout(), tmp_path / "none" / "metrics")
    counts = slots.open("worker-1")
    counts.add(0)
    assert counts.read(0) == [1.0]


def test_a_family_has_every_combination_and_a_repository_one_objective() -> None:
    assert family("a", "", x=("1", "2"), y=("3",)).values == (("1", "3"), ("2", "3"))
    objectives = Objectives((("a", ("x/**",)),))
    assert (objectives.names, objectives.of("x/y"), objectives.of("z")) == (("a", "other"), 0, 1)
    assert Objectives().names == ("all",)
