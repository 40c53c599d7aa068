"""A dialog belongs to the screen and the moment that asked for it, and to keys typed when it could be read."""

from __future__ import annotations

import asyncio
from typing import Any

from textual import _time, events

from appliance.api.bundles import Medium
from appliance.api.jobs import Job
from tests.console.doubles.station import DemoStation
from tui.dialogs.choose import Choose
from tui.dialogs.confirm import Confirm
from tui.dialogs.dialog import HELD, REPEATS, Dialog


class Slow(DemoStation):
    """A demo station whose answers about media and new jobs wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.started: list[str] = []

    async def media(self) -> list[Medium]:
        await self.go.wait()
        return list(await super().media())

    async def start_job(self, kind: str, params: Any) -> Job:
        self.started.append(kind)
        if kind == "receipt":
            await self.go.wait()
        return await super().start_job(kind, params)


async def begin(console: Any, *keys: str) -> None:
    """Press keys of which the station answers the last only later."""
    for key in keys:
        await console.pilot.press(key)
        await console.pilot.pause()


async def test_a_dialog_that_comes_late_does_not_open_over_another_screen(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        await begin(console, "4", "i", "question_mark")
        station.go.set()
        await console.shows("Import what?: not opened, since you had gone on")
        assert console.name == "help"
        await console.press("enter", "enter")
        assert not isinstance(console.app.screen, Dialog)
        assert station.started == []


async def test_a_dialog_that_comes_late_does_not_open_on_its_screen_after_a_visit_elsewhere(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        for away in (("question_mark", "escape"), ("5", "4"), ("colon", "escape")):
            station.go.clear()
            await begin(console, "4", "i", *away)
            station.go.set()
            await console.shows("not opened, since you had gone on")
            assert console.name == "intake"
            assert not isinstance(console.app.screen, Dialog)


async def test_a_dialog_opens_for_who_waits_for_it(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        await begin(console, "4", "i", "down")
        station.go.set()
        await console.until(lambda: isinstance(console.app.screen, Choose), "the dialog")


async def test_of_two_dialogs_that_were_asked_for_the_second_to_come_is_dropped(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        await begin(console, "4", "i", "x")
        assert isinstance(console.app.screen, Dialog)
        first = console.app.screen
        station.go.set()
        await console.rest()
        assert console.app.screen is first


async def test_a_page_that_comes_late_does_not_take_the_place_of_another(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        console.app.show_root("deltas")
        await console.rest()
        await console.press("e")
        console.app.focused.value = "/media/usb-blue/receipt"
        await begin(console, "enter", "5")
        station.go.set()
        await console.shows("Job: not opened, since you had gone on")
        assert console.name == "jobs"
        assert station.started == ["receipt"]


async def test_a_dialog_that_was_asked_for_before_a_lock_does_not_open_after_it(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        await begin(console, "4", "i", "L")
        station.go.set()
        await console.pilot.pause()
        who = console.app.presence.who
        await station.log_in("trainee", "lockgate-demo")
        console.app.presence.let_in(who)
        await console.rest()
        assert not isinstance(console.app.screen, Dialog)


def typed(key: str, at: float) -> events.Key:
    event = events.Key(key, key if len(key) == 1 else None)
    event.time = at
    return event


async def test_a_key_that_was_typed_before_its_dialog_was_painted_answers_nothing(drive: Any) -> None:
    async with drive() as console:
        for dialog, key in ((Confirm("Cancel import j0041?"), "y"), (Choose("Import what?", []), "enter")):
            answers: list[Any] = []
            before = _time.get_time()
            console.app.push_screen(dialog, answers.append)
            console.app.post_message(typed(key, before))
            await console.rest()
            assert console.app.screen is dialog
            dialog.post_message(typed(key, before))
            await console.rest()
            assert console.app.screen is dialog
            assert answers == []
            await console.press("escape")
            assert answers == [None]


async def test_a_key_that_is_held_down_since_before_the_dialog_answers_nothing_until_it_is_let_go(drive: Any) -> None:
    async with drive() as console:
        dialog, answers = Confirm("Release alpha.bravo-000006?"), list[Any]()
        console.app.push_screen(dialog, answers.append)
        await console.rest()
        start = _time.get_time()
        dialog._last = ("y", start)  # what a terminal's console notes, as it paints the dialog
        for at in (HELD - 0.2, *(HELD - 0.2 + 0.033 * number for number in range(1, 20))):
            dialog.post_message(typed("y", start + at))
        await console.pilot.pause(2 * REPEATS)
        assert answers == []
        dialog.post_message(typed("y", start + 3))
        await console.rest()
        assert answers == [True]


async def test_the_same_key_pressed_a_second_time_answers(drive: Any) -> None:
    async with drive() as console:
        dialog, answers = Confirm("Release alpha.bravo-000006?"), list[Any]()
        console.app.push_screen(dialog, answers.append)
        await console.rest()
        dialog._last = ("y", _time.get_time())
        dialog.post_message(typed("y", _time.get_time() + 0.2))
        await console.until(lambda: answers == [True], "the answer")


async def test_text_that_is_typed_ahead_into_a_field_is_kept(drive: Any) -> None:
    async with drive() as console:
        await console.pilot.press("colon", *"ledger")
        await console.rest()
        await console.press("enter")
        assert console.name == "ledger"
