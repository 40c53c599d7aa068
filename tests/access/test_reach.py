"""Who reaches a station beside its owner: members of the socket's group, each as the account bound to them; monitoring.

The commands run as another system account (uid 65534, without the owner's groups), as real processes.
"""

from __future__ import annotations

import asyncio
import grp
import http.client
import json
import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from appliance.control.listeners import monitoring
from appliance.settings.access import AccessSettings
from appliance.settings.station import Config
from tests.access.live import NOBODY, PASSWORD, Live, python_of_others
from tests.control.test_who_may_call import Played, a_station

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another system account: needs root")


@pytest.fixture(scope="module")
def group() -> str:
    """A group that nobody is in by itself."""
    return grp.getgrnam("daemon").gr_name


@pytest.fixture(scope="module")
def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def live(group: str, free: int) -> Iterator[Live]:
    """A station in a folder that others may pass through, with a group for its socket and a port for metrics."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        station = Live(Path(folder) / "bravo", Path(folder) / "home")
        station.home.mkdir()
        station.make()
        station.configure(socket_group=f'"{group}"', metrics_listen=f'"127.0.0.1:{free}"')
        station.start()
        station.call("user", "login", "ada", password=PASSWORD)
        station.call("user", "create", "alice", password=PASSWORD)
        station.call("role", "grant", "alice", "reader")
        yield station
        station.stop()


@pytest.fixture
def stranger(live: Live) -> Iterator[Live]:
    """The same station, for somebody who keeps no log-in."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        yield Live(live.root, Path(folder), port=live.port)


def as_nobody(stranger: Live, *words: object, expect: int, groups: list[int], **secrets: str) -> str:
    return stranger.call(*words, expect=expect, user=NOBODY, groups=groups, **secrets)


def test_who_is_not_in_the_group_gets_no_further_than_the_folder(stranger: Live) -> None:
    for words in (("status",), ("key", "list"), ("user", "login", "ada")):
        said = as_nobody(stranger, *words, expect=1, groups=[])
        assert f"this system account may not enter the station's folder: {stranger.root}; call as its owner" in said


def test_the_group_opens_the_socket_and_nothing_else(live: Live, group: str) -> None:
    gid = grp.getgrnam(group).gr_gid
    sockets = ["run/control.sock", "run/handles.sock"]
    modes = [(live.root, 0o710), (live.root / "run", 0o710), *((live.root / name, 0o660) for name in sockets)]
    for path, mode in modes:
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (gid, mode), path
    others = [path for path in live.root.rglob("*") if path.lstat().st_gid == gid]
    assert {path.relative_to(live.root).as_posix() for path in others} == {"run", *sockets}
    for folder in (live.root, live.root / "run"):
        open_ = [path for path in folder.iterdir() if path.stat().st_mode & 0o007]
        readable = [path for path in folder.iterdir() if path.is_file() and path.stat().st_mode & 0o077]
        assert (open_, readable) == ([], []), "what lies there is the owner's, or the socket"


def test_a_member_without_an_account_is_refused_and_it_is_an_event(live: Live, stranger: Live, group: str) -> None:
    gid = grp.getgrnam(group).gr_gid
    for words in (("status",), ("repo", "list"), ("user", "list"), ("intake", "list"), ("job", "list")):
        said = as_nobody(stranger, *words, expect=3, groups=[gid])
        assert "no account stands for this system account" in said
    log = "".join(path.read_text() for path in (live.root / "audit").rglob("*.jsonl"))
    assert f"({NOBODY})" in log


def test_a_member_is_the_account_bound_to_the_uid_and_no_more(live: Live, stranger: Live, group: str) -> None:
    gid = grp.getgrnam(group).gr_gid
    live.call("user", "bind", "alice", "--uid", NOBODY)
    try:
        who = json.loads(as_nobody(stranger, "user", "whoami", "--json", expect=0, groups=[gid]))
        assert (who["account"], who["roles"]) == ("alice", [{"role": "reader", "pattern": "**"}])
        assert "no role of it may see or change accounts" in as_nobody(stranger, "user", "list", expect=3, groups=[gid])
        assert "no role of it may see or change accounts" in as_nobody(
            stranger, "role", "grant", "alice", "administrator", expect=3, groups=[gid]
        )
    finally:
        live.call("user", "bind", "alice")
    assert "no account stands" in as_nobody(stranger, "status", expect=3, groups=[gid])


@pytest.mark.parametrize(
    "words",
    [
        ("key", "list"), ("key", "create", "mine", "--no-passphrase"), ("trust", "snippet", "skopeo"), ("tls", "show"),
        ("tls", "renew"), ("user", "code"), ("serve",), ("audit", "verify"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_works_on_the_folder_is_the_owners_and_says_so(stranger: Live, group: str, words: tuple[str, ...]) -> None:
    """One clear line, and nothing in the folder changes."""
    before = {path: path.lstat().st_mtime_ns for path in stranger.root.rglob("*") if "run" not in path.parts}
    said = as_nobody(stranger, *words, expect=1, groups=[grp.getgrnam(group).gr_gid])
    assert "internal error" not in said
    assert str(stranger.root) in said
    assert "ermission denied" in said or "may not" in said
    after = {path: path.lstat().st_mtime_ns for path in stranger.root.rglob("*") if "run" not in path.parts}
    # The kernel dates a file that is mapped when it writes it back.
    own = {*(stranger.root / "audit").rglob("*"), stranger.root / "commits"}
    assert {path for path in before if before[path] != after.get(path)} <= own


def test_a_member_may_log_in_as_a_person(stranger: Live, group: str) -> None:
    gid = grp.getgrnam(group).gr_gid
    as_nobody(stranger, "user", "login", "alice", expect=0, groups=[gid], password=PASSWORD)
    assert json.loads(as_nobody(stranger, "user", "whoami", "--json", expect=0, groups=[gid]))["account"] == "alice"


def test_the_writers_socket_is_the_owners_alone(live: Live, group: str) -> None:
    """Whoever could speak to it would write what they like: it is below the group's folder, and shut."""
    gid = grp.getgrnam(group).gr_gid
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: sys.exit(7)"
    )
    for name, expected in (("writer.sock", 7), ("control.sock", 0)):
        command = [python_of_others(), "-c", script, live.root / "run" / name]
        done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[gid], check=False, cwd="/")
        assert done.returncode == expected, name


def test_monitoring_reads_metrics_without_a_password_and_nothing_else(live: Live, free: int) -> None:
    def ask(method: str, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", free, timeout=60)
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    status, text = ask("GET", "/metrics")
    assert status == 200
    for name in ("lockgate_up", 'lockgate_certificate_seconds_left{certificate="server"}', "lockgate_health"):
        assert name in text
    assert "alice" not in text
    status, text = ask("GET", "/sd")
    (found,) = json.loads(text)
    assert (status, found["targets"], set(found["labels"])) == (200, [f"127.0.0.1:{free}"], {"site", "side"})
    elsewhere = (("GET", "/sd/x"), ("GET", "/"), ("GET", "/v1/status"), ("GET", "/v2/"))
    for method, path in (("POST", "/metrics"), ("POST", "/sd"), *elsewhere):
        assert ask(method, path)[0] in (404, 405)


async def test_metrics_are_for_the_addresses_that_the_site_names(tmp_path: Path) -> None:
    for networks, expected in (((), 200), (("127.0.0.0/8",), 200), (("10.0.0.0/8", "fd00::/8"), 403)):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = Config(
            site="bravo", side="inside", metrics_listen=address, access=AccessSettings(metrics_addresses=networks)
        )
        with a_station(tmp_path / f"{expected}-{len(networks)}", Played()) as (control, audit):
            async with monitoring(config, control), aiohttp.ClientSession(f"http://{address}") as client:
                for path in ("/metrics", "/sd"):
                    answer = await client.get(path, headers={"X-Forwarded-For": "10.0.0.1"})
                    assert answer.status == expected
        refusals = [(event.act, event.outcome) for event in audit.events]
        assert refusals == ([("metrics.refuse", "refused")] * 2 if expected == 403 else [])


async def test_metrics_on_loopback_answer_to_loopback_names_and_plain_http_alone(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Config(site="bravo", side="inside", metrics_listen=f"127.0.0.1:{port}")

    async def ask(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    with a_station(tmp_path / "bravo", Played()) as (control, _):
        async with monitoring(config, control):
            end = b"\r\nConnection: close\r\n\r\n"
            for host in (b"localhost", b"127.0.0.1:9100", b"[::1]"):
                assert (await ask(b"GET /metrics HTTP/1.1\r\nHost: " + host + end)).startswith(b"HTTP/1.1 200 "), host
            for host in (b"evil.example", b"192.0.2.1", b"localhost.evil.example"):
                assert (await ask(b"GET /metrics HTTP/1.1\r\nHost: " + host + end)).startswith(b"HTTP/1.1 403 "), host
            for line in (b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/0.9\r\n\r\n", b"GET /metrics HTTP/2.0\r\n\r\n"):
                answer = await ask(line)
                assert answer.split(b" ")[1] in (b"400", b"505"), line
                assert b"lockgate_up" not in answer
            chunked = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            answer = await ask(chunked + b"-1\r\na\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost" + end)
            assert b"lockgate_up" not in answer, "what follows a malformed chunk is no request"


def test_a_group_that_does_not_exist_and_a_port_that_is_taken_are_named(tmp_path: Path) -> None:
    station = Live(tmp_path / "bravo", tmp_path)
    station.make()
    station.configure(socket_group='"no-such-group"')
    said = station.call("serve", expect=2)
    assert 'no such group on this system: access.socket_group = "no-such-group"' in said
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        address = f"127.0.0.1:{held.getsockname()[1]}"
        station.configure(socket_group='""', metrics_listen=f'"{address}"')
        said = station.call("serve", "--listen", "127.0.0.1:0", expect=1)
    assert f"metrics cannot listen (Address already in use): {address}; change metrics_listen" in said
