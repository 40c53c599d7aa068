"""A build that waits for its signature: whoever may sign goes on with it from any terminal, once, whatever dies."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest

from appliance import clock
from appliance.cli.completion import JOB, JOB_TO_SIGN, JobId
from appliance.cli.shared.follow import _sign
from appliance.control.client import ControlClient
from appliance.jobs import runner as job_runner
from appliance.jobs import signatures
from appliance.paths import StationPaths
from appliance.station import Station, open_station
from appliance.store.writer import WriterService
from bundles.errors import FailedError, RefusedError, UsageError
from bundles.signing.keys import PrivateKey, create_private, save_private
from tests.control.powered import Powered, wait_for
from tests.control.test_interrupted_jobs import alpha
from tests.intake.inside import make_station
from tests.main_job.gap import random_file
from tests.stage import lockgate

__all__ = ["alpha"]

PAYLOAD = b"0123  manifest.json\n"


async def asked(root: Path, job_id: str, state: str) -> dict[str, Any]:
    """The job once it stands there, across whatever happens to the station."""
    async with asyncio.timeout(90), ControlClient(root) as client:
        async for name, data in client.watch(job_id):
            if name == "job" and data["state"] == state:
                return cast(dict[str, Any], data)
            assert name != "job" or data["error"] is None, data
    raise AssertionError(f"{job_id} never stood in {state}")


async def offered(root: Path, kind: JobId) -> list[tuple[str, str | None]]:
    """What Tab offers for a job, with what is said of each."""
    context = click.Context(click.Command("sign"))
    context.params["root"] = root
    items = await asyncio.to_thread(kind.shell_complete, context, click.Argument(["job"]), "2")
    return [(item.value, item.help) for item in items]


async def test_a_lost_terminal_costs_nothing_and_a_signature_is_asked_for_once(
    alpha: tuple[Path, PrivateKey], tmp_path: Path
) -> None:
    root, key = alpha
    media = [tmp_path / name for name in ("one", "two")]
    for medium in media:
        medium.mkdir()
    file = random_file(tmp_path / "file.bin", 100_000)
    with Powered(root) as station:
        lockgate("collect", f"file:{file}", "--as", "files/one:1", "-C", root)
        params = {"to": "bravo", "volume": "1MiB", "sign_with": key.public.keyid, "references": ["files/one:1"]}
        async with ControlClient(root) as client:
            first = (await client.submit("build", params | {"out": [str(media[0])]}))["id"]
            since = (await asked(root, first, "to-sign"))["to_sign"]["since"]
            assert clock.seconds(since) <= clock.seconds(clock.now())
            second = (await client.submit("build", params | {"out": [str(media[1])]}))["id"]
            log = station.paths.job_log(second)
            how = f"lockgate bundle sign --job {first} --key KEY"
            wait_for(lambda: log.exists() and how in log.read_text(), "the second says what it waits for")
            async with asyncio.timeout(60):
                while first not in (await client.job(second))["phase"]:
                    await asyncio.sleep(0.02)
            third = (await client.submit("build", params | {"out": [str(media[1])]}))["id"]
            collection = (await client.submit("gc", {}))["id"]
            assert (await asked(root, collection, "done"))["state"] == "done", "builds that wait keep nobody out"
            assert (await client.job(third))["state"] == "running"
            await client.cancel(third)
            status = await client.status()
        assert status["to_sign"] == [{"job": first, "since": since}]
        assert f"job {first} waits for a signature since {since}: {how}" in status["alerts"]
        assert await offered(root, JOB_TO_SIGN) == [(first, "build to-sign")], "Tab offers it"
        assert {(first, "build to-sign"), (second, "build running")} <= set(await offered(root, JOB))
        watched = lockgate("job", "watch", first, "-C", root, expect=1)
        assert how in watched.stderr
        save_private(tmp_path / "other.pem", create_private(), None)
        other = lockgate("bundle", "sign", "--job", first, "--key", tmp_path / "other.pem", "-C", root, expect=3)
        assert "another key" in other.stderr
        station.cut()
    assert await offered(root, JOB) == [], "a station that does not answer offers nothing"
    with Powered(root) as station:
        assert (await asked(root, first, "to-sign"))["to_sign"]["since"] == since, "the same wait"
        ended = lockgate("bundle", "sign", "--job", first, "--key", "engineer", "-C", root)
        assert ended.last_line == str(media[0] / "alpha.bravo-000001")
        assert (
            "waits for no signature"
            in lockgate("bundle", "sign", "--job", first, "--key", "engineer", "-C", root, expect=2).stderr
        )
        await asked(root, second, "to-sign")
        async with ControlClient(root) as client:
            payload, keyids, _ = await client.to_sign(second)
            assert keyids == [key.public.keyid]
            job = await client.sign(second, key.public.keyid, key.sign(payload))
            assert (job["state"], job["to_sign"]) != ("to-sign", job["to_sign"]), "it is taken, and not asked for"
            station.cut()
    with Powered(root) as station:
        async with ControlClient(root) as client:
            async for name, data in client.watch(second):
                assert name != "job" or data["state"] != "to-sign", "it was taken before"
            assert data["state"] == "done", str(data["error"])
            assert (await client.status())["to_sign"] == []


@pytest.mark.parametrize("words", [[], ["medium", "--job", "20260101t000000z-000000"]])
def test_either_a_medium_or_a_job_is_signed(tmp_path: Path, words: list[str]) -> None:
    ended = lockgate("bundle", "sign", *words, "--key", "engineer", "-C", tmp_path, expect=2)
    assert "--job ID" in ended.stderr


# A job's process that begins anew


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    make_station(tmp_path / "bravo")
    with WriterService(StationPaths(tmp_path / "bravo").database) as service:
        opened = open_station(tmp_path / "bravo", service)
        opened.paths.job("job-1").mkdir(parents=True)
        yield opened


def waiting(station: Station, payload: bytes, key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    """What a job's process has of its signature, and what it asked for; nobody answers."""
    said = io.StringIO()
    monkeypatch.setattr("sys.stdout", said)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    runner = job_runner.Runner(station, "job-1", "build", {}, "tester", {})
    try:
        found = runner.wait_signatures(payload, "bundle", [key.public.keyid], {})
    except FailedError:
        found = {}
    return found, said.getvalue()


def test_what_was_taken_is_found_and_only_for_the_same_bytes_where_it_holds(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, folder = create_private(), station.paths.job("job-1")
    save_private(station.paths.keys / "engineer.pem", key, None)
    assert "to_sign" in waiting(station, PAYLOAD, key, monkeypatch)[1]
    since = signatures.waits_since(folder)
    signature = key.sign(PAYLOAD)
    signatures.keep_signature(folder, PAYLOAD, key.public.keyid, signature)
    found, said = waiting(station, PAYLOAD, key, monkeypatch)
    assert found == {key.public.keyid: signature}
    assert "to_sign" not in said
    found, said = waiting(station, PAYLOAD + b"other", key, monkeypatch)
    assert found == {}
    assert "to_sign" in said
    kept = folder / f"signature-{key.public.keyid}"
    good = json.loads(kept.read_bytes())
    forged = create_private().sign(PAYLOAD)
    for bad in (b"", b"[]", b"{}", json.dumps(good | {"signature": "?"}).encode()):
        kept.write_bytes(bad)
        assert waiting(station, PAYLOAD, key, monkeypatch)[0] == {}, bad
    signatures.keep_signature(folder, PAYLOAD, key.public.keyid, forged)
    assert waiting(station, PAYLOAD, key, monkeypatch)[0] == {}, "it does not hold"
    assert since


def test_the_time_of_a_wait_is_that_of_its_bytes(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    key, folder = create_private(), station.paths.job("job-1")
    assert signatures.waits_since(folder) == ""
    waiting(station, PAYLOAD, key, monkeypatch)
    os.utime(folder / signatures.PAYLOAD, (1_700_000_000, 1_700_000_000))
    waiting(station, PAYLOAD, key, monkeypatch)
    assert signatures.waits_since(folder) == "2023-11-14T22:13:20Z"
    waiting(station, PAYLOAD + b"anew", key, monkeypatch)
    assert signatures.waits_since(folder) != "2023-11-14T22:13:20Z"


@dataclasses.dataclass
class Failing:
    """A station whose answers to a signer fail so, one after another."""

    failures: list[Exception]
    key: PrivateKey
    taken: list[bytes] = dataclasses.field(default_factory=list)

    async def to_sign(self, _: str) -> tuple[bytes, list[str], dict[str, Any]]:
        return PAYLOAD, [self.key.public.keyid], {}

    async def sign(self, _: str, keyid: str, signature: bytes) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(signature)


async def sign(station: Failing, key: PrivateKey) -> None:
    await _sign(cast(ControlClient, station), "job-1", key)


async def test_a_signer_tries_again_where_the_station_went_away_and_never_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.cli.shared.follow._PAUSE", 0.0)
    key = create_private()
    station = Failing([FailedError("the station did not answer")] * 3, key)
    await sign(station, key)
    assert len(station.taken) == 1
    station = Failing([UsageError("the job waits for no signature")], key)
    await sign(station, key)
    assert station.taken == [], "it was taken before the answer was lost"
    with pytest.raises(FailedError, match="lockgate bundle sign --job job-1"):
        await sign(Failing([FailedError("the station is not running")] * 1_000, key), key)
    with pytest.raises(RefusedError, match="another key"):
        await sign(Failing([], key), create_private())
