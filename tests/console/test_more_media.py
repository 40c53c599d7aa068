"""Media: what is plugged in, and what is on it."""

from __future__ import annotations

from typing import Any


async def test_media_are_listed_with_their_room_and_bundles(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("media")
        await console.rest()
        for medium in await console.inside.media():
            assert medium.path in console.screen()
        first = (await console.inside.media())[0]
        assert first.bundles[0] in console.screen()


async def test_i_begins_an_import_from_here(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("media")
        await console.press("i", "enter")
        assert console.name == "job"
        assert "import" in console.screen()


async def test_y_copies_the_mediums_path(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("media")
        await console.press("y")
        assert console.app.clipboard == (await console.inside.media())[0].path
