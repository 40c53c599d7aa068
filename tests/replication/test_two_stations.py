"""Two whole stations: the follower killed in the middle of a blob, the primary killed, and the way between them cut."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.registry_server import Client
from tests.replication.following import NAME, push, size_of
from tests.sftp.relay import relay
from tests.stage import Station


def port_of(station: Station) -> int:
    port = urlsplit(station.base).port
    assert port is not None
    return port


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)


def kill(station: Station) -> None:
    assert station.process is not None
    os.killpg(station.process.pid, signal.SIGKILL)
    station.process.wait()


def at(station: Station, repository: str, tag: str) -> str:
    answer = Client(port_of(station)).ask("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": "*/*"})
    return str(answer.headers.get("Docker-Content-Digest", ""))


def test_a_follower_goes_on_after_each_end_was_killed_and_never_says_ok_meanwhile(tmp_path: Path) -> None:
    alpha, north = Station(tmp_path / "alpha", "alpha", "outside"), Station(tmp_path / "north", "north", "outside")
    config = north.folder / "config.toml"
    plain = config.read_text()
    partials = north.folder / "store" / "uploads"
    with alpha, relay(port_of(alpha)) as way:
        primary = Client(port_of(alpha))
        config.write_text(
            f'{plain}\n[replicas.{NAME}]\nurl = "http://127.0.0.1:{way.port}"\nrepositories = ["team/**"]\nevery = 2\n'
        )
        first = push(primary, "team/app", "1", os.urandom(6_000_000))
        way.rate = 500_000
        with north:
            until(lambda: any(path.stat().st_size > 200_000 for path in partials.rglob("*") if path.is_file()))
            kill(north)
        way.rate = 0
        with north:
            until(lambda: at(north, "team/app", "1") == first)
            kill(alpha)
            assert north.run("replica", "sync", NAME, "--json", expect=1).stderr.count("\n") >= 1
            (told,) = north.run("replica", "status", "--json", expect=4).json["items"]
            assert told["fault"] != ""
            assert at(north, "team/app", "1") == first
            with alpha:
                way.target = port_of(alpha)
                primary = Client(port_of(alpha))
                push(primary, "team/app", "", b"signed", first, size_of(primary, "team/app", first))
                second = push(primary, "team/app", "2", b"second")
                until(lambda: at(north, "team/app", "2") == second)
                north.run("replica", "sync", NAME)
                (told,) = north.run("replica", "status", NAME, "--json").json["items"]
                assert (told["fault"], told["repositories"][0]["behind"]) == ("", 0)
                north.run("intake", "check")
                listed = Client(port_of(north)).ask("GET", f"/v2/team/app/referrers/{first}").json["manifests"]
                assert len(listed) == 1
