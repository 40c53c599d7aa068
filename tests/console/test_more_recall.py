"""Recall: what the station knows of where something went is said whole, and what it does not look for is not denied."""

from __future__ import annotations

from typing import Any

from appliance.api.recall import Pull, RecalledTag
from tui.screens.content.recall import RecallScreen
from tui.wording.recall import Recalled, recall_text


async def test_a_key_is_recalled_with_bundles_tags_and_pulls(drive: Any) -> None:
    async with drive(size=(120, 40)) as console:
        key = (await console.inside.trust())[0]
        console.app.push_screen(RecallScreen(key.keyid))
        await console.rest()
        screen = console.screen()
        assert key.keyid in screen
        assert "bundle  alpha.bravo-000001  released: signed it" in screen
        assert "pulled  " in screen
        await console.press("y")
        assert console.app.clipboard == key.keyid


async def test_what_no_bundle_carried_is_not_said_to_be_nowhere(drive: Any) -> None:
    async with drive() as console:
        console.app.push_screen(RecallScreen("sha256:" + "0" * 64))
        await console.rest()
        assert "lockgate audit show" in console.screen()
        assert "nothing to recall" not in console.screen()


def test_pulls_without_a_bundle_are_said() -> None:
    pulls = (Pull(actor="node-4", thing="x"),)
    assert "node-4" in recall_text(Recalled(thing="x", pulls=pulls))
    assert "team/app:1" in recall_text(Recalled(thing="x", tags=(RecalledTag(reference="team/app:1", shown="yes"),)))
    assert "nothing to recall" in recall_text(Recalled(thing="x"))
