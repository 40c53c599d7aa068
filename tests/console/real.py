"""A console on a real station: its folder, its processes and its control socket, nothing of the demo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from appliance.clock import now
from tests.console.conftest import Driven
from tui.shell.console import LockgateConsole
from tui.station.control_socket import ControlStation
from tui.station.keyring import FolderKeyring
from tui.terminal.look import Look

PATIENCE = 60.0
"""Seconds a loaded machine may take to answer."""


@dataclass
class Live:
    """A console on a running station, driven by keys; what a person sees is waited for."""

    app: LockgateConsole
    pilot: Pilot[Any]

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            if len(key) > 1 or not isinstance(self.app.focused, Input):
                await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Put a text into the line that has the focus, as a paste does."""
        field = self.app.focused
        assert isinstance(field, Input)
        field.value = text
        await self.pilot.pause()

    async def shows(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.screen(), text)

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await asyncio.sleep(0.05)
                    await self.pilot.pause()
        except TimeoutError:
            raise AssertionError(f"it did not come: {what}\n{self.screen()}") from None

    def screen(self) -> str:
        return Driven.screen(self)  # type: ignore[arg-type]


@asynccontextmanager
async def live(root: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Live]:
    """A console on the running station of a folder, after its first answer."""
    app = LockgateConsole(ControlStation(root), FolderKeyring(root), now=now, look=Look(colour=False))
    async with app.run_test(size=size) as pilot:
        driving = Live(app, pilot)
        await driving.until(lambda: app.status is not None, "the first answer")
        yield driving
        await app.link.station.close()
