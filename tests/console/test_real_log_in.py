"""The console on a real station with accounts: first administrator, log-in, lock, another person, its end."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from appliance.cli.shared.first_steps import FirstSteps
from appliance.control.client import ControlClient
from tests.console.real_station import PASSWORD, RealStation, console_of
from tests.console.tmux import Terminal
from tests.console.tmux import console as terminal_of
from tui.screens.people.log_in import Claim, LogInForm
from tui.station.control_socket import ControlStation
from tui.station.port import NotLoggedInError


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStation]:
    made = RealStation(tmp_path_factory.mktemp("real"))
    asyncio.run(_claimed_at_the_console(made, made.make()))
    made.start()
    made.people()
    yield made
    made.stop()


async def _claimed_at_the_console(station: RealStation, code: str) -> None:
    async with console_of(station) as console:
        await console.until(lambda: isinstance(console.app.screen, Claim), "the one-time code is asked for")
        await console.type(account="ada", code="AAAA-AAAA-AAAA-AAAA", password=PASSWORD, again=PASSWORD)
        await console.shows("not the one-time code")
        await console.type(account="ada", code=code, password=PASSWORD, again=PASSWORD)
        await console.shows("ada is administrator. Start the station")
        await console.type(account="ada", password=PASSWORD)
        await console.shows("the station is not running")


def test_the_first_administrator_was_made_at_the_console(station: RealStation) -> None:
    assert not FirstSteps(station.root).needed()
    assert "ada" in station.call("user", "whoami")
    assert station.events("account.claim")
    assert PASSWORD not in "".join(path.read_text() for path in (station.root / "audit").rglob("*.jsonl"))


async def test_a_person_logs_in_locks_and_another_takes_over(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("bob")
        await console.shows("What next")
        assert "may not" not in console.screen()
        await console.press("2", "4")
        await console.press("a")
        await console.shows("separation of duties: a courier may never approve")
        await console.press("L")
        await console.until(lambda: isinstance(console.app.screen, LogInForm), "the lock")
        assert "kept for bob" in console.screen()
        await console.until(lambda: len(station.events("session.logout")) == 1, "the log-out is an event")
        await console.type(account="bob", password="not the password")
        await console.shows("wrong name or password")
        await console.log_in("bob")
        assert console.name == "intake"
        await console.press("L")
        await console.log_in("olga")
        await console.until(lambda: console.name == "home", "home")
        await console.press("O")
        await console.until(lambda: isinstance(console.app.screen, LogInForm), "the log-in")
        await console.log_in("ada")
        await console.shows("What next")


async def test_a_session_that_the_station_ended_ends_at_the_log_in(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("jana")
        await console.press("3")
        station.call("user", "disable", "jana")
        await console.shows("The log-in is over")
        await console.type(account="jana", password=PASSWORD)
        await console.shows("wrong name or password")
        station.call("user", "enable", "jana")
        await console.log_in("jana")
        assert console.name == "new_bundle"


async def test_a_station_that_was_started_again_asks_for_the_log_in_and_keeps_the_screen(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("olga")
        await console.press("7")
        station.stop()
        await console.shows("does not answer since")
        station.start()
        await console.shows("The log-in is over")
        await console.log_in("olga")
        assert console.name == "ledger"
        assert "does not answer since" not in console.screen()
    station.call("user", "login", "ada", password=PASSWORD)


async def test_the_time_out_is_the_one_of_the_station(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("olga")
        await console.until(lambda: console.app.status is not None, "an answer")
        console.seconds.now += 15 * 60 - 1
        console.app.tick()
        assert not isinstance(console.app.screen, LogInForm)
        console.seconds.now += 1
        console.app.tick()
        await console.shows("No key was pressed for 15 min")


async def test_no_system_account_opens_the_console_and_no_robot(station: RealStation) -> None:
    """Neither a person's nor a robot's: on the command line both call by their uid."""
    robot = json.loads(station.call("token", "create", "robot-ci", "--json"))["secret"]
    station.call("role", "grant", "robot-ci", "collector")
    for name in ("bob", "robot-ci"):
        station.call("user", "bind", name, "--uid", os.geteuid())
        try:
            async with ControlClient(station.root) as client:
                assert (await client.who())["account"] == name
            async with console_of(station) as console:
                await console.until(lambda: isinstance(console.app.screen, LogInForm), "the log-in")
                for ask in (console.app.link.station.status, console.app.link.station.jobs):
                    with pytest.raises(NotLoggedInError):
                        await ask()
                await console.type(account="robot-ci", password=robot)
                await console.shows("wrong name or password")
                await console.log_in("bob")
                await console.press("4", "L")
                await console.until(lambda: isinstance(console.app.screen, LogInForm), "the lock")
                await console.log_in("bob")
                assert console.name == "intake"
        finally:
            station.call("user", "bind", name)


def test_a_robot_logs_in_on_the_command_line_by_its_secret(
    station: RealStation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = json.loads(station.call("token", "create", "robot-out", "--json"))["secret"]
    station.call("role", "grant", "robot-out", "courier")
    station.call("user", "login", "robot-out", secret=secret)
    try:
        assert "account  robot-out\nroles    courier" in station.call("user", "whoami")
        station.call("user", "logout")
        (tmp_path / "lockgate.robot-out").write_text(f"{secret}\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert json.loads(station.call("user", "login", "robot-out", "--json"))["kind"] == "robot"
    finally:
        station.call("user", "login", "ada", password=PASSWORD)
    assert secret not in "".join(path.read_text() for path in (station.root / "audit").rglob("*.jsonl"))


async def test_ones_own_password_is_changed_here_and_the_log_in_stays(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("jana")
        await console.until(lambda: console.app.status is not None, "an answer")
        await console.press("P")
        for text in (PASSWORD, "another long password", "another long password"):
            await console.until(lambda: bool(console.app.screen.query("#answer")), "a question")
            console.app.screen.query_one("#answer", Input).value = text
            await console.press("enter")
        await console.shows("the password of jana was changed")
        await console.press("4", "L")
        await console.until(lambda: isinstance(console.app.screen, LogInForm), "the lock")
        await console.type(account="jana", password=PASSWORD)
        await console.shows("wrong name or password")
        await console.log_in("jana", "another long password")
    station.call("user", "password", "jana", password=PASSWORD)


@pytest.mark.parametrize("again", [True, False], ids=["another log-in", "none"])
async def test_a_question_of_a_log_in_that_ended_is_asked_again_by_the_one_after_it(
    station: RealStation, again: bool
) -> None:
    """One's own password is changed while screens ask: the log-in that sent the question is over when it arrives."""
    console, senders = ControlStation(station.root), list[str | None]()
    await console.log_in("jana", PASSWORD)

    async def question(client: ControlClient) -> dict[str, Any]:
        senders.append(client.session)
        async with ControlClient(station.root, session=client.session) as sender:
            if len(senders) == 1:
                async with ControlClient(station.root, session=client.session) as ending:
                    await ending.log_out()
                if again:
                    await console.log_in("jana", PASSWORD)
            return await sender.who()

    try:
        if again:
            assert (await console._ask(question))["account"] == "jana"
            assert len(set(senders)) == 2
        else:
            with pytest.raises(NotLoggedInError):
                await console._ask(question)
            assert len(senders) == 1
        await console.log_out()
    finally:
        await console.close()


async def test_who_leaves_the_console_is_logged_out(station: RealStation) -> None:
    before = len(station.events("session.logout"))
    async with console_of(station) as console:
        await console.log_in("olga")
    assert len(station.events("session.logout")) == before + 1


def test_nothing_typed_is_left_in_a_file(station: RealStation) -> None:
    for path in station.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert PASSWORD.encode() not in path.read_bytes(), path
    assert not Path(station.root, "session").exists()


def refusals(station: RealStation) -> int:
    lines = [line for path in sorted((station.root / "audit").rglob("*.jsonl")) for line in path.open()]
    return sum(json.loads(line).get("outcome") == "refused" for line in lines)


async def test_idle_screens_of_a_courier_say_what_is_not_for_them_and_write_no_refusal(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("bob")
        before = refusals(station)
        for name, word in (("intake", "forbidden: "), ("accounts", "forbidden: "), ("approvals", "forbidden: "),
                           ("audit", "forbidden: "), ("media", "")):  # fmt: skip
            console.app.show_root(name)
            await console.until(lambda name=name: console.name == name, name)
            await console.shows(word)
            for _ in range(3):
                console.app.shown.state_changed()
                await console.app.look_at_station()
                await console.pilot.pause()
            assert "nothing was carried in yet" not in console.screen()
        assert refusals(station) == before


async def test_a_new_account_is_the_one_that_the_next_key_is_about(station: RealStation) -> None:
    async with console_of(station) as console:
        await console.log_in("ada")
        console.app.show_root("accounts")
        await console.shows("jana")
        await console.press("n", "enter")
        answered: list[object] = [None]
        for text in ("zoe", "Zoe Zimmer", PASSWORD, PASSWORD):
            await console.until(
                lambda: isinstance(console.app.focused, Input) and console.app.focused is not answered[-1],
                f"a line for {text}",
            )
            answered.append(console.app.focused)
            console.app.focused.value = text
            await console.press("enter")
        await console.shows("Created zoe. No roles yet")
        await console.press("a")
        await console.shows("zoe: Which role?")
        await console.press("enter")
        await console.shows("zoe: reader on which repositories?")
        await console.press("enter")
        await console.until(lambda: "reader" in station.call("user", "show", "zoe"), "zoe is a reader")


def _focused(terminal: Terminal, label: str) -> bool:
    """Whether the line of a label has the cursor, which is painted in reverse."""
    return any(label in line and "\x1b[7m" in line for line in terminal.painted().splitlines())


def test_a_terminal_that_hangs_up_ends_the_log_in(station: RealStation) -> None:
    """The window is closed (SIGHUP), as a session that is lost over a line does."""
    before = len(station.events("session.logout"))
    with terminal_of(station.root, size=(100, 30)) as terminal:
        terminal.shows("Log in")
        terminal.type("olga")
        terminal.press("Enter")
        terminal.until(lambda _: _focused(terminal, "Password:"), "the cursor in the password's line")
        terminal.type(PASSWORD)
        terminal.press("Enter")
        terminal.shows("What next", "olga")
        assert len(station.events("session.logout")) == before
    end = time.monotonic() + 30
    while len(station.events("session.logout")) == before:
        assert time.monotonic() < end, "the log-in was left open"
        time.sleep(0.05)
