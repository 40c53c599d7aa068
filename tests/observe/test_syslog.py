"""The audit log reaches a collector by syslog over TLS, whole, in order and once known to be there, or it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.audit.seals import seals_of
from appliance.control.program_log_sending import ProgramLogSender
from appliance.control.syslog import Shipper
from appliance.limits import forwarding as limits
from appliance.paths import StationPaths
from appliance.serve.preflight import objections
from appliance.settings.station import Config, load_config
from appliance.settings.syslog import SyslogSettings
from appliance.syslog.messages import frame_of
from appliance.syslog.reading import LogReader
from appliance.syslog.sending import Collector, NotSentError
from bundles.documents.audit_log import line_of
from bundles.documents.audit_seal import seal
from tests.access.papers import Issuer
from tests.observe.station import act, fill, lane, lines
from tests.peer_tools import cannot, require

_HEADER = re.compile(
    rb"<(1[0-9]{2})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) lockgate (\d+) ([!-~]{1,32}) - (\{.*\})\Z"
)
_LOST_SEGMENT = 3


def frames(raw: bytes) -> list[bytes]:
    """The messages of a stream, by their octet counts alone (RFC 5425, section 4.3)."""
    found = []
    while raw:
        count, space, rest = raw.partition(b" ")
        assert space, raw[:80]
        assert re.fullmatch(rb"[1-9][0-9]*", count), count
        assert len(rest) >= int(count)
        found.append(rest[: int(count)])
        raw = rest[int(count) :]
    return found


@dataclass
class Listener:
    """A collector on loopback: the bytes of each connection."""

    context: ssl.SSLContext
    came: list[bytearray] = field(default_factory=list)
    takes: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Listener:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.takes.set()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._socket.accept()
                threading.Thread(target=self._read, args=(accepted,), daemon=True).start()

    def _read(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(accepted, server_side=True) as link:
            came = bytearray()
            self.came.append(came)
            self.takes.wait()
            while block := link.recv(65_536):
                came += block

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all connections, in the order in which they came."""
        return [json.loads(message[message.index(b"{") :]) for came in self.came for message in frames(bytes(came))]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path, "collectors")


@pytest.fixture
def listener(issuer: Issuer) -> Iterator[Listener]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issuer.server("127.0.0.1"))
    with Listener(context) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOG_LOOK", 0.02)
    monkeypatch.setattr(limits, "SYSLOG_SETTLES", 0.3)
    monkeypatch.setattr(limits, "SYSLOG_PAUSES", (0.05,))


def shipper(paths: StationPaths, port: int, ca: Path, **more: str) -> tuple[Shipper, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    settings = SyslogSettings(host=f"127.0.0.1:{port}", ca=str(ca), **more)
    config = Config(site="bravo", side="inside", syslog=settings)
    return Shipper(config, paths, lambda sent, lost: told.append((sent, lost))), told


@contextlib.asynccontextmanager
async def sending(one: Shipper | ProgramLogSender) -> AsyncIterator[None]:
    task = asyncio.create_task(one.keep_sending())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


def numbers(listener: Listener) -> list[int]:
    return [event["seq"] for event in listener.events]


def test_a_message_has_a_header_of_rfc_5424_and_the_line_of_the_log(paths: StationPaths) -> None:
    fill(paths, 1)
    (line,) = lines(lane(paths))
    framed = frame_of(line, "brävo site")
    (message,) = frames(framed)
    match = _HEADER.match(message)
    assert match is not None
    assert (int(match[1]), match[3], match[5], match[6]) == (13 * 8 + 5, b"brvosite", b"intake.import", line.rstrip())
    refused = frame_of(line.replace(b'"outcome":"done"', b'"outcome":"refused"'), "b")
    assert frames(refused)[0].startswith(b"<108>1 ")


def test_of_an_event_that_is_too_long_the_detail_is_left_out_and_that_is_said(paths: StationPaths) -> None:
    audit = fill(paths, 1)
    act(audit, 2, detail={"names": ["x" * 100] * 200})
    (message,) = frames(frame_of(lines(lane(paths))[1], "bravo"))
    assert len(message) <= limits.SYSLOG_MESSAGE
    event = json.loads(message[message.index(b"{") :])
    assert (event["seq"], event["detail"]["left out"] > 20_000) == (2, True)


def test_the_log_is_read_in_batches_and_on_from_where_it_was_sent(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(paths, 20)
    monkeypatch.setattr(limits, "SYSLOG_BATCH", 2_000)
    reader, found = LogReader(paths), []
    first = reader.read()
    assert reader.read() == first  # until it is taken
    while (batch := reader.read()).lines:
        assert sum(map(len, batch.lines)) < 2_000 + limits.SYSLOG_MESSAGE
        reader.taken(batch)
        found += batch.lines
        if len(found) > 10:  # the station starts again
            reader = LogReader(paths, dict(batch.heads))
    assert found == lines(lane(paths))


def test_what_is_being_written_waits_and_what_the_station_did_not_write_is_no_event(paths: StationPaths) -> None:
    audit = fill(paths, 3)
    whole = lane(paths).read_bytes()
    lane(paths).write_bytes(whole[:-20])
    reader = LogReader(paths)
    batch = reader.read()
    assert len(batch.lines) == 2
    reader.taken(batch)
    changed = whole.replace(b"alpha.bravo-000003", b"alpha.bravo-000004")
    forged = line_of({**json.loads(whole.splitlines()[2]), "seq": 2**40, "mac": "0" * 64})
    lane(paths).write_bytes(changed + forged)
    assert (reader.read().lines, reader.read().lost) == ((), 0)
    # The next event that is the station's own tells that one is missing.
    key = seals_of(paths).keys[0]
    own = {name: said for name, said in json.loads(whole.splitlines()[2]).items() if name != "mac"}
    lane(paths).write_bytes(changed + seal(line_of(own | {"seq": 4}), key))
    batch = reader.read()
    assert (len(batch.lines), batch.lost, batch.heads) == (1, 1, {1: 4})
    audit.close()


def test_a_mark_that_is_ahead_of_the_log_keeps_nothing_back(paths: StationPaths) -> None:
    """Of a log that was put back to an older copy, or a mark that somebody raised."""
    fill(paths, 3).close()
    with lane(paths).open("ab") as half:
        half.write(b'{"half')
    reader = LogReader(paths, {1: 2**40, 7: 5})
    batch = reader.read()
    assert (batch.lines, batch.lost) == ((), 0)
    reader.taken(batch)
    batch = reader.read()
    assert (len(batch.lines), batch.lost, batch.heads) == (3, 0, {1: 3, 7: 5})
    reader.taken(batch)
    assert reader.read().lines == ()
    assert LogReader(paths, {1: 3}).read().lines == ()


async def test_events_arrive_whole_in_order_and_once_across_restarts(
    paths: StationPaths, issuer: Issuer, listener: Listener
) -> None:
    audit = fill(paths, 5)
    first, told = shipper(paths, listener.port, issuer.ca)
    async with sending(first):
        await until(lambda: told)
        act(audit, 6)
        await until(lambda: len(told) == 2)
    assert (paths.syslog.stat().st_mode & 0o777, first.check()["ok"]) == (0o600, True)  # type: ignore[index]
    act(audit, 7)
    second, later = shipper(paths, listener.port, issuer.ca)
    async with sending(second):
        await until(lambda: later)
    await until(lambda: len(listener.events) == 7)
    assert numbers(listener) == [1, 2, 3, 4, 5, 6, 7]
    assert (told, later, second.waiting({1: 9})) == ([(5, 0), (1, 0)], [(1, 0)], 2)


async def test_a_collector_that_is_away_gets_everything_later_and_is_told_of_meanwhile(
    paths: StationPaths, issuer: Issuer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SYSLOG_LATE", 0.0)
    audit = fill(paths, 2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        away = free.getsockname()[1]
    one, told = shipper(paths, away, issuer.ca)
    async with sending(one):
        await until(lambda: not one.check()["ok"])  # type: ignore[index]
    assert (told, paths.syslog.exists()) == ([], False)
    act(audit, 3)
    one, told = shipper(paths, listener.port, issuer.ca)
    async with sending(one):
        await until(lambda: told)
    await until(lambda: len(listener.events) == 3)
    assert one.check()["ok"]  # type: ignore[index]


def test_what_a_slow_collector_does_not_take_in_time_is_not_taken_for_sent(
    paths: StationPaths, issuer: Issuer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SYSLOG_TIME", 1.0)
    listener.takes.clear()
    collector = Collector(SyslogSettings(host=f"127.0.0.1:{listener.port}", ca=str(issuer.ca)), paths.root)
    with pytest.raises(NotSentError, match="in 1 s"):
        collector.send([b"x" * 1_000_000] * 40)
    listener.takes.set()


@pytest.mark.parametrize("wrong", ["another CA", "another name"])
def test_a_collector_with_another_certificate_gets_nothing(
    paths: StationPaths, issuer: Issuer, listener: Listener, tmp_path: Path, wrong: str
) -> None:
    fill(paths, 1)
    ca = Issuer(tmp_path, "others").ca if wrong == "another CA" else issuer.ca
    name = "logs.example" if wrong == "another name" else ""
    collector = Collector(SyslogSettings(host=f"127.0.0.1:{listener.port}", ca=str(ca), name=name), paths.root)
    with pytest.raises(NotSentError, match="certificate does not count"):
        collector.send([frame_of(lines(lane(paths))[0], "bravo")])
    assert not any(listener.came)


async def test_a_collector_that_wants_a_certificate_gets_it_and_without_one_nothing_counts_as_sent(
    paths: StationPaths, issuer: Issuer, listener: Listener
) -> None:
    fill(paths, 1)
    listener.context.load_verify_locations(issuer.ca)
    listener.context.verify_mode = ssl.CERT_REQUIRED
    one, told = shipper(paths, listener.port, issuer.ca)
    async with sending(one):
        await until(lambda: one._fails)
        assert told == []
    own = str(issuer.client("bravo"))
    one, told = shipper(paths, listener.port, issuer.ca, client_cert=own, client_key=own)
    async with sending(one):
        await until(lambda: told)
    await until(lambda: numbers(listener) == [1])


async def test_events_that_were_taken_from_the_log_before_they_were_sent_are_counted_and_told(
    paths: StationPaths, issuer: Issuer, listener: Listener
) -> None:
    audit = fill(paths, 4)
    lane(paths).write_bytes(b"".join(lines(lane(paths))[_LOST_SEGMENT:]))
    audit.close()
    one, told = shipper(paths, listener.port, issuer.ca)
    async with sending(one):
        await until(lambda: told)
    found = one.check()
    assert (told, found is not None and found["ok"]) == ([(1, 3)], False)
    again, _ = shipper(paths, listener.port, issuer.ca)
    async with sending(again):  # a restart does not forget it
        await until(lambda: again.state.lost == 3)


def test_settings_are_checked(paths: StationPaths, issuer: Issuer) -> None:
    text = paths.config.read_text().replace('[syslog]', '[syslog]\nca = "none.pem"').replace(
        'host = ""\n#   ca', 'host = "logs.example:6514"\n#   ca'
    )  # fmt: skip
    paths.config.write_text(text)
    config = load_config(paths.config)
    assert config.syslog.host == "logs.example:6514"
    assert any("none.pem" in str(found.thing) for found in objections(paths, config))


OSSL = next(iter(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")), None)


async def test_rsyslog_takes_the_messages(paths: StationPaths, issuer: Issuer, tmp_path: Path) -> None:
    require("rsyslogd")
    if OSSL is None:
        cannot("needs rsyslog-openssl (packaging/test-peers installs it)")
    fill(paths, 3)
    server, out = issuer.server("127.0.0.1"), tmp_path / "got"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "rsyslog.conf").write_text(
        f'global(workDirectory="{tmp_path}" defaultNetstreamDriver="ossl"'
        f' defaultNetstreamDriverCAFile="{issuer.ca}" defaultNetstreamDriverCertFile="{server}"'
        f' defaultNetstreamDriverKeyFile="{server}")\n'
        'module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")\n'
        f'input(type="imtcp" port="{port}" address="127.0.0.1")\n'
        'template(name="fields" type="string" string="%pri%|%timereported:::date-rfc3339%|%hostname%|%app-name%'
        '|%procid%|%msgid%|%msg%\\n")\n'
        f'action(type="omfile" file="{out}" template="fields")\n'
    )
    command = ["rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", "NONE"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:
        try:
            own = str(issuer.client("bravo"))
            one, told = shipper(paths, port, issuer.ca, client_cert=own, client_key=own)
            async with sending(one):
                await until(lambda: told)
                await until(lambda: out.is_file() and out.read_text().count("\n") == 3)
        finally:
            program.terminate()
    rows = [row.split("|", 6) for row in out.read_text().splitlines()]
    written = [line.decode().rstrip() for line in lines(lane(paths))]
    assert [row[6].strip() for row in rows] == written
    assert {(row[0], row[2], row[3], row[5]) for row in rows} == {("109", "bravo", "lockgate", "intake.import")}
