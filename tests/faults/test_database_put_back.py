"""An older copy of the database takes the place of the newest one, at rest and under a running inside: it is told until
people have said which copy is to be gone on with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.errors import FailedError
from tests.conformance.shapes import image
from tests.control.powered import wait_for
from tests.registry_server import Client
from tests.stage import Station, lockgate


def client_of(station: Station) -> Client:
    return Client(int(station.base.rpartition(":")[2]))


def ready(station: Station) -> tuple[str, list[str]]:
    answer = client_of(station).ask("GET", "/readyz").json
    return answer["status"], answer["codes"]


async def metadata(root: Path) -> dict[str, Any]:
    async with ControlClient(root) as control:
        checks: list[dict[str, Any]] = (await control.status())["health"]["checks"]
    return next(check for check in checks if check["name"] == "metadata")


def database_of(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.glob("metadata.sqlite*")}


def put_back(copy: dict[str, bytes], root: Path) -> None:
    """The database alone."""
    for left in root.glob("metadata.sqlite*"):
        left.unlink()
    for name, data in copy.items():
        (root / name).write_bytes(data)


def write_over(copy: dict[str, bytes], root: Path) -> None:
    """The same files with other bytes, as `cp` does it."""
    for path in (root / "metadata.sqlite", root / "metadata.sqlite-wal"):
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(copy.get(path.name, b""))


async def test_an_inside_whose_database_went_back_says_so_until_people_have(tmp_path: Path) -> None:
    station = Station(tmp_path / "bravo", "bravo", "inside")
    root, contents = StationPaths(tmp_path / "bravo").root, [image() for _ in range(3)]
    with station:
        contents[0].push(client_of(station), "team/app", "one")
    older = database_of(root)
    with station:
        contents[1].push(client_of(station), "team/app", "two")
    put_back(older, root)
    for _ in range(2):  # a further start says it as well
        with station:
            wait_for(lambda: ready(station) == ("degraded", ["metadata"]), "readyz")
            check = await metadata(root)
            assert not check["ok"]
            assert "went back by" in check["detail"]
            assert "nothing is removed for good" in lockgate("gc", "--now", "-C", root, expect=3).stderr
    lockgate("restore", "--why", "there is no newer copy", "-C", root)
    with station:
        wait_for(lambda: ready(station) == ("ready", []), "readyz")
        assert (await metadata(root))["ok"]
        lockgate("gc", "--now", "-C", root)
        contents[2].push(client_of(station), "team/app", "three")
        write_over(older, root)  # under the running station
        wait_for(lambda: "metadata" in ready(station)[1], "readyz")
        with suppress(FailedError):  # what was written over is read no more
            assert not (await metadata(root))["ok"]
