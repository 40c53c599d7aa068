"""Whatever is pressed, the console goes on: no traceback, no dead screen."""

from __future__ import annotations

import random
from typing import Any

import pytest
from textual import events

from tests.console.doubles.accounts import accounts
from tests.console.doubles.data import PASSPHRASE
from tui.screens.people.log_in import LetIn

KEYS = (
    *"123456789", *"abcdefghijklmnoprstuvwxyz", "slash", "colon", "question_mark", "space", "enter", "enter", "enter",
    "escape", "escape", "tab", "up", "down", "down", "left", "right", "pageup", "pagedown", "home", "end", "backspace",
    "ctrl+l", "shift+tab", "delete", "y",
)  # fmt: skip


async def _press_at_random(drive: Any, seed: int, count: int) -> None:
    """Press keys; where they chose Quit from the palette, a new console takes the rest of them."""
    chosen = random.Random(seed)
    pressed = 0
    while pressed < count:
        async with drive() as console:
            while pressed < count and not console.app._exit:
                await _press_one(console, chosen, pressed, seed)
                pressed += 1
            if console.app._exit:
                assert console.app.return_code == 0
                continue
            await _log_in(console)
            for _ in range(12):
                await console.pilot.press("escape")
            await console.pilot.resize_terminal(80, 24)
            await console.press("1")
            assert console.name == "home"
            assert "What next" in console.screen()


async def _log_in(console: Any) -> None:
    """Random keys lock the console, and never guess a password."""
    await console.pilot.pause()
    gate = console.app.presence.gate
    if gate is not None:
        station = console.app.link.station
        station.passwords.clear()
        station.accounts = accounts()
        gate.post_message(LetIn(await station.log_in("trainee", PASSPHRASE)))
        await console.pilot.pause()


async def _press_one(console: Any, chosen: random.Random, number: int, seed: int) -> None:
    key = chosen.choice(KEYS)
    console.app.post_message(events.Key(key, key if len(key) == 1 else None))
    if number % 10 == 0:
        await console.pilot.pause()
    if number % 50 == 0:
        await _log_in(console)
        console.seconds.now += chosen.random() * 5
        await console.pilot.resize_terminal(chosen.randint(20, 300), chosen.randint(6, 100))
        await console.pilot.pause()
    assert console.app._exception is None, f"seed {seed}, key {number}: {key}"


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
async def test_five_hundred_random_keys_leave_a_console_that_works(drive: Any, seed: int) -> None:
    await _press_at_random(drive, seed, 500)


@pytest.mark.long
async def test_ten_thousand_random_keys_leave_a_console_that_works(drive: Any) -> None:
    await _press_at_random(drive, 20260504, 10_000)
