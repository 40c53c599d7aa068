"""`lockgate top` shows what the registry is doing, on 80 by 24 characters and to programs; and costs nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.api.live import LiveRequest
from appliance.cli.station.top import lines, rates
from appliance.limits import station as limits
from appliance.registry.live import OTHERS, Live, LivePlace, keep
from appliance.registry.request_log import Answered
from tests.conformance.shapes import image
from tests.registry_server import Client, Store
from tests.stage import Station


def seen(account: str = "ada", reason: str = "ok", address: str = "10.0.0.1", length: int = 5) -> Answered:
    return Answered(id="1", address=address, account=account, method="GET", path="/v2/", status=200, reason=reason,
                    begun=0.0, ended=1.0, length=length, target=None, digest="", user_agent="", sent=None)  # fmt: skip


def count(name: str, requests: int, failed: int = 0, length: int = 0) -> dict[str, Any]:
    return {"name": name, "requests": requests, "failed": failed, "bytes": length}


def look(*workers: dict[str, Any]) -> dict[str, Any]:
    return {"at": "2026-01-01T10:00:00Z", "workers": 2, "heard": list(workers)}


def worker(number: int, seconds: float, *accounts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"worker": number, "seconds": seconds, "under_way": 0, "requests": [], "accounts": list(accounts),
            "repositories": [], "reasons": [], **more}  # fmt: skip


def test_rates_are_of_the_time_between_two_looks() -> None:
    before = look(worker(1, 10.0, count("ada", 100, 10, 1000)), worker(2, 50.0, count("bo", 7)))
    now = look(worker(1, 12.0, count("ada", 140, 30, 3000)), worker(2, 1.0, count("bo", 2), count("eve", 4)))
    found = rates(before, now)
    assert (found["seconds"], found["heard"], found["workers"]) == (2.0, 2, 2)
    assert found["accounts"] == [
        {"name": "ada", "requests": 20.0, "failed": 10.0, "bytes": 1000},
        {"name": "eve", "requests": 2.0, "failed": 0.0, "bytes": 0},
        {"name": "bo", "requests": 1.0, "failed": 0.0, "bytes": 0},
    ], "a worker that was started again counts from its start"
    assert rates(look(), look())["accounts"] == []


def test_a_look_fits_on_a_terminal_and_shows_no_text_as_anything_else() -> None:
    name = "\x1b[2J\u202e" + "x" * 300
    running = [{"id": "1", "method": "GET\x1b", "path": name, "account": name, "address": "", "repository": "",
                "seconds": 3.21}] * 100  # fmt: skip
    accounts = [count(f"{number}{name}", number + 1) for number in range(300)]
    found = rates(look(), look(worker(1, 2.0, *accounts, requests=running, under_way=100)))
    for width, height in ((80, 23), (120, 39), (20, 5)):
        shown = lines(found, width, height)
        assert len(shown) <= height
        assert all(len(line) <= width and line.isprintable() for line in shown)
    assert len(lines(found, 80, 0)) > 400, "what is no terminal gets all of it"
    assert any("1 of 2 workers" in line for line in lines(found, 80, 23))


def test_names_that_clients_choose_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_NAMES", 3)
    live = Live(1)
    for number in range(10):
        live.ended(seen("", address=f"10.0.0.{number}"))
    live.ended(seen("", address="10.0.0.0", reason="rate"))
    found = {one.name: (one.requests, one.failed, one.bytes) for one in live.told().accounts}
    assert found == {"(nobody) 10.0.0.0": (2, 1, 10), "(nobody) 10.0.0.1": (1, 0, 5), "(nobody) 10.0.0.2": (1, 0, 5),
                     OTHERS: (7, 0, 35)}  # fmt: skip


def test_what_is_under_way_is_told_until_it_ends_the_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_REQUESTS", 2)
    live = Live(1)
    for number in range(3):
        shown = LiveRequest(id=str(number), method="GET", path="/v2/", account="", address="", repository="",
                            seconds=float(number))  # fmt: skip
        live.begun(str(number), lambda shown=shown: shown)  # type: ignore[misc]
    told = live.told()
    assert (told.under_way, [one.id for one in told.requests]) == (3, ["2", "1"])
    live.ended(seen())
    live.forget("2")
    assert [one.id for one in live.told().requests] == ["0"]


async def test_a_worker_counts_while_somebody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_LOOK", 0.01)
    place = LivePlace(tmp_path / "live", tmp_path / "worker-1.live", 1)
    given: list[Live | None] = []

    async def until(count: int) -> None:
        async with asyncio.timeout(20):
            while len(given) < count:
                await asyncio.sleep(0.01)

    task = asyncio.create_task(keep(place, given.append))
    place.wanted.touch()
    await until(1)
    async with asyncio.timeout(20):
        while not place.snapshot.exists():
            await asyncio.sleep(0.01)
    os.utime(place.wanted, (time.time() - 60, time.time() - 60))
    await until(2)
    assert (given[0] is None, given[1]) == (False, None)
    async with asyncio.timeout(20):
        while place.snapshot.exists():
            await asyncio.sleep(0.01)
    os.utime(place.wanted, (time.time() + 10_000, time.time() + 10_000))  # by a clock that went back since
    await asyncio.sleep(0.05)
    assert len(given) == 2
    task.cancel()
    await asyncio.wait({task})
    assert given[-1] is None


def test_requests_are_counted_by_the_lane_and_the_handlers_and_by_nobody_afterwards(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        server = store.serve()
        image().push(server, "team/app", "v1")
        from appliance.registry.serving import LANE

        worker, live = server.runner.app[LANE]._worker, Live(1)
        server.loop.call_soon_threadsafe(worker.show, live)
        for _ in range(4):
            server.ask("GET", "/v2/team/app/manifests/v1")
        server.ask("GET", "/v2/team/app/manifests/none")
        server.loop.call_soon_threadsafe(worker.show, None)
        server.ask("GET", "/v2/team/app/manifests/v1")
    told = live.told()
    assert {one.name: one.requests for one in told.reasons} == {"ok": 4, "name": 1}
    assert [(one.name, one.requests) for one in told.repositories] == [("team/app", 5)]
    assert (told.under_way, worker.watch) == (0, None)


def test_a_station_shows_its_requests(tmp_path: Path) -> None:
    over = threading.Event()
    with Station(tmp_path / "alpha", "alpha", "outside") as station:
        client = Client(int(station.base.rpartition(":")[2]))
        image().push(client, "team/app", "v1")

        def pull() -> None:
            while not over.is_set():
                client.ask("GET", "/v2/team/app/manifests/v1")
                time.sleep(0.01)

        pulling = threading.Thread(target=pull)
        pulling.start()
        try:
            found = json.loads(station.run("top", "--json", "--seconds", "1").stdout)
            text = station.run("top", "--once", "--seconds", "0.5").stdout
        finally:
            over.set()
            pulling.join()
        assert (
            found["accounts"][0]["name"], found["repositories"][0]["name"], found["workers"],
        ) == ("(nobody) 127.0.0.1", "team/app", 2)  # fmt: skip
        assert text.isascii()
