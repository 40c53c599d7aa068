"""A station whose disk is full, of bytes and of inodes: it serves, frees itself, starts, and takes content again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.acts import Act
from appliance.audit.reading import tail
from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from appliance.store.reserve import Reserve, Room
from bundles.errors import NoSpaceError
from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, image
from tests.control.powered import wait_for
from tests.faults.disks import fill_bytes, fill_inodes, mounted
from tests.registry_server import Client
from tests.stage import Station, lockgate

BODY = b"a layer that finds no room"
UPLOADS = "/v2/team/app/blobs/uploads/"


def ready(client: Client) -> dict[str, Any]:
    answer = client.ask("GET", "/readyz")
    found: dict[str, Any] = {"http": answer.status, **answer.json}
    return found


def is_degraded(client: Client) -> bool:
    """Whether it is read-only and serves on; what it recorded of that may have taken some of the reserve by now."""
    found = ready(client)
    return (found["http"], found["status"]) == (200, "degraded") and "read-only" in found["codes"]


async def ended(client: ControlClient, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    job = await client.submit(kind, params)
    async for name, data in client.watch(job["id"]):
        if name == "job":
            job = data
    return job


def pushes(client: Client, content: Content, begun: str) -> list[tuple[int, str]]:
    """A push at each of its stages, and a mount."""
    answers = [
        client.ask("POST", UPLOADS),
        client.ask("POST", f"{UPLOADS}?digest={Digest.of(BODY)}", BODY),
        client.ask("POST", f"/v2/team/other/blobs/uploads/?mount={Digest.of(content.blobs[0])}&from=team/app"),
        client.ask("PUT", "/v2/team/app/manifests/v9", content.manifest, {"Content-Type": content.media_type}),
        client.ask("PUT", f"{begun}?digest={Digest.of(b'')}"),
        client.ask("PATCH", begun, BODY),
    ]
    return [(answer.status, answer.code) for answer in answers]


def _read_only_said(paths: StationPaths) -> int:
    """How often the station recorded that it is read-only: it looks every few seconds."""
    return [event["act"] for event in tail(paths.audit, 10_000)].count(Act.READ_ONLY)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
async def test_a_full_station_serves_frees_itself_starts_and_comes_back(tmp_path: Path, kind: str) -> None:
    with mounted(tmp_path / "disk", kind, 96 << 20, 3_000) as disk:
        station = Station(disk / "bravo", "bravo", "inside")
        paths, reserve = StationPaths(disk / "bravo"), Reserve(disk / "bravo" / "reserve")
        room = Room.of(disk)
        assert reserve.kept() == (room.bytes_kept, room.files_kept), "from the start"
        contents = [image() for _ in range(4)]
        with station:
            client = Client(int(station.base.rpartition(":")[2]))
            for number, content in enumerate(contents):
                content.push(client, "team/app", f"v{number}")
            begun = client.ask("POST", UPLOADS).headers["Location"]
            assert ready(client) == {"http": 200, "status": "ready", "codes": []}
            fill_inodes(disk)
            fill_bytes(disk)

            assert pushes(client, contents[0], begun) == [(507, "DENIED")] * 6
            pull(client, contents[0], "v0")
            wait_for(lambda: is_degraded(client), "readyz")
            assert client.ask("GET", "/healthz").json == {"status": "ready", "codes": []}
            status = lockgate("status", "-C", paths.root).stdout
            assert "health       [!!] FAIL" in status
            assert "read-only" in status
            wait_for(lambda: _read_only_said(paths) == 1, "its beginning is recorded")

            assert client.ask("DELETE", "/v2/team/app/manifests/v1").status == 202
            assert client.ask("DELETE", f"/v2/team/app/manifests/{contents[1].digest}").status == 202
            async with ControlClient(paths.root) as control:
                blocked = await control.post("/v1/blocks", {"thing": str(contents[2].digest), "why": "CVE"})
                assert blocked["digest"] == str(contents[2].digest)
                with pytest.raises(NoSpaceError, match="the station is read-only"):
                    await control.submit("import", {"paths": [str(tmp_path)]})
                collected = await ended(control, "gc", {})
                assert collected["state"] == "done"
                assert collected["result"]["links"] == len(contents[1].blobs), "without a day of grace"
                layer = Digest.of(contents[1].blobs[0])
                assert not paths.blob(layer).exists()
                assert list(paths.blobs.parent.glob(f"graveyard/**/*{layer.hex}*")) == [], "the space is wanted"
                assert (await ended(control, "receipt", {"out": str(tmp_path / "receipt")}))["state"] == "done"
            assert client.ask("GET", "/v2/team/app/manifests/v2").status == 403
            pull(client, contents[0], "v0")
            refused = lockgate("intake", "import", tmp_path, "-C", paths.root, expect=1)
            assert refused.stderr.count("\n") == 1
            assert "lockgate gc" in refused.stderr
            wait_for(lambda: ready(client)["codes"] == ["read-only", "reserve"], "the reserve is spent in part")

        while reserve.give_back():
            pass  # as very many acts would spend it
        fill_inodes(disk)
        fill_bytes(disk)
        with station:
            client = Client(int(station.base.rpartition(":")[2]))
            pull(client, contents[0], "v0")
            assert client.ask("DELETE", "/v2/team/app/manifests/v3").status == 202
            wait_for(lambda: _read_only_said(paths) == 2, "and in the second run")
            async with ControlClient(paths.root) as control:
                assert (await ended(control, "gc", {}))["state"] == "done"
                assert (await control.status())["read_only"]["why"]
                shutil.rmtree(disk / "ballast.files")
                (disk / "ballast").unlink()
                wait_for(lambda: ready(client)["status"] == "ready", "it comes back by itself")
                status_now = await control.status()
            assert status_now["read_only"] is None
            assert status_now["health"]["ok"], status_now["health"]
            assert reserve.kept() == (room.bytes_kept, room.files_kept), "whole again"
            contents[1].push(client, "team/app", "again")
            pull(client, contents[1], "again")
            lockgate("audit", "verify", "-C", paths.root)
        events = tail(paths.audit, 10_000)
        acts = [event["act"] for event in events]
        assert acts.count(Act.READ_ONLY) == 2, "once in each run"
        assert acts.count(Act.READ_WRITE) == 1
        assert {Act.DELETE_TAG, Act.DELETE_MANIFEST, Act.BLOCK, Act.GC, Act.RECEIPT_EXPORT} <= set(acts)
        pulled = f"team/app@{contents[0].digest}"
        assert any(event["thing"] == pulled for event in events if event["act"] == Act.PULL), "counted, and written"


def test_a_worker_that_is_killed_where_nothing_at_all_is_left_is_replaced_and_serves(tmp_path: Path) -> None:
    """Not even its own error output has room."""
    with mounted(tmp_path / "disk", "tmpfs", 96 << 20, 3_000) as disk:
        content = image()
        with Station(disk / "alpha", "alpha", "outside") as station:
            client = Client(int(station.base.rpartition(":")[2]))
            content.push(client, "team/app", "v0")
            reserve = Reserve(disk / "alpha" / "reserve")
            for worker in children_of(station)[1:]:
                fill_inodes(disk)
                fill_bytes(disk)
                reserve.make_room(10_000, starts=True)
                fill_inodes(disk)
                fill_bytes(disk)
                assert reserve.kept() == (0, 0)
                os.kill(worker, signal.SIGKILL)
                wait_for(lambda gone=worker: len({*children_of(station)} - {gone}) == 3, "another in its place")
                pull(client, content, "v0")


def children_of(station: Station) -> list[int]:
    """The processes of the station: control first, then the workers."""
    assert station.process is not None
    number = station.process.pid
    return [int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def pull(client: Client, content: Content, reference: str) -> None:
    """Take the whole image."""
    assert client.ask("GET", f"/v2/team/app/manifests/{reference}").body == content.manifest
    manifest = json.loads(content.manifest)
    for blob in [manifest["config"], *manifest["layers"]]:
        answer = client.ask("GET", f"/v2/team/app/blobs/{blob['digest']}")
        assert (answer.status, len(answer.body)) == (200, blob["size"])
