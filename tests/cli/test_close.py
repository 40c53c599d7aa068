"""`lockgate close`: an open station becomes a closed one in one step, and nothing less does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import clock
from appliance.access.certificates import load, names_of
from appliance.audit.checkpoints import verify_log
from appliance.audit.reading import tail
from appliance.cli.station import closing
from appliance.half_closed import has_administrator
from appliance.origin import read_origin
from appliance.paths import StationPaths
from appliance.settings.station import load_config
from appliance.station import station_lock
from appliance.store.database import open_writer
from appliance.store.writer import LocalWriter
from appliance.store.writes.access import CreateAccount
from bundles.errors import FailedError
from tests.cli.conftest import Ended, Run

PASSWORD = "correct horse battery"


@pytest.fixture
def opened(run: Run, tmp_path: Path) -> StationPaths:
    """A station that was made open."""
    assert run("init", tmp_path / "delta", "--site", "delta", "--side", "inside", "--open").status == 0
    return StationPaths(tmp_path / "delta")


def close(run: Run, paths: StationPaths, *words: str, password: str = PASSWORD) -> Ended:
    reading, writing = os.pipe()
    os.write(writing, password.encode() + b"\n")
    os.close(writing)
    return run("close", *words, "--password-fd", str(reading), "-C", paths.root)


def by_hand(paths: StationPaths) -> None:
    paths.config.write_text(paths.config.read_text().replace("open = true", "open = false"))


def acts(paths: StationPaths) -> list[tuple[str, str]]:
    return [(event["act"], event["outcome"]) for event in tail(paths.audit, 100)]


@pytest.mark.parametrize("hand", [False, True], ids=["open", "open = false by hand"])
def test_one_step_makes_certificate_administrator_and_settings(run: Run, opened: StationPaths, hand: bool) -> None:
    opened.config.write_text(opened.config.read_text().replace("\nopen = true", "\nopen = true  # a try"))
    if hand:
        by_hand(opened)
    done = close(run, opened, "ada", "--name", "registry.delta.example", "--json").document
    assert (done["open"], done["administrator"], len(done["next"])) == (False, "ada", 3)
    config = load_config(opened.config)
    assert (config.open, config.threshold) == (False, 2)
    assert "\nopen = false  # a try" in opened.config.read_text()
    assert "registry.delta.example" in names_of(load(opened.tls / "server.pem"))
    assert has_administrator(opened)
    origin = read_origin(opened, "delta")
    assert origin is not None
    assert not origin.open
    assert acts(opened)[1:] == [("station.close", "done"), ("account.claim", "done"), ("station.origin", "done")]
    assert verify_log(opened, "delta").findings == []
    assert run("config", "check", "-C", opened.root).status == 0


def test_a_closed_station_is_neither_closed_again_nor_opened(run: Run, opened: StationPaths) -> None:
    assert close(run, opened, "ada").status == 0
    assert close(run, opened, "eve").status == 3
    opened.config.write_text(opened.config.read_text().replace("open = false", "open = true"))
    assert run("serve", "-C", opened.root).status == 3
    assert close(run, opened, "eve").status == 3
    with open_writer(opened.database) as database:
        assert database.execute("SELECT name FROM accounts").fetchall() == [("ada",)]


def test_a_station_made_with_accounts_is_not_closed_even_where_its_database_is_gone(run: Run, station: Path) -> None:
    """Else the command would give whoever calls it an administrator without the one-time code."""
    paths = StationPaths(station)
    for text in ("open = false", "open = true"):
        paths.config.write_text(paths.config.read_text().replace("open = false", text))
        assert close(run, paths, "eve").status == 3
    assert not has_administrator(paths)


@pytest.mark.parametrize(
    "words",
    [
        ("serve",), ("user", "code"), ("tls", "renew"), ("tls", "show"), ("trust", "snippet", "podman"),
        ("user", "claim", "ada", "--code-fd", "0", "--password-fd", "0"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_that_wants_a_closed_station_names_the_one_that_closes_it(
    run: Run, opened: StationPaths, words: tuple[str, ...]
) -> None:
    by_hand(opened)
    ended = run(*words, "-C", opened.root)
    assert (ended.status, f"lockgate close -C {opened.root}" in ended.err) == (2, True), ended.err
    if words != ("serve",):
        opened.config.write_text(opened.config.read_text().replace("open = false", "open = true"))
        ended = run(*words, "-C", opened.root)
        assert (ended.status, f"lockgate close -C {opened.root}" in ended.err) == (2, True), ended.err
    assert not opened.database.exists()


def test_the_check_of_the_settings_names_it_too(run: Run, opened: StationPaths) -> None:
    by_hand(opened)
    assert f"lockgate close -C {opened.root}" in run("config", "check", "-C", opened.root).out


def test_accounts_on_an_open_station_lead_to_it_as_well(run: Run, opened: StationPaths) -> None:
    database = open_writer(opened.database)
    LocalWriter(database).submit(CreateAccount(name="bob", kind="person", full_name="", at=clock.now()))
    database.close()
    ended = run("serve", "-C", opened.root)
    assert (ended.status, f"lockgate close -C {opened.root}" in ended.err) == (3, True)
    assert close(run, opened, "ada").status == 0


@pytest.mark.parametrize(
    ("words", "password", "said"),
    [
        (("Ada!",), PASSWORD, "not a name"),
        (("robot-ada",), PASSWORD, "a robot's name"),
        (("ada", "--full-name", "A\u200bda"), PASSWORD, "printable"),
        (("ada",), "short", "12 to"),
        ((), PASSWORD, "lockgate close NAME"),
    ],
)
def test_what_cannot_be_leaves_the_station_open(
    run: Run, opened: StationPaths, words: tuple[str, ...], password: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    before = opened.config.read_bytes(), acts(opened)
    ended = close(run, opened, *words, password=password)
    assert (ended.status, said in ended.err) == (2, True), ended.err
    assert (opened.config.read_bytes(), acts(opened)) == before
    assert not opened.tls.exists()


def test_nothing_is_closed_where_it_cannot_be_recorded(run: Run, opened: StationPaths) -> None:
    for file in (opened.audit / "lanes").iterdir():
        file.unlink()
    (opened.audit / "lanes").rmdir()
    (opened.audit / "lanes").touch()
    before = opened.config.read_bytes()
    ended = close(run, opened, "ada")
    assert (ended.status, "audit log" in ended.err) == (1, True), ended.err
    assert opened.config.read_bytes() == before
    assert not opened.tls.exists()
    assert not has_administrator(opened)


@pytest.mark.parametrize("step", ["make_ca", "make_server", "make_administrator", "adopt"])
def test_a_closing_that_was_cut_off_serves_nobody_and_is_gone_on_with(
    run: Run, opened: StationPaths, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cut(*_: object) -> None:
        raise FailedError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(closing, step, cut)
        assert close(run, opened, "ada").status == 1
    if step != "adopt":  # then nothing is missing, and a start marks it as closed
        assert f"lockgate close -C {opened.root}" in run("serve", "-C", opened.root).err
    assert close(run, opened, "ada").status == 0
    assert has_administrator(opened)
    assert verify_log(opened, "delta").findings == []
    assert run("config", "check", "-C", opened.root).status == 0


def swap(paths: StationPaths, old: str, new: str) -> None:
    text = paths.config.read_text()
    assert old in text
    paths.config.write_text(text.replace(old, new, 1))


SETTINGS: dict[str, Callable[[StationPaths], None]] = {
    "one person": lambda paths: swap(paths, "approvals_needed = 2", "approvals_needed = 1  # alone"),
    "of another table": lambda paths: swap(paths, "[tls]", "[tls]\n# open = true"),
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_that_only_an_open_station_may_have_are_raised_and_the_rest_stays(
    run: Run, opened: StationPaths, settings: str
) -> None:
    SETTINGS[settings](opened)
    before = opened.config.read_text()
    assert close(run, opened, "ada").status == 0
    expected = before.replace("open = true", "open = false", 1).replace("needed = 1", "needed = 2")
    assert opened.config.read_text() == expected


def test_a_setting_that_cannot_be_changed_in_place_is_named_and_nothing_is_done(run: Run, opened: StationPaths) -> None:
    swap(opened, "open = true", '"open" = true')
    before = opened.config.read_text()
    ended = close(run, opened, "ada")
    assert (ended.status, "open = false" in ended.err, opened.config.read_text()) == (2, True, before)


def test_a_certificate_of_the_sites_own_must_be_there(run: Run, opened: StationPaths) -> None:
    swap(opened, 'certificate = "tls/server.pem"', 'certificate = "/nowhere/server.pem"')
    ended = close(run, opened, "ada")
    assert (ended.status, "/nowhere/server.pem" in ended.err) == (1, True)
    assert load_config(opened.config).open
    assert not has_administrator(opened)
    assert not (opened.tls / "ca.pem").exists()


def no_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal at which a password that is asked for fails the test."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)

    def asked(text: str, **_: object) -> str:
        raise AssertionError(text)

    monkeypatch.setattr("click.prompt", asked)


def test_what_is_wrong_is_said_before_a_password_is_asked_for(
    run: Run, opened: StationPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_prompt(monkeypatch)
    with station_lock(opened):
        ended = run("close", "ada", "-C", opened.root)
        assert (ended.status, "running already" in ended.err) == (1, True)
    assert run("close", "two words", "-C", opened.root).status == 2
    assert run("close", "ada", "--full-name", "a\tb", "-C", opened.root).status == 2
    assert run("close", "ada", "--name", "a b", "-C", opened.root).status == 2
    ended = run("init", opened.root, "--site", "delta", "--side", "inside", "--admin", "ada")
    assert (ended.status, "the folder is not empty" in ended.err) == (2, True)
    assert acts(opened)[1:] == []
