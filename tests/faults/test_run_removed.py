"""The folder of a running station's sockets and counters is removed: it is made again, and commands get through."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from appliance.station import listens_at
from tests.conformance.shapes import image
from tests.control.powered import wait_for
from tests.registry_server import Client
from tests.stage import Station, lockgate


async def test_a_station_whose_folder_of_sockets_is_removed_listens_again(tmp_path: Path) -> None:
    station = Station(tmp_path / "alpha", "alpha", "outside")
    paths, contents = StationPaths(tmp_path / "alpha"), [image() for _ in range(3)]
    with station:
        client = Client(int(station.base.rpartition(":")[2]))
        contents[0].push(client, "team/app")
        address = listens_at(paths)
        assert address is not None
        pushed = await pushes(paths)
        counted = {path: path.stat().st_ino for path in paths.metrics.iterdir()}
        lockgate("serve", "-C", paths.root, "--listen", "127.0.0.1:0", expect=1)
        assert {path: path.stat().st_ino for path in paths.metrics.iterdir()} == counted, "a second start takes nothing"
        shutil.rmtree(paths.run)

        contents[1].push(client, "team/app", "v1")
        wait_for(
            lambda: paths.control_socket.exists() and listens_at(paths) == address, "sockets, and where it listens"
        )
        wait_for(lambda: client.ask("GET", "/readyz").json == {"status": "ready", "codes": []}, "readyz")
        lockgate("gc", "-C", paths.root)
        contents[2].push(client, "team/app", "v2")
        assert await pushes(paths) >= pushed + 2, "what was counted before, between and after"
        for content in contents:
            assert client.ask("GET", f"/v2/team/app/manifests/{content.digest}").body == content.manifest
        shutil.rmtree(paths.jobs)
        lockgate("scrub", "-C", paths.root)
    lockgate("audit", "verify", "-C", paths.root)


async def pushes(paths: StationPaths) -> float:
    """How many manifests were pushed, by the counters of all processes."""
    text = bytearray()
    async with ControlClient(paths.root) as control:
        await control.fetch("/v1/metrics", text.extend)
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.decode().splitlines()
        if line.startswith("lockgate_push_seconds_count{") and 'kind="manifest"' in line
    )
