"""Layer: the files in a layer come as they are read, are filtered here and at the station, and are shown as text."""

from __future__ import annotations

import asyncio
from typing import Any

from appliance.api.content import LayerFile, LayerFiles
from tests.console.doubles.station import DemoStation
from tui.screens.content.layer import LayerScreen

LAYER = "team/app@sha256:1 sha256:2"


class Hostile(DemoStation):
    """Names that steer a terminal, and a layer that is not read to its end."""

    async def lines(self, shape: Any, path: str, take: Any, **query: object) -> None:
        assert path == "/v1/layer/files"
        assert query["layer"] == "sha256:2"
        files = [LayerFile(path=f"etc/\x1b[2J{n}", kind="file", size=n, mode="0644") for n in range(3)]
        take(LayerFiles(files=tuple(files[:2]), looked=2))
        take(LayerFiles(files=tuple(files[2:]), looked=3, end=True, why="the first 3 files are shown"))


async def test_a_layer_of_the_tree_is_opened_and_lists_its_files(drive: Any) -> None:
    async with drive() as console:
        await console.press("2", "enter", "down", "enter", "down", "enter", "down", "down", "enter")
        assert console.name == "layer"
        assert "usr/bin/web-portal" in console.screen()
        assert "4755" in console.screen()
        assert "read to its end: 12 entries" in console.screen()
        await console.press("slash", *"portal.toml")
        await console.until(lambda: len(console.app.shown.table.records) == 1, "the filtered file")
        await console.press("enter", "escape", "slash", *"kind:link", "enter")
        await console.until(lambda: len(console.app.shown.table.records) == 2, "by a column")
        await console.press("escape", "S", "down", "down", "down", "enter", "S", "enter")
        assert console.app.shown.table.records[0].path == "usr/bin/web-portal", "sorted by bytes, the largest first"
        await console.press("y")
        assert console.app.clipboard


class Slow(DemoStation):
    """A layer of which the first lines have no file that is looked for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.go_on = asyncio.Event()

    async def lines(self, shape: Any, path: str, take: Any, **query: object) -> None:
        take(LayerFiles(looked=5))
        await self.go_on.wait()
        take(LayerFiles(looked=9, end=True))


async def test_a_layer_is_not_called_empty_before_it_was_read_to_its_end(drive: Any) -> None:
    station = Slow()
    async with drive(station=station) as console:
        console.app.push_screen(LayerScreen(LAYER))
        for _ in range(500):
            await console.pilot.pause()
            if "read so far: 5 entries" in console.screen():
                break
            await asyncio.sleep(0.005)
        assert "loading" in console.app.shown.table.nothing
        station.go_on.set()
        await console.shows("read to its end: 9 entries")
        assert "empty" in console.app.shown.table.nothing


async def test_names_are_shown_as_text_and_what_is_left_out_is_said(drive: Any) -> None:
    async with drive(station=Hostile(), size=(120, 40)) as console:
        console.app.push_screen(LayerScreen(LAYER))
        await console.shows("not the whole layer: the first 3 files are shown")
        assert "\x1b" not in console.screen()
        assert len(console.app.shown.table.records) == 3
