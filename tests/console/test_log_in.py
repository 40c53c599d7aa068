"""Who sits at the console: log in, lock, time-out, another person, log out. What one left is not shown to the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.widgets import Input

from bundles.errors import RefusedError
from tests.console.doubles.station import DemoStation
from tests.console.keys import PASSPHRASE
from tui.screens.people.log_in import Claim, LogIn, LogInForm
from tui.station.port import NotLoggedInError

OFFICER = [*"m.okafor"]
IDLE = 15 * 60


def locked(console: Any) -> bool:
    return isinstance(console.app.screen, LogInForm)


async def log_in(console: Any, name: list[str], password: list[str] = PASSPHRASE) -> None:
    """From a log-in that asks for the name."""
    await console.press(*name, "enter", *password, "enter")
    await console.until(lambda: not getattr(console.app.screen, "busy", False), "the station's word")


async def unlock(console: Any) -> None:
    """From a lock, which knows the name."""
    await console.press(*PASSPHRASE, "enter")
    await console.until(lambda: not locked(console), "the lock opens")


async def test_who_is_logged_in_is_on_every_screen(drive: Any) -> None:
    async with drive() as console:
        for key in "123456789":
            await console.press(key)
            assert "│ trainee │" in console.screen().splitlines()[0]


async def test_a_long_name_leaves_the_rest_of_the_first_row_whole(drive: Any) -> None:
    async with drive() as console:
        console.inside.accounts[-1]["name"] = console.inside.account = "n" * 64
        await console.app.look_at_station()
        await console.rest()
        first = console.screen().splitlines()[0]
        assert "quarantine 2" in first
        assert "nnnnnnnnn… │" in first
        assert first.endswith(":00Z")


async def test_a_lock_hides_the_screen_and_only_the_password_brings_it_back(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "enter")
        before = console.screen()
        assert "alpha.bravo-000007" in before
        await console.press("L")
        assert locked(console)
        assert "alpha.bravo" not in console.screen()
        assert "kept for trainee" in console.screen()
        await console.press("escape", "ctrl+c", "4", "enter")
        assert locked(console)
        assert "wrong name or password" in console.screen()
        await unlock(console)
        assert console.name == "intake_entry"
        assert "alpha.bravo-000007" in console.screen()


async def test_the_password_is_kept_nowhere_and_never_shown(drive: Any) -> None:
    async with drive() as console:
        await console.press("L", *PASSPHRASE)
        assert "lockgate-demo" not in console.screen()
        gate = console.app.screen
        await console.press("enter")
        await console.until(lambda: not locked(console))
        assert all(field.value != "lockgate-demo" for field in gate.query(Input))


async def test_without_a_key_it_locks_after_the_time_that_the_station_names(drive: Any) -> None:
    async with drive() as console:
        console.seconds.now += IDLE - 1
        console.app.tick()
        assert not locked(console)
        await console.press("4")
        console.seconds.now += IDLE - 1
        console.app.tick()
        assert not locked(console)
        console.seconds.now += 1
        console.app.tick()
        await console.shows("No key was pressed for 15 min")
        assert "alpha.bravo" not in console.screen()
        await unlock(console)
        assert console.name == "intake"


async def test_another_person_begins_with_empty_screens(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "end", "up", "up", "enter", "space", "slash", *"7", "enter")
        assert console.app.draft.references
        console.app.open_thing("job", "j0041")
        await console.press("y", "L", "shift+tab")
        console.app.screen.query_one("#account", Input).value = ""
        await log_in(console, OFFICER)
        await console.until(lambda: not locked(console))
        assert console.name == "home"
        assert "│ m.okafor │" in console.screen().splitlines()[0]
        assert not console.app.draft.references
        assert console.app.clipboard == ""
        assert len(console.app.screen_stack) == 2
        await console.press("2")
        assert "Repositories  1 of" in console.screen()
        await console.press("3", "p")
        assert "a security-officer may never build" in console.screen()


async def test_what_a_person_may_not_do_is_said_with_the_stations_reason(drive: Any) -> None:
    async with drive() as console:
        await console.press("O")
        await log_in(console, [*"b.bell"])
        await console.until(lambda: not locked(console))
        await console.press("4", "a")
        assert "Approve: separation of duties: a courier may never approve" in console.screen()
        await console.press("colon", *"approve")
        assert "a courier may never approve" in console.screen()


async def test_log_out_ends_at_the_log_in_and_asks_first_where_a_draft_would_be_lost(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter", "space", "O")
        assert "it would be lost" in console.screen()
        await console.press("n")
        assert console.app.draft.references
        await console.press("O", "y")
        assert locked(console)
        assert "Who" in console.screen() or "Logged out" in console.screen()
        await log_in(console, [*"trainee"])
        await console.until(lambda: not locked(console))
        assert console.name == "home"
        assert not console.app.draft.references


async def test_a_wrong_password_says_so_and_the_next_try_may_be_right(drive: Any) -> None:
    async with drive() as console:
        await console.press("O")
        await log_in(console, OFFICER, [*"wrong"])
        await console.shows("[!!] wrong name or password")
        await console.press(*PASSPHRASE, "enter")
        await console.until(lambda: not locked(console))
        assert "│ m.okafor │" in console.screen().splitlines()[0]


async def test_a_locked_name_says_for_how_long(drive: Any) -> None:
    async with drive() as console:
        await console.press("O")
        await log_in(console, [*"p.novak"])
        await console.shows("too many failed log-ins")


class Expiring(DemoStation):
    """A station whose log-ins can end at any moment, and that can be made to answer late."""

    late: asyncio.Event | None = None

    async def start_job(self, kind: str, params: Any) -> Any:
        if self.late is not None:
            await self.late.wait()
        if not self.account:
            raise NotLoggedInError("the log-in is over", remedy="log in again")
        return await super().start_job(kind, params)


async def test_a_session_that_is_over_ends_at_the_log_in_and_nothing_is_lost(drive: Any) -> None:
    station = Expiring()
    async with drive(station=station) as console:
        await console.press("2", "enter", "space")
        picked = console.app.draft.references
        assert picked
        station.account = ""
        await console.app.look_at_station()
        await console.until(lambda: locked(console), "the log-in")
        assert "The log-in is over: log in again, nothing is lost." in console.screen()
        await unlock(console)
        assert console.app.draft.references == picked
        assert console.name == "repositories"


@pytest.mark.parametrize("by", ["the same person", "another person"])
async def test_an_answer_that_comes_while_it_is_locked_opens_nothing_before_the_log_in(drive: Any, by: str) -> None:
    station = Expiring()
    station.late = asyncio.Event()
    async with drive(station=station) as console:
        await console.press("4", "i")
        await console.pilot.press("enter")
        await console.pilot.press("L")
        await console.pilot.pause()
        station.account = "trainee"
        station.late.set()
        for _ in range(20):
            await console.pilot.pause()
        assert locked(console)
        assert "import" not in console.screen()
        if by == "the same person":
            await unlock(console)
            await console.until(lambda: console.name == "job", "the job that was begun")
        else:
            console.app.screen.query_one("#account", Input).value = "m.okafor"
            await unlock(console)
            assert console.name == "home"


async def test_an_act_that_met_the_end_of_the_session_says_that_it_was_not_done(drive: Any) -> None:
    station = Expiring()
    async with drive(station=station) as console:
        await console.press("4", "i")
        station.account = ""
        await console.press("enter")
        await console.until(lambda: locked(console))
        await unlock(console)
        await console.shows("it was not done: the log-in was over; do it again")


async def test_nothing_is_asked_of_the_station_while_it_is_locked(drive: Any) -> None:
    async with drive() as console:
        console.app.open_thing("job", "j0041")
        await console.rest()
        await console.press("L")

        async def asked(*_: Any, **__: Any) -> Any:
            raise AssertionError("the station was asked")

        for name in ("who", "status", "jobs", "intake", "job_events"):
            setattr(console.inside, name, asked)
        await console.app.look_at_station()
        assert {worker.group for worker in console.app.workers if not worker.is_finished} <= {"end"}
        for name in ("who", "status", "jobs", "intake", "job_events"):
            delattr(console.inside, name)
        await unlock(console)
        assert "running: verify and store" in console.screen()


async def test_a_password_of_ones_own_is_changed_and_the_log_in_stays(drive: Any) -> None:
    async with drive() as console:
        await console.press("P", *PASSPHRASE, "enter", *"short", "enter")
        assert "12 characters or more" in console.screen()
        await console.press(*"er but long", "enter")
        assert "once more" in console.screen()
        await console.press(*"another", "enter")
        assert "it is not the same" in console.screen()
        console.app.screen.query_one(Input).value = "shorter but long"
        await console.press("enter")
        await console.shows("the password of trainee was changed")
        await console.press("L", *PASSPHRASE, "enter")
        await console.shows("wrong name or password")


async def test_on_an_open_station_nobody_logs_in_or_locks(drive: Any) -> None:
    class Open(DemoStation):
        async def who(self) -> Any:
            import msgspec

            return msgspec.structs.replace(await super().who(), account="owner(1000)", open=True)

    async with drive(station=Open()) as console:
        assert "│ owner(1000) │" in console.screen().splitlines()[0]
        await console.press("L")
        assert "Lock: the station is open: nobody logs in" in console.screen()
        console.seconds.now += 10 * IDLE
        console.app.tick()
        assert not locked(console)


class Code:
    """A station's folder in which the one-time code lies unused."""

    made = ""

    def needed(self) -> bool:
        return not self.made

    def claim(self, name: str, full_name: str, code: str, password: str) -> None:
        if code != "abcd":
            raise RefusedError("not the one-time code", remedy="make a new one with: lockgate user code")
        self.made = name


async def test_the_first_administrator_is_made_with_the_one_time_code(drive: Any) -> None:
    station, code = Expiring(), Code()
    station.account = ""
    async with drive(station=station, first=code, waits=False) as console:
        await console.until(lambda: isinstance(console.app.screen, Claim), "the code is asked for")
        twice = [*PASSPHRASE, "enter", *PASSPHRASE, "enter"]
        await console.press(*"ada", "enter", "tab", *"dcba", "enter", *twice)
        await console.shows("not the one-time code")
        await console.press(*"abcd", "enter", *twice)
        await console.until(lambda: isinstance(console.app.screen, LogIn), "the log-in")
        assert code.made == "ada"
        assert "ada is administrator. Start the station" in console.screen()
        console.app.screen.query_one("#account", Input).value = "a.lindgren"
        await unlock(console)
        assert "│ a.lindgren │" in console.screen().splitlines()[0]


async def test_hostile_text_in_a_name_is_made_fit(drive: Any) -> None:
    async with drive() as console:
        console.inside.accounts[-1]["name"] = console.inside.account = "x\x1b[31m[bold]\u202ey"
        await console.app.look_at_station()
        await console.rest()
        assert "\x1b" not in console.screen().splitlines()[0]
        assert "\u202e" not in console.screen()
        await console.press("L")
        assert "\u202e" not in console.screen()
