"""Custody: every bundle with a record, and hand-overs written down from the list."""

from __future__ import annotations

from typing import Any


async def custody(console: Any, down: int = 0) -> None:
    console.app.show_root("custody")
    await console.rest()
    await console.press(*["down"] * down)


async def test_bundles_that_came_and_went_are_listed_with_their_hand_overs(drive: Any) -> None:
    async with drive() as console:
        await custody(console, 6)
        text = console.screen()
        assert "alpha.bravo-000007" in text
        assert "bravo.charlie-000003" in text
        assert "alpha.bravo-000007: 2 hand-overs" in text


async def test_a_filter_keeps_what_holds_it(drive: Any) -> None:
    async with drive() as console:
        await custody(console)
        await console.press("slash", *"charlie", "enter")
        await console.until(lambda: len(console.app.shown.table.records) == 3, "the filter")


async def test_enter_opens_the_record_and_y_copies_the_id(drive: Any) -> None:
    async with drive() as console:
        await custody(console)
        await console.press("y")
        assert console.app.clipboard == "alpha.bravo-000001"
        await console.press("enter")
        assert console.name == "custody_record"


async def test_h_writes_a_hand_over_down(drive: Any) -> None:
    async with drive() as console:
        await custody(console)
        await console.press("h", "enter")
        assert "[!!] from: this is needed" in console.screen()
        for answer in ("A. Giver", "B. Taker", "USB-3", "S-1", "SEAL-9", "a scratch"):
            console.app.focused.value = answer
            await console.press("enter")
        await console.shows("written down: alpha.bravo-000001 went from A. Giver to B. Taker")
        (hand,) = console.inside.handovers["alpha.bravo-000001"]
        assert (hand["medium"], hand["serial"], hand["seal"], hand["note"]) == ("USB-3", "S-1", "SEAL-9", "a scratch")
        assert console.app.shown.table.current.handovers == 1
