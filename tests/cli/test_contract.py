"""What other programs rely on: options every command takes, one line an error, and the status that goes with it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.main import lockgate, main
from tests.cli.conftest import Run

PROGRAMS = {"serve", "console"}
"""What runs until it is told to stop has no document to print."""


def commands(command: click.Command = lockgate, *path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, *path, name)
    else:
        yield " ".join(path), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - PROGRAMS))
def test_every_command_prints_one_json_document_when_asked(name: str) -> None:
    assert "--json" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"init", "completion"}))
def test_every_command_takes_the_stations_folder_or_the_environments(name: str) -> None:
    (station,) = (parameter for parameter in COMMANDS[name].params if "-C" in parameter.opts)
    assert station.envvar == "LOCKGATE_DIR"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    silent = [o.opts[0] for o in command.params if isinstance(o, click.Option) and not o.help]
    assert silent == []


def test_help_is_told_without_loading_the_station() -> None:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "appliance.cli.main", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.startswith("Usage: lockgate")
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert loaded.isdisjoint({"aiohttp", "cryptography", "msgspec", "sqlite3", "rich", "textual", "asyncio"})


def test_the_environment_names_the_station_where_no_option_does(
    run: Run, station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (run("status").status, run("status", "-C", station).status) == (2, 1)
    ended = run("key", "list")
    assert (ended.status, "give -C DIR, or set LOCKGATE_DIR" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("status",), ("repo", "list"), ("repo", "tags", "a"), ("repo", "show", "a:1"), ("job", "list"),
        ("job", "show", "x"), ("job", "log", "x"), ("job", "cancel", "x"), ("job", "watch", "x"), ("audit", "show"),
        ("intake", "import", "/"), ("intake", "list"), ("intake", "show", "x"), ("intake", "release", "x"),
        ("intake", "stream", "show"), ("receipt", "export", "--out", "x"), ("collect", "file:/etc/hostname"),
        ("bundle", "build", "--to", "b", "--out", "x", "--sign-with", "receipt", "a:1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_a_running_station_says_so_and_how_to_start_it(
    run: Run, station: Path, words: tuple[str, ...]
) -> None:
    ended = run(*words, "-C", station)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == f"lockgate: the station is not running: {station}; start it with: lockgate serve -C {station}\n"


@pytest.mark.parametrize("thing", ["team/app:1", "team/app", "sha256:12", "sha256:" + "A" * 64])
def test_only_a_digest_is_unblocked_and_the_line_says_where_the_digests_stand(
    run: Run, station: Path, thing: str
) -> None:
    ended = run("block", "remove", thing, "-C", station)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == f"lockgate: not a digest: {thing}; give one that is blocked: lockgate block list\n"


def test_a_folder_that_is_no_station_is_named(run: Run, tmp_path: Path) -> None:
    ended = run("status", "-C", tmp_path)
    assert (ended.status, ended.err.startswith(f"lockgate: not a station: {tmp_path}; make one with")) == (2, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a setting is missing: site"),
        ("site = 5", "a setting is missing: side"),
        ("nonsense", "not TOML: Expected '='"),
        ('site = "bravo"\nside = "middle"', 'side = "middle"'),
        ('site = "BRAVO"\nside = "inside"', 'site = "BRAVO"'),
        ('site = "bravo"\nside = "inside"\ncolour = "red"', 'no such setting: colour = "red"'),
        ('site = "bravo"\nside = "inside"\nworkers = 0', "workers = 0"),
        ('site = "bravo"\nside = "inside"\nlisten = "there"', 'listen = "there"'),
        ("\udcff\udcfe", "not UTF-8 (invalid start byte)"),
    ],
)
def test_a_damaged_configuration_is_named_with_what_is_wrong_in_it(
    run: Run, station: Path, text: str, reason: str
) -> None:
    (station / "config.toml").write_bytes(text.encode(errors="surrogateescape"))
    ended = run("serve", "-C", station)
    assert (ended.status, ended.out) == (2, "")
    assert reason in ended.err
    assert str(station / "config.toml") in ended.err


def open_station(run: Run, folder: Path) -> Path:
    assert run("init", folder, "--site", "delta", "--side", "inside", "--open").status == 0
    return folder


def test_a_port_in_use_is_named_and_another_proposed(run: Run, tmp_path: Path) -> None:
    station = open_station(run, tmp_path / "delta")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        address = f"127.0.0.1:{held.getsockname()[1]}"
        ended = run("serve", "-C", station, "--listen", address)
    assert (ended.status, ended.out) == (1, "")
    assert f"cannot listen (Address already in use): {address}; choose another" in ended.err


def test_an_open_station_is_refused_on_any_address_but_loopback(run: Run, tmp_path: Path) -> None:
    station = open_station(run, tmp_path / "delta")
    for address in ("0.0.0.0:0", "192.0.2.1:0", "[::]:0", "host.invalid:0"):
        ended = run("serve", "-C", station, "--listen", address)
        assert (ended.status, "an open station listens on loopback alone" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("bundle", "build", "--to", "b", "--out", "x", "--sign-with", "nobody", "a:1"),
        ("intake", "approve", "alpha.bravo-000001", "--key", "nobody"),
        ("intake", "reject", "alpha.bravo-000001", "--key", "nobody", "--why", "x"),
        ("key", "export", "nobody"),
        ("key", "trust", "/nowhere.pem", "--purpose", "release", "--owner", "x"),
    ],
    ids=" ".join,
)
def test_a_missing_key_is_named(run: Run, station: Path, words: tuple[str, ...]) -> None:
    ended = run(*words, "-C", station)
    assert (ended.status, "no such key: " in ended.err) == (2, True)


@pytest.mark.parametrize("text", ["Team/app", "Team/app:1", "app:", "app@sha256:12", "a b:1", "../app:1", "app:1@x"])
def test_a_bad_reference_is_named_before_anything_starts(run: Run, station: Path, text: str) -> None:
    words = ("bundle", "build", "--to", "b", "--out", "x", "--sign-with", "receipt")
    ended = run(*words, text, "-C", station)
    assert (ended.status, ended.out) == (2, "")
    assert "malformed" in ended.err


@pytest.mark.parametrize(
    "text", ["app:1", "host.example/app", "file:/nowhere", "file:/etc", "oci:/nowhere", "https://h/a:1"]
)
def test_a_bad_source_is_named_before_anything_starts(run: Run, station: Path, text: str) -> None:
    ended = run("collect", text, "-C", station)
    assert (ended.status, ended.out) == (2, "")
    assert text.partition(":")[2] in ended.err


def test_a_passphrase_never_comes_from_the_arguments() -> None:
    secret = [o for c in COMMANDS.values() for p in c.params for o in p.opts if "pass" in o]
    assert set(secret) <= {"--passphrase-fd", "--no-passphrase", "--password-fd"}
    descriptors = [p for c in COMMANDS.values() for p in c.params for o in p.opts if o.endswith("-fd")]
    assert all(isinstance(parameter.type, click.types.IntParamType) for parameter in descriptors)


def test_an_error_in_the_program_is_one_line_and_a_private_file(
    run: Run, station: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("appliance.known_keys.own_keys", lambda paths: 1 // 0)
    ended = run("key", "list", "-C", station)
    (kept,) = tmp_path.glob("lockgate-error-*.txt")
    assert ended.err == f"lockgate: an internal error; its details are in {kept}\n"
    assert "ZeroDivisionError" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_reader_that_goes_away_early_is_no_traceback(station: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli.main", "key", "list", "--json", "-C", station],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_json_is_one_document_and_nothing_else(run: Run, station: Path) -> None:
    assert set(json.loads(run("key", "list", "--json", "-C", station).out)) == {"keys", "trusted"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_nul_in_any_word_is_a_usage_error(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["a\0b"], ["-C", "/tmp/a\0b"], ["--out", "\0"]):
        monkeypatch.setattr(sys, "argv", ["lockgate", *name.split(), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "NUL" in line


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("intake", "list", "--state", "rejected", "--state", "released"), 2),
        (("audit", "show", "--limit", "3", "--limit=4"), 2),
        (("intake", "list", "--state", "rejected", "--state=rejected"), 1),
        (("repo", "list", "--json", "--json"), 1),
        (("block", "add", "sha256:" + "1" * 64, "--why", "--why"), 1),
        (("block", "add", "--why", "x", "--", "sha256:" + "1" * 64), 1),
        (("collect", "localhost:1/a:1", "--platform", "linux/amd64", "--platform", "linux/arm64"), 1),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_an_option_for_one_value_is_given_one(run: Run, station: Path, words: tuple[str, ...], status: int) -> None:
    """1 is the station that does not run: the command line was understood."""
    ended = run(*words[:2], "-C", station, *words[2:])
    assert (ended.status, "takes one value" in ended.err) == (status, status == 2)
