"""Approvals: whose is wanted, what was found; nothing is signed from the list."""

from __future__ import annotations

from typing import Any


async def test_the_list_says_whose_approval_is_wanted_and_what_was_found(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("approvals")
        await console.rest()
        await console.press("down")
        text = " ".join(console.screen().split())
        assert "alpha.bravo-000007" in text
        assert "wanted 2 of 2 approvals still needed, not K. Adeyemi (importer)" in text
        assert "good for 72 h" in text
        assert "3 setuid" in text
        assert "approved nobody yet" in text


async def test_a_filter_keeps_what_holds_it(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("approvals")
        await console.press("slash", *"0006", "enter")
        await console.until(lambda: len(console.app.shown.table.records) == 1, "the filter")
        assert "000007" not in console.screen()


async def test_enter_and_a_open_what_is_signed_before_anything_is(drive: Any) -> None:
    for key, opened in (("enter", "approval"), ("a", "report")):
        async with drive() as console:
            console.app.show_root("approvals")
            await console.press("down", key)
            assert console.name == opened
            assert "alpha.bravo-000007" in console.screen()
            assert console.inside.entries[0].approvals == 0


async def test_y_copies_the_bundles_digest(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("approvals")
        await console.press("down", "y")
        assert console.app.clipboard == console.inside.entries[0].digest


async def test_what_is_approved_is_released_from_the_list(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("approvals")
        await console.press("a")
        assert "Approve: enough people have approved it" in console.screen()
        await console.press("e", "y")
        await console.shows("released: ")
        assert all(one.id != "alpha.bravo-000006" for one in console.app.shown.table.records)
