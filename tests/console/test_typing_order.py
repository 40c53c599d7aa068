"""Whoever types faster than screens change ends where the last key leads: none is lost or overtakes another."""

from __future__ import annotations

import asyncio
from typing import Any

from textual import events

CHARACTERS = {"colon": ":", "escape": None, "slash": "/"}


async def _turns(count: int) -> None:
    """Let other tasks have so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


async def _type(console: Any, *typed: tuple[str, int]) -> None:
    """Post keys, each with the turns of other tasks before the next one comes."""
    for key, turns in typed:
        console.app.post_message(events.Key(key, CHARACTERS.get(key, key)))
        await _turns(turns)
    await console.until(lambda: not console.app.takes_in, "every key was taken in")


async def test_three_switches_of_screens_end_on_the_last_however_they_follow_each_other(drive: Any) -> None:
    """The second key may lie in the queue of the screen below when the third comes to the new one."""
    async with drive() as console:
        for first, second in ((0, 3), (1, 2), (2, 1), (2, 3), (0, 0)):
            await _type(console, ("4", first), ("1", second), ("2", 0))
            assert console.name == "repositories", (first, second)
            await console.press("1")


async def test_a_dialog_that_opens_between_two_keys_takes_the_later_one(drive: Any) -> None:
    """Escape closes the palette, and does not come before it."""
    async with drive() as console:
        for turns in range(4):
            await _type(console, ("4", turns), ("colon", turns), ("escape", turns), ("2", 0))
            assert console.name == "repositories", turns


async def test_pasted_text_comes_behind_the_key_that_opens_its_field(drive: Any) -> None:
    async with drive() as console:
        for turns in range(4):
            console.app.post_message(events.Key("2", "2"))
            console.app.post_message(events.Key("slash", "/"))
            await _turns(turns)
            console.app.post_message(events.Paste("base"))
            await console.until(lambda: not console.app.takes_in, "all was taken in")
            assert console.app.screen.query_one("#filter").value == "base", turns
            await console.press("escape", "1")


async def test_a_widget_that_goes_away_with_a_key_in_its_queue_holds_up_nothing(drive: Any) -> None:
    async with drive() as console:
        await console.press("4", "enter")
        console.app.post_message(events.Key("down", None))
        await _turns(1)
        console.app.forget_person()
        console.app.show_root("home")
        await console.until(lambda: not console.app.takes_in, "the key is dealt with")
        await console.press("2")
        assert console.name == "repositories"
