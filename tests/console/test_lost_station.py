"""A station that is gone or slow is said to be; what was shown stays, keys answer, and it comes back by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.console.doubles.station import DemoStation
from tui.station.link import Link
from tui.station.port import StationLostError


class Moody(DemoStation):
    """A demo station that can be unplugged, or made to take its time."""

    gone = False
    slow = False

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(method):
            return method

        async def answered(*arguments: Any, **named: Any) -> Any:
            if self.gone:
                raise StationLostError("the station is not running")
            if self.slow:
                await asyncio.sleep(3600)
            return await method(*arguments, **named)

        return answered


async def test_a_lost_station_shows_a_banner_and_keeps_what_it_said(drive: Any) -> None:
    station = Moody()
    async with drive(station=station) as console:
        await console.press("4")
        assert "alpha.bravo-000007" in console.screen()
        station.gone = True
        await console.press("r")
        await console.shows("[!!] the station does not answer since")
        assert "alpha.bravo-000007" in console.screen()
        assert "[!!] station lost" in console.screen().splitlines()[0]


async def test_the_banner_goes_when_the_station_is_back_and_the_screen_is_asked_for_anew(drive: Any) -> None:
    station = Moody()
    async with drive(station=station) as console:
        await console.press("4")
        station.gone = True
        await console.press("r")
        await console.shows("does not answer")
        station.gone = False
        station.entries = station.entries[1:]
        await console.app.look_at_station()
        await console.shows("the station answers again")
        assert "does not answer since" not in console.screen()
        assert "alpha.bravo-000007" not in console.screen()


async def test_a_console_that_starts_before_its_station_waits_for_it(drive: Any) -> None:
    station = Moody()
    station.gone = True
    async with drive(station=station) as console:
        assert "looking for the station" in console.screen()
        station.gone = False
        await console.app.look_at_station()
        await console.shows("What next  1 of")


async def test_keys_answer_while_the_station_does_not(drive: Any) -> None:
    station = Moody()
    async with drive(station=station) as console:
        station.slow = True
        for key, name in (("2", "repositories"), ("4", "intake"), ("5", "jobs"), ("question_mark", "help")):
            await console.pilot.press(key)
            await console.pilot.pause()
            assert console.name == name
        await console.pilot.press("colon")
        await console.pilot.pause()
        assert "What do you want to do?" in console.screen()


async def test_acts_on_a_lost_station_are_not_offered(drive: Any) -> None:
    station = Moody()
    async with drive(station=station) as console:
        await console.press("4")
        station.gone = True
        await console.press("r")
        await console.shows("does not answer")
        await console.press("a")
        assert "Approve: the station does not answer" in console.screen()


async def test_a_call_ends_when_the_patience_does() -> None:
    station = Moody()
    station.slow = True
    link = Link(station, lambda: "2026-05-04T14:00:00Z", patience=0.01)
    try:
        await link.ask(lambda one: one.status())
    except StationLostError:
        assert link.lost_at == "2026-05-04T14:00:00Z"
    else:
        raise AssertionError("a slow station is a lost one")


async def test_a_job_that_is_followed_is_found_again(drive: Any) -> None:
    station = Moody()
    async with drive(station=station) as console:
        console.app.open_thing("job", "j0041")
        await console.shows("running: verify and store")
        station.gone = True
        await console.app.look_at_station()
        await console.shows("does not answer since")
        assert "running: verify and store" in console.screen()


async def test_what_the_station_answers_while_the_console_closes_is_looked_at_by_no_screen(drive: Any) -> None:
    """A screen that closes loses its parts one by one, and is itself the last to go."""
    async with drive() as console:
        console.app.show_root("new_bundle")
        await console.rest()
        shown = console.app.shown
        assert shown is not None
        await shown.query_one("#form").remove()
        shown.state_changed()


async def test_a_console_that_closes_shows_no_screen(drive: Any) -> None:
    """What is told meanwhile, as a look at the station that has just ended, then meets no screen without widgets."""
    async with drive() as console:
        app = console.app
        assert app.shown is not None
        assert not app.shown.closes
    assert app.shown is None
