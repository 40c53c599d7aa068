"""What console tests share: a clock that stands still, the demo's two stations, and a console driven by keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.console.doubles.keyring import DemoKeyring
from tests.console.doubles.pictures import unheard
from tests.console.doubles.station import DemoStation, demo_pair
from tests.console.parsed_styles import keep_parsed_styles
from tui.actions.keymap import Keymap
from tui.shell.console import LockgateConsole
from tui.terminal.look import Look


class Seconds:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Driven:
    """A console, the pilot that presses its keys, its stations and their clock."""

    app: LockgateConsole
    pilot: Pilot[Any]
    inside: DemoStation
    outside: DemoStation
    seconds: Seconds

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they began come to rest; typed text is pressed on without a rest."""
        for key in keys:
            await self.pilot.press(key)
            if len(key) > 1 or not isinstance(self.app.focused, Input):
                await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is asked of the station any more (what follows jobs or the station goes on)."""
        for _ in range(200):
            await self.pilot.pause()
            groups = {worker.group for worker in self.app.workers if not worker.is_finished}
            if groups <= {"watch", "follow"} and not unheard(self.app):
                await self.pilot.pause()
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"still asking: {groups}")

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Wait for something that a stream of events or a timer brings about."""
        for _ in range(400):
            await self.pilot.pause()
            if condition():
                await self.rest()
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it did not come: {what}\n{self.screen()}")

    async def later(self, seconds: float) -> None:
        """Let the demo's time pass, and the console see it."""
        self.seconds.now += seconds
        await self.app.look_at_station()
        await self.rest()

    async def shows(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.screen(), text)

    def screen(self) -> str:
        """The screen as a person reads it, without colour."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    @property
    def name(self) -> str:
        """The name of the station screen that is shown."""
        shown = self.app.shown
        return shown.name_of if shown is not None else ""


Drive = Callable[..., Any]


@asynccontextmanager
async def driven(
    *,
    size: tuple[int, int] = (80, 24),
    look: Look | None = None,
    keymap: Keymap | None = None,
    station: Any = None,
    first: Any = None,
    waits: bool = True,
) -> AsyncIterator[Driven]:
    """A console on the demo's inside (or on `station`), at rest after its first paint and (`waits`) answer."""
    seconds = Seconds()
    inside, outside = demo_pair(seconds)
    app = LockgateConsole(
        station or inside, DemoKeyring(), now=inside.now, look=look or Look(colour=False), keymap=keymap,
        other=(outside, DemoKeyring()), seconds=seconds, first=first,
    )  # fmt: skip
    async with app.run_test(size=size) as pilot:
        driving = Driven(app, pilot, inside, outside, seconds)
        if waits:
            await driving.until(lambda: app.status is not None or app.link.lost, "the first answer")
        yield driving


@pytest.fixture(autouse=True, scope="session")
def _sheets_are_parsed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        keep_parsed_styles(patch)
        yield


@pytest.fixture(autouse=True)
def _saves_go_to_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person saves without naming a folder goes to the working one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drive() -> Drive:
    """`async with drive() as console:` a console to press keys on."""
    return driven
