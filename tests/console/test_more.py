"""The further screens: each is under key 9, in the palette and in the jump, and has tests of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui.actions.further_screens import BY_SCREEN, LISTED, MORE, Further
from tui.screens.start.more import MoreRows


def named(value: object) -> str:
    return value.name if isinstance(value, Further) else str(value)


@pytest.mark.parametrize("further", LISTED, ids=named)
async def test_a_further_screen_is_opened_from_more_and_esc_leads_back(drive: Any, further: Further) -> None:
    async with drive() as console:
        await console.press("9")
        assert further.title in console.screen()
        assert further.about in console.screen()
        await console.press(*["down"] * LISTED.index(further), "enter")
        assert console.name == further.name
        assert "[9 More]" in console.screen().splitlines()[1] or further.under != "more"
        assert console.screen().splitlines()[0].startswith(f" bravo inside │ {further.title} │")
        await console.press("escape")
        assert console.name == "more"
        await console.press("escape")
        assert console.name == "home"


@pytest.mark.parametrize("further", LISTED, ids=named)
async def test_a_further_screen_is_in_the_palette_and_in_the_jump(drive: Any, further: Further) -> None:
    async with drive() as console:
        await console.press("colon", *further.title.replace(" ", ""), "enter")
        assert console.name == further.name
        console.app.show_root("home")
        await console.press("g", *(letter if letter != " " else "space" for letter in further.title))
        await console.shows(f"> screen       {further.title}")
        await console.press("enter")
        assert console.name == further.name


async def test_more_ends_with_the_help(drive: Any) -> None:
    async with drive() as console:
        await console.press("9", "end", "enter")
        assert console.name == "help"


def test_a_further_screens_words_fit_their_line_at_80_columns() -> None:
    for further in MORE:
        assert len(further.title) <= 15
        assert len(further.about) <= 53


def test_every_further_screen_has_tests_of_its_own() -> None:
    for further in MORE:
        assert Path(__file__).with_name(f"test_more_{further.name}.py").is_file(), further.name


def test_further_screens_stand_in_the_order_of_the_alphabet() -> None:
    names = [further.name for further in MORE]
    assert names == sorted(names)
    assert len(set(names)) == len(BY_SCREEN) == len(names)
    assert MoreRows.entries[-1][0] == "help"


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("screen", ["home", "repositories", "new_bundle", "guides", "more", "help"])
def test_the_row_of_screens_fits(width: int, screen: str) -> None:
    from tui.screens import edge_rows
    from tui.terminal.look import Look

    assert sum(len(text) for text, _ in edge_rows.tabs(Look(colour=False), screen, width)) <= width
