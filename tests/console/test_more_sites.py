"""Sites: the known destinations and the receipts. What is listed on a real station is in test_more_blocks."""

from __future__ import annotations

from typing import Any


async def test_receipts_are_listed_and_a_site_of_bundles_is_on_no_list(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("sites")
        await console.rest()
        assert "bravo.charlie-000003" in console.screen()
        assert "given" in console.screen()
        await console.press("u")
        assert "its bundles make it known" in console.screen()
        await console.press("tab")
        assert "sha256:" in console.screen()


async def test_a_site_is_named_as_sites_are(drive: Any) -> None:
    async with drive() as console:
        console.app.show_root("sites")
        await console.press("n", *"Not a site", "enter")
        assert "a site is named with" in console.screen()
