"""The program's log reaches the collector: from files that wait, whole, once across restarts, and bounded."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.program_log_sending import ProgramLogSender
from appliance.limits import forwarding as limits
from appliance.log_outbox import Outbox, files_of, is_over
from appliance.paths import StationPaths
from appliance.program_log import log_to_stderr, say
from appliance.settings.faults import faults
from appliance.settings.station import Config
from appliance.settings.syslog import SyslogSettings
from appliance.syslog.program_log import frame_of_line, read_outbox
from tests.access.papers import Issuer
from tests.observe.test_syslog import Listener, issuer, listener, quick, sending, until  # noqa: F401  fixtures


def line(message: str, **more: str) -> str:
    fields = {"time": "2026-05-04T12:00:00.000Z", "level": "warning", "process": "worker-1",
              "logger": "appliance.registry.app", "message": message}  # fmt: skip
    return json.dumps(fields | more) + "\n"


def written(folder: Path, *messages: str, process: str = "worker-1") -> Outbox:
    outbox = Outbox(folder, process)
    for message in messages:
        outbox.write(line(message, process=process))
    outbox.flush()
    return outbox


def said(frames: tuple[bytes, ...]) -> list[str]:
    return [json.loads(frame[frame.index(b"{") :])["message"] for frame in frames]


def test_a_message_has_a_header_of_rfc_5424_and_the_line(paths: StationPaths) -> None:
    frame = frame_of_line(line("it broke").encode(), "bravo")
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)
    head = b"<28>1 2026-05-04T12:00:00.000Z bravo lockgate worker-1 registry.app - {"
    assert message.startswith(head)
    assert frame_of_line(b"no line\n", "bravo") == b""
    assert frame_of_line(b"[" * 100_000, "bravo") == b""


@pytest.mark.parametrize("more", [{"traceback": "x" * 20_000}, {"message": "é" * 20_000}, {"a": "b" * 20_000}])
def test_a_message_is_as_long_as_a_receiver_takes(more: dict[str, str]) -> None:
    frame = frame_of_line(line(**{"message": "it broke"} | more).encode(), "bravo")
    message = frame.partition(b" ")[2]
    assert len(message) <= limits.SYSLOG_MESSAGE
    assert json.loads(message[message.index(b"{") :])["cut"] > 8192


def test_files_are_read_on_and_named_as_over_once_their_process_writes_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    outbox = written(folder, "one", "two")
    (folder / "notes.txt").write_text("no file of the log")
    (folder / "00000000000000000000-worker-9-1.jsonl").symlink_to("/dev/zero")
    first = read_outbox(folder, {}, "bravo")
    assert (said(first.frames), first.more) == (["one", "two"], False)
    outbox.write(line("three"))
    outbox.write('{"half')
    outbox.flush()
    second = read_outbox(folder, first.places, "bravo")
    assert said(second.frames) == ["three"]
    [own] = [path for path in files_of(folder) if not path.is_symlink()]
    assert not is_over(own, files_of(folder))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = own.with_name(f"00000000000000000001-worker-2-{int(ended.stdout)}.jsonl")
    gone.write_text(line("last words"))
    third = read_outbox(folder, second.places, "bravo")
    assert (said(third.frames), gone in third.whole) == (["last words"], True)


def test_what_waits_is_bounded_and_says_what_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOG_OUTBOX", 4_000)
    monkeypatch.setattr(limits, "LOG_OUTBOX_FILE", 1_000)
    written(tmp_path / "outbox", *(f"{number:03}" for number in range(100)))
    files = files_of(tmp_path / "outbox")
    assert sum(path.stat().st_size for path in files) <= 4_400
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    kept = [json.loads(text) for path in files for text in path.read_text().splitlines()]
    assert kept[-1]["message"] == "099"
    assert any(one.get("lost", 0) > 0 for one in kept)


@pytest.fixture
def clean_logging() -> Iterator[None]:
    yield
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler).__module__ == "appliance.program_log":
            handler.close()
            root.removeHandler(handler)


@pytest.mark.usefixtures("clean_logging")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_process_says_goes_to_stderr_and_into_the_outbox(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], as_json: bool
) -> None:
    say("before the log was set up")
    log_to_stderr("supervisor", as_json=as_json, outbox=tmp_path / "outbox", forks=True)
    say("worker 1 was killed by SIGKILL; it is started again")
    logging.getLogger("appliance.somewhere").info("nobody asked for it")
    first, second = capfd.readouterr().err.splitlines()
    assert first == "lockgate: before the log was set up"
    [kept] = [json.loads(text) for path in files_of(tmp_path / "outbox") for text in path.read_text().splitlines()]
    assert (kept["process"], kept["logger"], kept["level"]) == ("supervisor", "lockgate", "warning")
    assert json.loads(second) == kept if as_json else second == f"lockgate: {kept['message']}"


def sender(paths: StationPaths, port: int, issuer: Issuer) -> ProgramLogSender:  # noqa: F811
    settings = SyslogSettings(host=f"127.0.0.1:{port}", ca=str(issuer.ca), program=True)
    return ProgramLogSender(Config(site="bravo", side="inside", syslog=settings), paths)


async def test_lines_arrive_once_across_restarts_and_leave_the_folder(
    paths: StationPaths,
    issuer: Issuer,  # noqa: F811
    listener: Listener,  # noqa: F811
) -> None:
    written(paths.log_outbox, "one", "two")
    outbox = written(paths.log_outbox, "three", process="worker-2")
    first = sender(paths, listener.port, issuer)
    async with sending(first):
        await until(lambda: len(listener.events) == 3)
        await until(paths.log_outbox_sent.exists)
    assert first.check() == {"name": "program-log", "ok": True, "detail": first.check()["detail"]}  # type: ignore[index]
    outbox.write(line("four", process="worker-2"))
    outbox.flush()
    written(paths.log_outbox, "five")
    async with sending(sender(paths, listener.port, issuer)):
        await until(lambda: len(listener.events) == 5)
        await until(lambda: len(files_of(paths.log_outbox)) == 2)  # the first file of worker-1 was sent whole
    assert [event["message"] for event in listener.events] == ["one", "two", "three", "four", "five"]


async def test_a_collector_that_is_away_gets_it_later(
    paths: StationPaths,
    issuer: Issuer,  # noqa: F811
    listener: Listener,  # noqa: F811
) -> None:
    written(paths.log_outbox, "one")
    one = sender(paths, 1, issuer)
    async with sending(one):
        await until(lambda: not one.check()["ok"])  # type: ignore[index]
    async with sending(sender(paths, listener.port, issuer)):
        await until(lambda: len(listener.events) == 1)


def test_it_takes_a_collector() -> None:
    raw = b'site = "a"\nside = "inside"\n[syslog]\nprogram = true\n'
    assert [one.key for one in faults(raw)] == ["syslog.program"]
