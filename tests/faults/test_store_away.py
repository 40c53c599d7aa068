"""The disk of a station's store is not mounted: under a running station, and at its start."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appliance.audit.acts import Act
from appliance.audit.reading import tail
from appliance.paths import StationPaths
from appliance.store.presence import Presence
from bundles.oci.digest import Digest
from tests.conformance.shapes import Content, image
from tests.control.powered import wait_for
from tests.faults.disks import mounted
from tests.registry_server import Client
from tests.stage import Station, lockgate


def client_of(station: Station) -> Client:
    return Client(int(station.base.rpartition(":")[2]))


def answers(client: Client, content: Content) -> set[int]:
    blobs = [f"/v2/team/app/blobs/{Digest.of(blob)}" for blob in content.blobs]
    return {client.ask("GET", path).status for path in [*blobs, f"/v2/team/app/manifests/{content.digest}"]}


def test_a_station_without_its_store_withdraws_nothing_and_serves_again_once_it_is_mounted(tmp_path: Path) -> None:
    station = Station(tmp_path / "bravo", "bravo", "inside")
    paths = StationPaths(tmp_path / "bravo")
    paths.store.rmdir()
    with mounted(paths.store, "ext4", 16 << 20):
        with station:
            client, contents = client_of(station), [image() for _ in range(3)]
            for content in contents:
                content.push(client, "team/app")
            subprocess.run(["umount", "--lazy", paths.store], check=True)

            unknown = client.ask("GET", f"/v2/team/app/blobs/{Digest.of(b'never pushed')}").status
            assert (answers(client, contents[0]) - {200}, unknown) == ({503}, 404)  # a manifest may be in memory
            assert client.ask("POST", "/v2/team/app/blobs/uploads/").status == 503
            wait_for(lambda: client.ask("GET", "/readyz").json == {"status": "not ready", "codes": ["store"]}, "readyz")
            refused = lockgate("scrub", "-C", paths.root, expect=1)
            assert "the store is not in its place" in refused.stderr
            assert "mount it again" in refused.stderr
            assert "not in its place" in lockgate("status", "-C", paths.root).stdout
        with station:
            client = client_of(station)
            assert answers(client, contents[0]) == {503}, "nor after a start"
            assert "not in its place" in lockgate("gc", "--now", "-C", paths.root, expect=1).stderr
            subprocess.run(["mount", "-o", "loop", paths.store.with_name("store.img"), paths.store], check=True)

            for content in contents:
                assert answers(client, content) == {200}
            image().push(client, "team/app", "v2")
            wait_for(lambda: client.ask("GET", "/readyz").json["status"] == "ready", "readyz")
            assert "the pass is complete" in lockgate("scrub", "-C", paths.root).stdout
            acts = [event["act"] for event in tail(paths.audit, 10_000)]
            wait_for(lambda: Act.STORE_BACK in {event["act"] for event in tail(paths.audit, 10_000)}, "its return")
            assert Act.STORE_AWAY in acts
            assert Act.WITHDRAW_DAMAGED not in acts
        assert Presence(paths).away() == ""
